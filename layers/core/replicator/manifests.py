"""Manifests of model data: a CSV file that lists where the artifacts are.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html says no more of the
form than that. So a manifest is rewritten cell by cell: a cell that is a location below the data source's
own is moved with it, any other text stays to the letter, and a location elsewhere is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from replicator.errors import ErrorCode, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from replicator.steps import ArtifactCopy, CopyResult, ImageCopy

# A location ends where a cell, a line or a quotation does.
_IN_LOCATION = r"[^\s,;\"']"


class ForeignLocationError(ValueError):
    """A manifest lists a location that is not below its data source's own."""


def refuse_manifests_that_point_past(
    copies: Iterable[ArtifactCopy | ImageCopy], results: Iterable[CopyResult], locations: Mapping[str, str]
) -> None:
    """Raise `PermanentError` when a manifest says that what it lists is elsewhere than its copy is.

    Manifest and prefix are copied side by side, and each looks at the prefix for itself: it may have changed
    in between.
    """
    said = {result.uri: result.base for result in results if result.base}
    for copy in copies:
        base = copy.base if copy.kind == "artifact" else None
        if base and copy.uri in said and said[copy.uri] != locations.get(base.uri):
            raise PermanentError(
                ErrorCode.SOURCE_CHANGED,
                f"{base.uri} changed while it was copied: the copy of the manifest {copy.uri} points to "
                f"{said[copy.uri]}, and it went to {locations.get(base.uri)}. See that nobody writes there any "
                f"more, then redrive; or register and approve a new version of the package.",
            )


def rewrite_manifest(text: str, base: str, moved: str) -> str:
    """Rewrite the locations in a manifest.

    Parameters
    ----------
    text
        The manifest.
    base, moved
        Where the data source is, and where it is in the hub. Both end with a slash when they are prefixes.
        The base may itself have what ends other locations, a space or a comma.
    """
    below = "" if base.endswith("/") else rf"(?!{_IN_LOCATION})"
    locations = re.compile(rf"{re.escape(base)}{below}|s3://{_IN_LOCATION}+")

    def move(found: re.Match[str]) -> str:
        if found[0] == base:
            return moved
        raise ForeignLocationError(found[0])

    return locations.sub(move, text)
