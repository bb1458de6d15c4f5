"""Attacks on the whole path: through the shipped templates and handlers, with IAM enforced.

A file is named after the attacker and what is attacked. The attackers:

- a **spoke**: who may register and update model packages and write artifacts in one registered spoke;
- a **sender**: who gets a message into the intake queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import SPOKE_A
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.landscape import Landscape

AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture(scope="session", autouse=True)
def _short_waits(short_waits: None) -> None:
    """Shorten the waits of every test of this folder."""


@pytest.fixture
def hub(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture
def spoke(deployment: Landscape, fresh: Callable[[str], str]) -> DataScientist:
    """Give the attacker in a spoke."""
    return DataScientist(deployment.aws, SPOKE_A, fresh("attack"))
