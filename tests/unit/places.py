"""Where copies go, said without copying anything: as the copy functions name their destinations."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from replicator.identifiers import S3Uri
from replicator.steps import ArtifactCopy
from tests.unit.packages import HUB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.steps import ImageCopy


def place(copy: ArtifactCopy | ImageCopy) -> str:
    """Name the location that takes the place of one: the short form where the long one does not fit."""
    seen = hashlib.sha256(f"{copy.uri}{getattr(copy, 'etag', None)}".encode()).hexdigest()
    if isinstance(copy, ArtifactCopy):
        folder = f"s3://hub-bucket/{copy.destination}{seen}/"
        name = "" if copy.type == "prefix" else S3Uri.parse(copy.uri).basename
        if not copy.named and len(folder + name) > copy.longest:
            name = seen[16:24]
        return folder + name
    return f"{HUB}.dkr.ecr.us-east-1.amazonaws.com/{copy.repository}@{copy.digest or f'sha256:{seen}'}"


def copied(copies: Iterable[ArtifactCopy | ImageCopy]) -> dict[str, str]:
    """Map each location to the one that takes its place."""
    return {copy.uri: place(copy) for copy in copies}


def places(copies: Iterable[ArtifactCopy | ImageCopy]) -> Iterator[dict[str, Any]]:
    """Give a `replicator.steps.CopyResult` for each copy."""
    for copy in copies:
        pin = getattr(copy, "etag", None) or getattr(copy, "digest", None)
        yield {
            "kind": copy.kind,
            "uri": copy.uri,
            "destination": place(copy),
            "bytes": 1,
            "pin": pin,
            "checksum": None,
            "verified": "digest",
            "method": "server-side",
        }
