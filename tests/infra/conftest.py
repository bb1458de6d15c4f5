"""The stacks with their default parameters, made once."""

from __future__ import annotations

import pytest

from tests.infra import stacks


@pytest.fixture(scope="session")
def hub() -> stacks.Stack:
    return stacks.hub()


@pytest.fixture(scope="session")
def spoke() -> stacks.Stack:
    return stacks.spoke()
