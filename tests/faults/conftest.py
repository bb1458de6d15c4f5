"""One world for the tests of this folder: they make groups and buckets of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.sagemaker import ArnSpelling
from tests.faults.models import Models
from tests.faults.scenarios import Scenarios
from tests.faults.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package")
def _world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """Give the world, at rest and with no strike armed; what a test leaves is finished, and its letters forgotten."""
    _world.begin()
    yield _world
    _world.begin()
    _world.meanwhile = None
    _world.seconds_left.clear()
    _world.settle()
    _world.forget_letters()


@pytest.fixture(scope="package")
def models(_world: World) -> Models:
    """Give the objects and the image that most versions use."""
    return Models(_world)


@pytest.fixture
def in_lower_case(_world: World) -> Iterator[None]:
    """Let the ARNs of what the test registers spell groups in lower case; each of ours has a capital."""
    _world.aws.registry.arn_spelling = ArnSpelling.LOWER_CASE
    yield
    _world.aws.registry.arn_spelling = ArnSpelling.AS_WRITTEN


@pytest.fixture(scope="package")
def scenarios_in_lower_case(models: Models) -> Scenarios:
    """Give scenarios whose versions were all registered when ARNs were in lower case."""
    return Scenarios(models)


@pytest.fixture(scope="package")
def scenarios(models: Models) -> Scenarios:
    """Give what happens to versions in the tests that strike every request."""
    return Scenarios(models)
