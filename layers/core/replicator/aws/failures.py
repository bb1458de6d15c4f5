"""Turns what botocore raises into the project's two kinds of error, in one place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    ClientError,
    HTTPClientError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)

from replicator.errors import DENIED_CODES, ErrorCode, PermanentError, RetryableError, retryable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@contextmanager
def translated(doing: str, *, denied: ErrorCode, otherwise: ErrorCode, advice: str = "") -> Iterator[None]:
    """Translate what botocore raises in the block.

    Parameters
    ----------
    doing
        What was tried, with the ARN, for the message: "describing arn:...".
    denied
        The code for a denied call.
    otherwise
        The code for any other error that trying again cannot help.
    advice
        What to do about it.
    """
    tail = f" {advice}" if advice else ""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        said = error.response["Error"].get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if again := retryable(code, status):
            raise RetryableError(again, f"{doing}: AWS says {code}: {said}") from error
        chosen = denied if code in DENIED_CODES or status == 403 else otherwise
        raise PermanentError(chosen, f"{doing}: AWS says {code}: {said}.{tail}") from error
    except ParamValidationError as error:
        raise PermanentError(otherwise, f"{doing}: the SDK refuses the request: {error}.{tail}") from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise RetryableError(ErrorCode.SERVICE_UNAVAILABLE, f"{doing}: {error}") from error


def in_hub(doing: str) -> AbstractContextManager[None]:
    """Translate what botocore raises for a call on what the hub's own stack made and allows."""
    return translated(
        doing,
        denied=ErrorCode.HUB_ACCESS_DENIED,
        otherwise=ErrorCode.HUB_REFUSED,
        advice="Deploy the hub's stack again, then redrive what failed.",
    )
