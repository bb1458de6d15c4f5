"""How AWS says that a caller may not: what each attempt on a permission has to end with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.accounts import Credentials, LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

DENIED = {"AccessDenied", "AccessDeniedException", "AccessDenied.Queue", "AuthorizationError"}
"""Codes of S3, STS and most services; each has its own spelling."""


def code_of(attempt: Callable[[], Any]) -> str | None:
    """Give the error code that a call ends with, or None when it succeeds."""
    try:
        attempt()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def assert_denied(attempt: Callable[[], Any]) -> None:
    """Make a call that has to end with a denial, and with no other error: that would hide what IAM says."""
    code = code_of(attempt)
    if code is None:
        pytest.fail("it succeeded")
    assert code in DENIED, f"{code} is no denial"


def assume(aws: LocalAws, account: str, role: str, by: str, **tags: str) -> LocalSession:
    """Assume a role as another role of the same account, with session tags.

    Parameters
    ----------
    role
        ARN of the role.
    by
        Name of the role that assumes it.
    """
    found = aws.client("sts", account, by).assume_role(
        RoleArn=role,
        RoleSessionName="attack",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )["Credentials"]
    keys = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    return LocalSession(aws.endpoint, aws.region, keys)
