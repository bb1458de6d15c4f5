"""What an answer of S3 means: the one place where a botocore error becomes one of ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

from replicator.aws.lean_s3 import QUICK, SLOW, LeanS3
from replicator.aws.sessions import client_config
from replicator.errors import DENIED_CODES, KMS, ErrorCode, PermanentError, RetryableError, retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3
    from mypy_boto3_s3.client import S3Client

_ARCHIVED_CODES = frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"})
_MISSING_CODES = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "405", "MethodNotAllowed"})
# Gone with the next invocation, which has credentials of its own and perhaps another clock.
_PASSING_CODES = frozenset({"ExpiredToken", "RequestTimeTooSkewed"})
_UNMET_CODES = frozenset({"412", "PreconditionFailed"})
_CONFLICT_CODES = frozenset({"ConditionalRequestConflict"})
_BEYOND_CODES = frozenset({"416", "InvalidRange"})
MISMATCH_CODES = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})
"""Other bytes arrived, or are to become the object, than the request says."""
_REFUSED_CODES = MISMATCH_CODES | {
    "400", "EntityTooLarge", "EntityTooSmall", "InvalidArgument", "InvalidPart", "InvalidPartOrder",
    "InvalidRequest", "MalformedXML", "NoSuchBucket", "NoSuchUpload",
}  # fmt: skip


class S3Answer(Exception):
    """An answer that is not success and that the caller has to judge: only it knows what was asked."""

    def __init__(self, error: ClientError) -> None:
        details = error.response.get("Error", {})
        self.code = details.get("Code", "")
        self.bucket = str(details.get("BucketName", ""))
        """Which bucket it is about, where S3 says so."""
        super().__init__(f"{self.code}: {details.get('Message', '')}".rstrip(": "))


class Denied(S3Answer):
    """403: not allowed, another owner than expected, or hidden behind a missing permission to list."""


class Archived(S3Answer):
    """403, but because the object has to be restored first."""


class Missing(S3Answer):
    """No such object or version."""


class Unmet(S3Answer):
    """412: an ``If-Match`` or ``If-None-Match`` did not hold."""


class Conflict(S3Answer):
    """409: the key was written or deleted since the request, or the upload, began."""


class Beyond(S3Answer):
    """416: the object has not so many bytes."""


class Refused(S3Answer):
    """Anything else that trying again does not change."""


# What trying again does not change, by code.
_JUDGED: tuple[tuple[frozenset[str], type[S3Answer]], ...] = (
    (_ARCHIVED_CODES, Archived),
    (DENIED_CODES, Denied),
    (_MISSING_CODES, Missing),
    (_UNMET_CODES, Unmet),
    (_CONFLICT_CODES, Conflict),
    (_BEYOND_CODES, Beyond),
    (_REFUSED_CODES, Refused),
)


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Turn botocore's errors into `S3Answer`, or `RetryableError` where the same call may succeed later.

    Parameters
    ----------
    what
        The call and its object, for the message.
    """
    try:
        yield
    except ClientError as error:
        raise _answer(error, what) from error
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise RetryableError(
            ErrorCode.SERVICE_UNAVAILABLE, f"{what}: the connection failed: {error}"
        ) from error
    except BotoCoreError as error:
        raise PermanentError(ErrorCode.UNEXPECTED, f"{what}: {error}") from error


def _answer(error: ClientError, what: str) -> Exception:
    """Judge an answer by its code, and only where nothing is known of that by its status.

    S3 begins a long answer with 200 and may end it with an error, to which botocore gives the status 500:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html.
    """
    code = error.response.get("Error", {}).get("Code", "")
    if code in _PASSING_CODES:
        return RetryableError(ErrorCode.SERVICE_UNAVAILABLE, f"{what}: {error}")
    for codes, answer in _JUDGED:
        if code in codes:
            return answer(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if again := retryable(code, None if code.startswith(KMS) else status):
        return RetryableError(again, f"{what}: {error}")
    return Refused(error)


def s3_client(session: boto3.Session, region: str, streams: int, **more: Any) -> S3Client:
    """Make a client that ``streams`` threads share.

    botocore's 10 connections and 60 seconds would starve them: copying a large part takes S3 longer than
    that before it says anything but white space. What only describes or lists, and is asked while nothing else
    goes on, is asked again much sooner when S3 stalls. Checksums are asked for where they are wanted: left to
    itself botocore adds a CRC32 of each request, which an upload with another algorithm refuses.
    """
    config = client_config(
        max_pool_connections=streams + 4,
        read_timeout=SLOW,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # What we send is ours; to check its types again costs a tenth of every call.
        parameter_validation=False,
        **more,
    )
    # Nobody asks for the time of an object, and to read it takes longer than the rest of a listing.
    parsers = session._session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=str)
    client = session.client("s3", region_name=region, config=config)
    quick = session.client("s3", region_name=region, config=config.merge(Config(read_timeout=QUICK)))
    return cast("S3Client", LeanS3(client, quick, session))
