"""Manifests of model data: a CSV file that lists where the artifacts are.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html says no more of the
form than that. So a manifest is rewritten cell by cell: a cell that is a location below the data source's
own is moved with it, any other text stays to the letter, and a location elsewhere is refused.
"""

from __future__ import annotations

import re

# A location ends where a cell, a line or a quotation does.
_LOCATION = re.compile(r"s3://[^\s,;\"']+")


class ForeignLocationError(ValueError):
    """A manifest lists a location that is not below its data source's own."""


def rewrite_manifest(text: str, base: str, moved: str) -> str:
    """Rewrite the locations in a manifest.

    Parameters
    ----------
    text
        The manifest.
    base, moved
        Where the data source is, and where it is in the hub. Both end with a slash when they are prefixes.
    """

    def move(found: re.Match[str]) -> str:
        location = found[0]
        if location == base or (base.endswith("/") and location.startswith(base)):
            return moved + location.removeprefix(base)
        raise ForeignLocationError(location)

    return _LOCATION.sub(move, text)
