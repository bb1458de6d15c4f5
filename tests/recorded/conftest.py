"""A local AWS for the requests that were recorded."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.server import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"


@pytest.fixture(scope="package")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One local AWS for this folder. It ends before that of ``tests/integration`` begins: see the order there."""
    with LocalAws(root=tmp_path_factory.mktemp("local-aws"), region="us-east-1") as running:
        running.state_machines.wait_factor = 0.02
        yield running


@pytest.fixture
def client(aws: LocalAws) -> Callable[[str], Any]:
    """Give a client of a service in the account 111111111111: ``client("s3")``."""
    return lambda service: aws.client(service, ACCOUNT)


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Give a name that no other test has: ``fresh("bucket")``."""
    return lambda kind: f"{kind}-{uuid.uuid4().hex[:12]}"
