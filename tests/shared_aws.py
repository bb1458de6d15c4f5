"""One local AWS for a test session, and the shipped stacks in it: fixtures of several folders.

A plugin and no conftest, for a process can have one local AWS only: a fixture that two conftests import is two.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.endpoint
import pytest

from local.landscape import Landscape, deploy_all
from local.sagemaker import ArnSpelling
from local.server import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _ShortWaits:
    """Stands for the module ``time`` where botocore waits before it tries again: a fiftieth is enough here."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds * 0.02)


@pytest.fixture(scope="session")
def short_waits() -> Iterator[None]:
    """Let the SDK in this process try as often as ever, but sooner. Functions run in processes of their own."""
    with mock.patch.object(botocore.endpoint, "time", _ShortWaits()):
        yield


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory, short_waits: None) -> Iterator[LocalAws]:
    """One local AWS for the session, in which waits before a retry are cut to a fiftieth."""
    with LocalAws(root=tmp_path_factory.mktemp("local-aws")) as aws:
        aws.state_machines.wait_factor = 0.02
        yield aws


@pytest.fixture(scope="session")
def deployment(local_aws: LocalAws) -> Landscape:
    """Hub and spokes from ``template.yaml`` and ``spoke.yaml`` of the source tree."""
    return deploy_all(local_aws)


@pytest.fixture(params=ArnSpelling)
def spelling(deployment: Landscape, request: pytest.FixtureRequest) -> Iterator[ArnSpelling]:
    """How the registries spell what the test registers."""
    registry = deployment.aws.registry
    before, registry.arn_spelling = registry.arn_spelling, request.param
    yield request.param
    registry.arn_spelling = before


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Give a name that no other test has: ``fresh("bucket")``."""
    return lambda kind: f"{kind}-{uuid.uuid4().hex[:12]}"
