"""What a manifest says: its children, its blobs, and whether an image like that can be mirrored at all."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from replicator.errors import ErrorCode, PermanentError

# https://github.com/opencontainers/image-spec/blob/v1.1.0/media-types.md
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
# https://distribution.github.io/distribution/spec/manifest-v2-2/
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT})
ACCEPT = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT))

# Amazon ECR's limits: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
MOST_MANIFEST_BYTES = 4 * 1024 * 1024
MOST_LAYER_BYTES = 52_000 * 1024 * 1024

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FOREIGN = re.compile(r"\.foreign\.|\.nondistributable\.")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A piece of content: what it is called by and how many bytes it has."""

    digest: str
    size: int
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index, with the bytes as the registry gave them: the digest is of these."""

    raw: bytes
    media_type: str
    digest: str
    children: tuple[Descriptor, ...] = ()
    """Manifests that an index names."""
    blobs: tuple[Descriptor, ...] = ()
    """Config and layers."""
    subject: str | None = None
    """Digest of the manifest that this one refers to, as a signature does."""


def digest_of(raw: bytes) -> str:
    """Give ``sha256:<hex>`` of some bytes."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def read_manifest(raw: bytes, content_type: str, image: str) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    raw
        As the registry gave it.
    content_type
        Of the answer; the manifest's own ``mediaType`` comes first.
    image
        Names the image in errors.

    Raises
    ------
    PermanentError
        ``REGISTRY_PROTOCOL`` when it is no manifest at all, ``IMAGE_UNSUPPORTED`` when Amazon ECR cannot
        hold such an image.
    """
    refuse_large(raw, image)
    document = _json_object(raw, content_type, image)
    media_type = _text(document.get("mediaType")) or content_type.partition(";")[0].strip()
    if document.get("schemaVersion") == 1:
        raise _unsupported(image, "it has a Docker schema 1 manifest; build and push it again")
    if media_type in INDEXES:
        children = tuple(_descriptor(entry, image) for entry in _entries(document, "manifests", image))
        blobs: tuple[Descriptor, ...] = ()
    elif media_type in MANIFESTS:
        children = ()
        entries = [*_entries(document, "layers", image), *_entries(document, "blobs", image)]
        if "config" in document:
            entries.insert(0, document["config"])
        blobs = tuple(_layer(entry, image) for entry in entries)
    else:
        raise _unsupported(
            image, f"its manifest is of the kind {media_type!r}, which Amazon ECR does not take"
        )
    subject = document.get("subject")
    return Manifest(
        raw,
        media_type,
        digest_of(raw),
        children,
        blobs,
        _descriptor(subject, image).digest if isinstance(subject, dict) else None,
    )


def refuse_large(raw: bytes, image: str) -> None:
    """Refuse a manifest that Amazon ECR does not take. What is longer came cut off, so this goes before its digest."""
    if len(raw) > MOST_MANIFEST_BYTES:
        raise _unsupported(image, "its manifest has more than the 4 MiB that Amazon ECR takes")


def _json_object(raw: bytes, content_type: str, image: str) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _protocol(image, f"a manifest was asked for and {content_type or 'something else'} came")
    return document


def _entries(document: dict[str, Any], member: str, image: str) -> list[Any]:
    entries = document.get(member) or []
    if not isinstance(entries, list):
        raise _protocol(image, f"the member {member!r} of its manifest is not a list")
    return entries


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _descriptor(entry: Any, image: str) -> Descriptor:
    try:
        digest, size = entry["digest"], entry["size"]
        media_type = _text(entry.get("mediaType"))
        fits = isinstance(size, int) and size >= 0 and isinstance(digest, str)
    except (TypeError, KeyError, AttributeError):
        fits = False
    if not fits:
        raise _protocol(image, "its manifest has an entry without digest or size")
    if not _DIGEST.fullmatch(digest):
        raise _unsupported(image, f"it names content by {digest[:80]!r}; only sha256 digests are taken")
    return Descriptor(digest, size, media_type)


def _layer(entry: Any, image: str) -> Descriptor:
    layer = _descriptor(entry, image)
    if _FOREIGN.search(layer.media_type) or entry.get("urls"):
        raise _unsupported(
            image,
            f"its layer {layer.digest} may not be distributed ({layer.media_type}) and is not in the registry; "
            "build the image on a base without such layers",
        )
    if layer.size > MOST_LAYER_BYTES:
        raise _unsupported(
            image, f"its layer {layer.digest} is larger than the 52,000 MiB that Amazon ECR takes"
        )
    return layer


def _unsupported(image: str, why: str) -> PermanentError:
    return PermanentError(ErrorCode.IMAGE_UNSUPPORTED, f"{image} cannot be mirrored: {why}.")


def _protocol(image: str, why: str) -> PermanentError:
    return PermanentError(
        ErrorCode.REGISTRY_PROTOCOL,
        f"{image}: {why}. Check that the registry's endpoint is not answered by a proxy or a login page.",
    )
