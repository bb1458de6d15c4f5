"""The multipart uploads that are open in the hub's bucket, of all spokes: to be found and thrown away.

The copy engine has its own view of them, of one spoke at a time (`replicator.aws.artifact_uploads`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import boto3
    from mypy_boto3_s3.client import S3Client

_PREFIX = "models/"


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload, and when it was begun."""

    key: str
    id: str
    initiated: datetime


def uploads_of(client: S3Client, prefix: str, owned: Mapping[str, Any]) -> Iterator[OpenUpload]:
    """List the uploads that are open under a prefix of a bucket, page by page.

    Keys are asked for as they are in a URL: one with a control character would make an XML that nobody can
    read, and hide all others. botocore does that by itself for objects, and not for uploads.
    """
    marker: dict[str, Any] = {}
    while True:
        page = client.list_multipart_uploads(Prefix=prefix, EncodingType="url", **marker, **owned)
        read = unquote_plus if page.get("EncodingType") == "url" else str
        for upload in page.get("Uploads", []):
            yield OpenUpload(read(upload["Key"]), upload["UploadId"], upload["Initiated"])
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": read(page["NextKeyMarker"]), "UploadIdMarker": page["NextUploadIdMarker"]}


class OpenUploads:
    """Those of one bucket.

    Parameters
    ----------
    session
        The function's own.
    bucket, owner
        The hub's bucket, and the account that has to own it.
    """

    def __init__(self, session: boto3.Session, bucket: str, owner: str) -> None:
        self._client: S3Client = session.client("s3", config=client_config())
        self._owned: dict[str, Any] = {"Bucket": bucket, "ExpectedBucketOwner": owner}

    def list(self) -> Iterator[OpenUpload]:
        """List them, page by page."""
        with in_hub(f"listing the uploads of {self._owned['Bucket']}"):
            yield from uploads_of(self._client, _PREFIX, self._owned)

    def abort(self, upload: OpenUpload) -> None:
        """Throw one away; one that is gone already is no error."""
        with in_hub(f"aborting the upload of s3://{self._owned['Bucket']}/{upload.key}"):
            try:
                self._client.abort_multipart_upload(Key=upload.key, UploadId=upload.id, **self._owned)
            except self._client.exceptions.NoSuchUpload:
                return
