"""A hub and its spokes for one file of tests, emptied before each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.artifact_world import World, emptied, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with serving() as world:
        yield world


@pytest.fixture
def aws(running: World) -> World:
    return emptied(running)
