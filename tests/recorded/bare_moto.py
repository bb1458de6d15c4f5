"""Says when bare moto does what a patch of the local AWS does, so that the patch can go.

A test makes a request against moto without any patch and asserts that the answer still differs::

    def test_completion_in_null_mode(bare: BareMoto) -> None:
        with bare.differs("(FakeMultipart, complete)"):
            assert ...what AWS answers...

The block states what real AWS does. While moto differs, the assertion (or the call) fails, and the test passes; when
moto learns it, the block runs through, and the test fails with the message of `LEARNED`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"
LEARNED = "bare moto does this now: remove the patch"


class BareMoto:
    """moto without the local AWS around it, and what it is asked."""

    def client(self, service: str) -> Any:
        """Give a client that tries once, and sends only the checksums that it is told to send."""
        config = Config(request_checksum_calculation="when_required", retries={"total_max_attempts": 1})
        return boto3.Session().client(  # type: ignore[call-overload] # by a name that is no literal
            service, region_name=REGION, aws_access_key_id="bare", aws_secret_access_key="bare", config=config
        )

    @contextmanager
    def differs(self, patch: str) -> Iterator[None]:
        """Pass while what the block states about AWS is not so; ``patch`` names what makes it so."""
        try:
            yield
        except (Exception, pytest.fail.Exception):  # noqa: BLE001, RUF100 - moto also fails in ways of its own
            return
        pytest.fail(f"{LEARNED}: {patch}")


@contextmanager
def bare_moto() -> Iterator[BareMoto]:
    """Run moto in this process, without the local AWS."""
    with mock_aws():
        yield BareMoto()


def code_of(call: Any) -> str:
    """Return the code of a refusal; fail when there is none."""
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])
