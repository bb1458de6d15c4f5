"""What can go wrong, whether trying again can help, and the one table from AWS error codes to that.

Step Functions and Lambda match errors by the name of the exception's class, so there are exactly two:
`RetryableError` is tried again, `PermanentError` goes to the dead-letter queue at the first try. What
happened is in the `ErrorCode`, which stands in front of the message: ``CODE: sentence``.
"""

from __future__ import annotations

import re
from enum import StrEnum

from replicator.redaction import redacted
from replicator.visible import visible


class ErrorCode(StrEnum):
    """Every code that reaches the ledger, the dead-letter queue, the events and the metrics."""

    # The message
    MALFORMED_EVENT = "MALFORMED_EVENT"
    WRONG_SOURCE = "WRONG_SOURCE"
    ACCOUNT_MISMATCH = "ACCOUNT_MISMATCH"
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    OWN_ACCOUNT = "OWN_ACCOUNT"
    REGION_NOT_SERVED = "REGION_NOT_SERVED"
    UNVERSIONED = "UNVERSIONED"
    # The package
    PACKAGE_NOT_FOUND = "PACKAGE_NOT_FOUND"
    SOURCE_REPLACED = "SOURCE_REPLACED"
    PACKAGE_NOT_COMPLETED = "PACKAGE_NOT_COMPLETED"
    MARKETPLACE_PRODUCT = "MARKETPLACE_PRODUCT"
    RESTRICTED_STORAGE = "RESTRICTED_STORAGE"
    PRIVATE_HUB_CONTENT = "PRIVATE_HUB_CONTENT"
    SOURCE_ALGORITHM_ONLY = "SOURCE_ALGORITHM_ONLY"
    EULA_NOT_ACCEPTED = "EULA_NOT_ACCEPTED"
    FOREIGN_REGISTRY = "FOREIGN_REGISTRY"
    FOREIGN_REGION = "FOREIGN_REGION"
    INVALID_LOCATION = "INVALID_LOCATION"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    # What it points to
    SOURCE_OBJECT_MISSING = "SOURCE_OBJECT_MISSING"
    SOURCE_PREFIX_EMPTY = "SOURCE_PREFIX_EMPTY"
    SOURCE_ARCHIVED = "SOURCE_ARCHIVED"
    SOURCE_CHANGED = "SOURCE_CHANGED"
    SOURCE_ACCESS_DENIED = "SOURCE_ACCESS_DENIED"
    SOURCE_OWNER_MISMATCH = "SOURCE_OWNER_MISMATCH"
    SOURCE_IMAGE_MISSING = "SOURCE_IMAGE_MISSING"
    IMAGE_UNSUPPORTED = "IMAGE_UNSUPPORTED"
    IMAGE_REJECTED = "IMAGE_REJECTED"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    REGISTRY_PROTOCOL = "REGISTRY_PROTOCOL"
    # The hub
    HUB_ACCESS_DENIED = "HUB_ACCESS_DENIED"
    HUB_REFUSED = "HUB_REFUSED"
    GROUP_NAME_TAKEN = "GROUP_NAME_TAKEN"
    MIRROR_DELETED = "MIRROR_DELETED"
    LEDGER_VERSION = "LEDGER_VERSION"
    # The run
    NO_PROGRESS = "NO_PROGRESS"
    TIMED_OUT = "TIMED_OUT"
    EXECUTION_GONE = "EXECUTION_GONE"
    THROTTLED = "THROTTLED"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    CONFIGURATION = "CONFIGURATION"
    UNEXPECTED = "UNEXPECTED"


class ReplicationError(Exception):
    """An error with a code and a sentence that says what happened, to what, and what to do.

    Parameters
    ----------
    code
        What happened.
    message
        A sentence for the person who finds it in the dead-letter queue: it names the ARN, the object or
        the image, and what to do about it. Secrets are taken out of it, and what has no shape is spelled out.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code = code
        self.message = visible(redacted(message))
        super().__init__(f"{code}: {self.message}")


class RetryableError(ReplicationError):
    """The same call may succeed later: throttling, a server's fault, a time-out."""


class PermanentError(ReplicationError):
    """Trying again cannot help until somebody changes something."""


_CODED = re.compile(r"^(?P<code>[A-Z][A-Z_]+): (?P<message>.*)$", re.DOTALL)


def read_coded(text: str) -> tuple[ErrorCode, str]:
    """Split ``CODE: sentence`` as `ReplicationError` writes it; anything else is `UNEXPECTED`."""
    found = _CODED.match(text)
    if found and found["code"] in ErrorCode.__members__:
        return ErrorCode(found["code"]), found["message"]
    return ErrorCode.UNEXPECTED, text


# The error codes that botocore's own standard retry mode calls throttling or transient, and those that
# S3, ECR, SageMaker, SQS and DynamoDB document for the same.
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded", "LimitExceededException", "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
        "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling", "ThrottlingException",
        "TooManyRequestsException", "TransactionInProgressException", "EC2ThrottledException",
    }
)  # fmt: skip
TRANSIENT_CODES = frozenset(
    {
        "InternalError", "InternalFailure", "InternalServerError", "InternalServerException",
        "RequestTimeout", "RequestTimeoutException", "ServerException", "ServiceException",
        "ServiceUnavailable", "ServiceUnavailableException", "500", "502", "503", "504",
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html: "can be retried"
        "DependencyTimeoutException", "KMSInternalException", "KeyUnavailableException",
    }
)  # fmt: skip
DENIED_CODES = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "403", "Forbidden", "AuthorizationError",
        "UnauthorizedOperation", "KMS.AccessDeniedException",
    }
)  # fmt: skip


KMS = "KMS."
"""Begins the code of an error that another service hands on from KMS."""


def retryable(code: str, http_status: int | None = None) -> ErrorCode | None:
    """Say with which code an AWS error may be tried again, or None when trying again cannot help.

    The code goes before the status: a denial that comes inside a 200 has the status 500 with botocore.
    """
    bare = code.removeprefix(KMS)
    if bare in THROTTLING_CODES:
        return ErrorCode.THROTTLED
    if bare in TRANSIENT_CODES:
        return ErrorCode.SERVICE_UNAVAILABLE
    if code in DENIED_CODES or http_status is None:
        return None
    if http_status == 429:
        return ErrorCode.THROTTLED
    return ErrorCode.SERVICE_UNAVAILABLE if http_status >= 500 else None
