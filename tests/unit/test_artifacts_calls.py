import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError, SSLError

from replicator.aws.artifact_calls import answers
from replicator.errors import ErrorCode, RetryableError


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="http://x"),
        EndpointConnectionError(endpoint_url="http://x"),
        ReadTimeoutError(endpoint_url="http://x"),
        SSLError(endpoint_url="http://x", error=OSError("reset")),
    ],
)
def test_a_connection_that_fails_is_tried_again(error: Exception) -> None:
    with pytest.raises(RetryableError, match="CopyObject of it") as caught, answers("CopyObject of it"):
        raise error
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
