import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from replicator.aws.failures import translated
from replicator.errors import (
    ErrorCode,
    PermanentError,
    ReplicationError,
    RetryableError,
    read_coded,
)
from replicator.operations.failing import FailureRequest, read_failure


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Op",
    )


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (client_error("ThrottlingException"), RetryableError, ErrorCode.THROTTLED),
        (client_error("SlowDown", 503), RetryableError, ErrorCode.THROTTLED),
        (client_error("InternalFailure", 500), RetryableError, ErrorCode.SERVICE_UNAVAILABLE),
        (client_error("Whatever", 502), RetryableError, ErrorCode.SERVICE_UNAVAILABLE),
        (client_error("AccessDeniedException"), PermanentError, ErrorCode.HUB_ACCESS_DENIED),
        (client_error("403", 403), PermanentError, ErrorCode.HUB_ACCESS_DENIED),
        # Inside a 200 of S3, to which botocore gives the status 500.
        (client_error("AccessDenied", 500), PermanentError, ErrorCode.HUB_ACCESS_DENIED),
        (client_error("KMS.ThrottlingException"), RetryableError, ErrorCode.THROTTLED),
        (client_error("KMS.DependencyTimeoutException"), RetryableError, ErrorCode.SERVICE_UNAVAILABLE),
        (client_error("KMS.DisabledException"), PermanentError, ErrorCode.HUB_REFUSED),
        (client_error("ValidationException"), PermanentError, ErrorCode.HUB_REFUSED),
        (
            EndpointConnectionError(endpoint_url="http://x"),
            RetryableError,
            ErrorCode.SERVICE_UNAVAILABLE,
        ),
        (ParamValidationError(report="unknown parameter"), PermanentError, ErrorCode.HUB_REFUSED),
    ],
)
def test_an_error_of_the_sdk_is_tried_again_only_when_that_can_help(
    raised: Exception, kind: type[ReplicationError], code: ErrorCode
) -> None:
    with (
        pytest.raises(kind, match="doing it") as caught,
        translated("doing it", denied=ErrorCode.HUB_ACCESS_DENIED, otherwise=ErrorCode.HUB_REFUSED),
    ):
        raise raised
    assert caught.value.code is code


def test_a_code_survives_its_text() -> None:
    error = PermanentError(ErrorCode.SOURCE_CHANGED, "s3://b/k: changed, really")
    assert read_coded(str(error)) == (ErrorCode.SOURCE_CHANGED, "s3://b/k: changed, really")
    assert read_coded("SOURCE_CHANGED: a\nb") == (ErrorCode.SOURCE_CHANGED, "a\nb")
    assert read_coded("KeyError: 'x'") == (ErrorCode.UNEXPECTED, "KeyError: 'x'")


def failure(error: str, cause: str) -> FailureRequest:
    return FailureRequest(source_arn="arn", attempt=1, error={"Error": error, "Cause": cause})


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        (
            failure(
                "PermanentError",
                json.dumps({"errorType": "PermanentError", "errorMessage": "SOURCE_OBJECT_MISSING: gone"}),
            ),
            ErrorCode.SOURCE_OBJECT_MISSING,
            "gone",
        ),
        (
            failure("KeyError", json.dumps({"errorType": "KeyError", "errorMessage": "'x'"})),
            ErrorCode.UNEXPECTED,
            "KeyError: 'x'",
        ),
        (failure("States.Timeout", ""), ErrorCode.TIMED_OUT, "States.Timeout"),
        (
            failure("Sandbox.Timedout", json.dumps({"errorMessage": "RequestId: 1 Error: Task timed out after 60 s"})),
            ErrorCode.TIMED_OUT,
            "60 s",
        ),
        (failure("States.DataLimitExceeded", "too big"), ErrorCode.UNEXPECTED, "too big"),
        (failure("PermanentError", "UNVERSIONED: no group"), ErrorCode.UNVERSIONED, "no group"),
    ],
)  # fmt: skip
def test_what_step_functions_caught_becomes_a_code_and_a_reason(
    request_: FailureRequest, code: ErrorCode, said: str
) -> None:
    found, reason = read_failure(request_)
    assert found is code
    assert said in reason
