"""Conditions of requests: on what is read, on what is written, and on the source of a copy."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from local.evidence import Evidence, Rule
from local.s3.errors import S3Error, no_such_key, precondition_failed

if TYPE_CHECKING:
    from collections.abc import Mapping

RULES = (
    Rule(
        "s3-read-conditions",
        "GET and HEAD look at If-Match, If-Unmodified-Since (412), If-None-Match and If-Modified-Since (304), in this "
        "order; an ETag needs no quotes, and a time in the future is not looked at.",
        Evidence.RECORDED,
        "s3/put-preconditions.json",
    ),
    Rule(
        "s3-write-conditions",
        "If-None-Match: * and If-Match with an ETag are conditions of a write (412; 404 for If-Match without an "
        "object); any other value, and both together, are 501 NotImplemented.",
        Evidence.RECORDED,
        "s3/put-preconditions.json",
    ),
    Rule(
        "s3-copy-conditions",
        "A copy has these conditions on its destination, and four on its source (412).",
        Evidence.RECORDED,
        "s3/copy-preconditions.json",
    ),
    Rule(
        "s3-completion-conditions",
        "A completion with If-None-Match: * is 412 while the key exists; when the key was deleted, or with If-Match "
        "written, after the upload began, it is 409 ConditionalRequestConflict, and only a new upload helps.",
        Evidence.RECORDED,
        "s3/multipart-preconditions.json",
    ),
)

_NUMBERS = count(1)


def moment() -> int:
    """Return a number that is higher than all before: which of two things came first."""
    return next(_NUMBERS)


def note_written(key: Any) -> None:
    """Note on an object of moto when it was written."""
    key.written = moment()


def note_deleted(bucket: Any, name: str) -> None:
    """Note on a bucket of moto when a key was last deleted."""
    if not hasattr(bucket, "deleted"):
        bucket.deleted = {}
    bucket.deleted[name] = moment()


def check_read(headers: Mapping[str, str], key: Any) -> bool:
    """Say whether what is read is not modified, which is answered by 304.

    Raises
    ------
    S3Error
        412 PreconditionFailed.
    """
    failed = _failed(headers, key, prefix="")
    if failed in ("If-Match", "If-Unmodified-Since"):
        raise precondition_failed(failed)
    return failed is not None


def check_source(headers: Mapping[str, str], key: Any) -> None:
    """Check the conditions on the source of a copy.

    Raises
    ------
    S3Error
        412 PreconditionFailed.
    """
    if failed := _failed(headers, key, prefix="x-amz-copy-source-"):
        raise precondition_failed(failed)


def _failed(headers: Mapping[str, str], key: Any, prefix: str) -> str | None:
    """Return the first condition that does not hold.

    A condition on the ETag that holds makes the one on the time void:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    match, none_match = headers.get(f"{prefix}If-Match"), headers.get(f"{prefix}If-None-Match")
    written = key.last_modified.replace(microsecond=0, tzinfo=UTC)
    if match and not _same(match, key):
        return f"{prefix}If-Match"
    unmodified = _time(headers.get(f"{prefix}If-Unmodified-Since"))
    if unmodified and not match and written > unmodified:
        return f"{prefix}If-Unmodified-Since"
    if none_match and (none_match == "*" or _same(none_match, key)):
        return f"{prefix}If-None-Match"
    modified = _time(headers.get(f"{prefix}If-Modified-Since"))
    if modified and not none_match and written <= modified <= datetime.now(UTC):
        return f"{prefix}If-Modified-Since"
    return None


def _same(etag: str, key: Any) -> bool:
    return bool(etag.strip('"') == key.etag.strip('"'))


def _time(text: str | None) -> datetime | None:
    return parsedate_to_datetime(text) if text else None


def check_write(headers: Mapping[str, str], bucket: Any, name: str, begun: int | None = None) -> None:
    """Check the conditions on the object that is written over.

    Parameters
    ----------
    begun
        When the multipart upload was begun that is completed; see `moment`.

    Raises
    ------
    S3Error
        412, 404, 409 or 501; see `RULES`.
    """
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    _check_values(match, none_match)
    current = bucket.keys.get(name)
    if current is not None and not hasattr(current, "etag"):
        current = None  # a delete marker
    if none_match and current is not None:
        raise precondition_failed("If-None-Match")
    if match:
        if current is None:
            raise no_such_key(name)
        if not _same(match, current):
            raise precondition_failed("If-Match")
    if begun is None:
        return
    if none_match and getattr(bucket, "deleted", {}).get(name, 0) > begun:
        raise _conflict("If-None-Match", name)
    if match and current.written > begun:
        raise _conflict("If-Match", name)


def _check_values(match: str | None, none_match: str | None) -> None:
    if match and none_match:
        raise _not_implemented(
            "If-Match,If-None-Match", "Multiple conditional request headers present in the request"
        )
    for name, refused in (("If-None-Match", none_match and none_match != "*"), ("If-Match", match == "*")):
        if refused:
            raise _not_implemented(name, f"We don't accept the provided value of {name} header for this API")


def _not_implemented(header: str, why: str) -> S3Error:
    message = "A header you provided implies functionality that is not implemented"
    return S3Error("NotImplemented", message, 501, Header=header, additionalMessage=why)


def _conflict(condition: str, name: str) -> S3Error:
    message = "The conditional request cannot succeed due to a conflicting operation against this resource."
    return S3Error("ConditionalRequestConflict", message, 409, Condition=condition, Key=name)
