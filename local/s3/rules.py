"""The limits of S3, and what every request is asked before it is handled."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from local.evidence import Evidence, Rule
from local.s3 import storage
from local.s3.errors import S3Error, access_denied, no_such_upload

RULES = (
    Rule(
        "s3-expected-bucket-owner",
        "A request that expects another owner of the bucket is 403 AccessDenied, one that expects no account id 400 "
        "InvalidBucketOwnerAWSAccountID.",
        Evidence.RECORDED,
        "s3/owners-heads-ranges.json",
    ),
    Rule(
        "s3-unknown-upload",
        "A multipart upload that was never begun, was aborted or completed is 404 NoSuchUpload.",
        Evidence.RECORDED,
        "s3/multipart-errors-and-lists.json",
    ),
)

_MIB = 1024 * 1024
_GIB = 1024 * _MIB


@dataclass
class S3Rules:
    """The limits of S3, which tests make smaller, and who is kept out.

    Parameters
    ----------
    largest_copy
        Bytes of the source of a CopyObject, and of the range of an UploadPartCopy.
    smallest_part
        Bytes of a part that is not the last.
    longest_page
        Objects or versions in one answer of a listing.
    denied
        (bucket, account): principals of the account may not read from the bucket. For tests that have no
        IAM in front of the server.
    writing
        Held while a write looks at its conditions and is made.
    """

    largest_copy: int = 5 * _GIB
    smallest_part: int = 5 * _MIB
    longest_page: int = 1000
    denied: set[tuple[str, str]] = field(default_factory=set)
    writing: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def check_reader(self, request: Any, bucket: Any) -> None:
        """Refuse a reader who is kept out."""
        if (bucket.name, request.current_account) in self.denied:
            raise access_denied()


def check_request(request: Any, bucket_name: str | None, key_name: str | None, rules: S3Rules) -> None:
    """Refuse what S3 refuses whatever the operation. ``request`` is moto's response object for it.

    Raises
    ------
    S3Error
        See `RULES`.
    """
    if not bucket_name:
        return
    try:
        bucket = storage.find_bucket(request.backend, bucket_name)
    except S3Error:
        return  # the operation says so
    _check_owner(request.headers.get("x-amz-expected-bucket-owner"), bucket)
    if request.request.method in ("GET", "HEAD"):
        rules.check_reader(request, bucket)
    if upload_id := request.querystring.get("uploadId"):
        _check_upload(bucket, upload_id[0], request.request.method)


def _check_owner(expected: str | None, bucket: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html."""
    if not expected:
        return
    if not (len(expected) == 12 and expected.isdigit()):
        message = (
            f"The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]"
        )
        raise S3Error("InvalidBucketOwnerAWSAccountID", message)
    if expected != bucket.account_id:
        raise access_denied()


def _check_upload(bucket: Any, upload_id: str, method: str) -> None:
    """Refuse an upload that is gone; to complete it again (POST) may be harmless, so the completion decides."""
    if upload_id not in bucket.multiparts and method != "POST":
        raise no_such_upload(upload_id)
