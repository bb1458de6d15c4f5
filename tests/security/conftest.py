"""Attacks on the whole path: through the shipped templates and handlers, with IAM enforced.

A file is named after the attacker and what is attacked. The attackers:

- a **spoke**: who may register and update model packages and write artifacts in one registered spoke;
- a **person in the hub**: who has one narrow right there;
- a **role**: who has one function of the hub in hand;
- a **sender**: who gets a message into the intake queue, or into the dead-letter queue;
- a **consumer**: an account that may read the mirrors;
- a **stranger**: any other account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.accounts import ensure_persona
from local.deploy import deploy
from local.landscape import BREAK_GLASS, ROOT
from tests.integration.conftest import HUB, SPOKE_A
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.landscape import Landscape

CONSUMER, STRANGER = "777777777777", "444444444444"
SHARED = "shared-hub"
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


@pytest.fixture(scope="session")
def shared_hub(deployment: Landscape) -> Hub:
    """Give a second hub, which has a consumer and follows the spoke's approvals; the first spoke serves both."""
    options = {
        "Namespace": SHARED,
        "SpokeAccounts": SPOKE_A,
        "ConsumerAccounts": CONSUMER,
        "HubApprovalStatus": "Mirrored",
        "GroupNameTemplate": "shared-{account}-{group}",
        "BreakGlassRoleArn": ensure_persona(HUB, BREAK_GLASS),
    }
    stack = deploy(deployment.aws, HUB, ROOT / "template.yaml", options, SHARED)
    serves = {
        "Namespace": SHARED,
        "HubAccount": HUB,
        "PolicyBucket": "",
        "GroupPrefix": SHARED,
        "ForwardedStatuses": "Approved,Rejected",
    }
    deploy(deployment.aws, SPOKE_A, ROOT / "spoke.yaml", serves, SHARED)
    return Hub(deployment.aws, stack, SHARED)
