"""A local AWS for the requests that were recorded."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.server import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """One local AWS for a file: moto's state is one for the process, and other files reset it."""
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


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    """Give a client of S3."""
    return client("s3")


@pytest.fixture
def bucket(s3: Any, fresh: Callable[[str], str]) -> str:
    """Make a bucket and give its name."""
    name = fresh("recorded")
    s3.create_bucket(Bucket=name)
    return name
