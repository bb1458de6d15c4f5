"""What Amazon S3 refuses and moto lets through: looked at before moto handles a request.

Sources, as far as a rule does not name its own:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from moto.s3.exceptions import (
    InvalidObjectState,
    MissingKey,
    MissingVersion,
    NoSuchUpload,
    PreconditionFailed,
    S3AccessDeniedError,
    S3ClientError,
)
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES, compute_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
ALGORITHMS = ("CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1")


@dataclass
class S3Rules:
    """The limits of S3, which tests make smaller, and who is kept out.

    Parameters
    ----------
    largest_copy
        Bytes of the source of a CopyObject, and of the range of an UploadPartCopy.
    smallest_part
        Bytes of a part that is not the last.
    denied
        (bucket, account): principals of the account may not read from the bucket. For tests that have no
        IAM in front of the server.
    """

    largest_copy: int = 5 * _GIB
    smallest_part: int = 5 * _MIB
    denied: set[tuple[str, str]] = field(default_factory=set)


def check_request(request: Any, bucket_name: str | None, key_name: str | None, rules: S3Rules) -> None:
    """Refuse what S3 refuses. ``request`` is moto's response object for it."""
    backend = request.backend
    bucket = _existing(backend, bucket_name)
    if bucket is None:
        return
    expected = request.headers.get("x-amz-expected-bucket-owner")
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    if expected and expected != bucket.account_id:
        raise S3AccessDeniedError
    method = request.request.method
    if method in ("GET", "HEAD"):
        _check_reader(request, bucket, rules)
        if key_name and "uploadId" not in request.querystring:
            _check_managed_key(request, bucket, key_name)
    if upload_id := request.querystring.get("uploadId"):
        _check_upload(bucket, key_name, upload_id[0], method)
    if method == "PUT" and "x-amz-copy-source" in request.headers:
        _check_copy(request, bucket, key_name or "", rules)
    elif method == "PUT" and key_name and not _SUBRESOURCES & set(request.querystring):
        check_body(request.headers, request.body or b"")


_SUBRESOURCES = {"acl", "tagging", "retention", "legal-hold"}


def _existing(backend: Any, bucket_name: str | None) -> Any:
    try:
        return backend.get_bucket(bucket_name) if bucket_name else None
    except S3ClientError:
        return None


def _check_reader(request: Any, bucket: Any, rules: S3Rules) -> None:
    if (bucket.name, request.current_account) in rules.denied:
        raise S3AccessDeniedError


def _check_managed_key(request: Any, bucket: Any, key_name: str) -> None:
    """Keep everybody but principals of the owner's account from an object under ``aws/s3``.

    https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk. A HEAD decrypts
    only when it asks for checksums:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html.
    """
    if request.request.method == "HEAD" and request.headers.get("x-amz-checksum-mode") != "ENABLED":
        return
    key = request.backend.get_object(
        bucket.name, key_name, version_id=request.querystring.get("versionId", [None])[0]
    )
    if key is not None and _is_foreign_and_managed(request, bucket, key):
        raise S3AccessDeniedError


def _is_foreign_and_managed(request: Any, bucket: Any, key: Any) -> bool:
    managed = key.kms_key_id is None or key.kms_key_id.endswith("alias/aws/s3")
    return bool(key.encryption == "aws:kms" and managed and request.current_account != bucket.account_id)


def _check_upload(bucket: Any, key_name: str | None, upload_id: str, method: str) -> None:
    """Say that an upload is gone once it was completed or aborted; to complete it again is harmless.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    if upload_id in bucket.multiparts:
        return
    existing = bucket.keys.getlist(key_name, [])
    completed = any(getattr(getattr(key, "multipart", None), "id", None) == upload_id for key in existing)
    if not (method == "POST" and completed):
        raise NoSuchUpload(upload_id=upload_id)


def copy_source(request: Any) -> tuple[Any, Any]:
    """Find the bucket and the object that ``x-amz-copy-source`` names."""
    parsed = urlsplit(request.headers["x-amz-copy-source"])
    bucket_name, key_name = unquote(parsed.path).lstrip("/").split("/", 1)
    version_id = parse_qs(parsed.query).get("versionId", [None])[0]
    bucket = request.backend.get_bucket(bucket_name)
    key = request.backend.get_object(bucket_name, key_name, version_id=version_id)
    if key is None:
        raise MissingVersion(key_name, version_id) if version_id else MissingKey(key_name)
    return bucket, key


def _check_copy(request: Any, target: Any, key_name: str, rules: S3Rules) -> None:
    bucket, key = copy_source(request)
    headers = request.headers
    owner = headers.get("x-amz-source-expected-bucket-owner")
    if owner and owner != bucket.account_id:
        raise S3AccessDeniedError
    _check_reader(request, bucket, rules)
    if _is_foreign_and_managed(request, bucket, key):
        raise S3AccessDeniedError
    wanted = headers.get("x-amz-copy-source-if-match")
    if wanted and wanted.strip('"') != key.etag.strip('"'):
        raise PreconditionFailed("x-amz-copy-source-If-Match")
    if "uploadId" in request.querystring:
        _check_range(headers, key, rules)
        return
    if headers.get("If-None-Match") == "*" and request.backend.get_object(target.name, key_name):
        raise PreconditionFailed("If-None-Match")
    if key.size > rules.largest_copy:
        raise _too_large(rules)


def _check_range(headers: Mapping[str, str], key: Any, rules: S3Rules) -> None:
    restored = 'ongoing-request="false"' in key.response_dict.get("x-amz-restore", "")
    if key.storage_class in ARCHIVE_STORAGE_CLASSES and not restored:
        raise InvalidObjectState(key.storage_class)
    first, last = 0, key.size - 1
    if wanted := headers.get("x-amz-copy-source-range"):
        first, last = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
    if last >= key.size or first > last:
        raise S3ClientError(
            "InvalidArgument", f"Range specified is not valid for source object of size: {key.size}"
        )
    if last - first + 1 > rules.largest_copy:
        raise _too_large(rules)


def _too_large(rules: S3Rules) -> S3ClientError:
    return S3ClientError(
        "InvalidRequest",
        "The specified copy source is larger than the maximum allowable size for a copy source: "
        f"{rules.largest_copy}",
    )


def check_body(headers: Mapping[str, str], body: bytes) -> None:
    """Compare a body with the MD5 and the checksums that came with it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
    """
    given = headers.get("Content-MD5")
    if given and base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode() != given:
        raise S3ClientError("BadDigest", "The Content-MD5 you specified did not match what we received.")
    check_checksums(headers, lambda algorithm: checksum_of(body, algorithm))


def check_checksums(headers: Mapping[str, str], actual: Callable[[str], str]) -> None:
    """Compare the checksums in the headers of a request with the actual ones."""
    for algorithm in ALGORITHMS:
        given = headers.get(f"x-amz-checksum-{algorithm.lower()}")
        if given and given != actual(algorithm):
            raise S3ClientError(
                "BadDigest", f"The {algorithm} you specified did not match the calculated checksum."
            )


def checksum_of(body: bytes, algorithm: str) -> str:
    """Compute a checksum the way S3 writes it: base64."""
    return str(compute_checksum(body, algorithm).decode())
