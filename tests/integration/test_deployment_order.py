"""The order in which hub and spokes are deployed, updated and removed: the hub first, and what happens otherwise."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import DeployError, Stack, delete, deploy
from local.landscape import ROOT
from tests.integration.conftest import receive_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

HUB, SPOKE = "333333333361", "333333333362"
KIND = "SageMaker Model Package State Change"


class Order:
    """One hub and one spoke of their own, deployed step by step."""

    def __init__(self, aws: LocalAws, namespace: str) -> None:
        self.aws, self.namespace = aws, namespace

    def hub(self, *spokes: str) -> Stack:
        parameters = {"Namespace": self.namespace, "SpokeAccounts": ",".join(spokes)}
        return deploy(self.aws, HUB, ROOT / "template.yaml", parameters, self.namespace)

    def spoke(self, **parameters: str) -> Stack:
        known = {"Namespace": self.namespace, "HubAccount": HUB, **parameters}
        return deploy(self.aws, SPOKE, ROOT / "spoke.yaml", known, self.namespace)

    def rules(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.aws.client("events", SPOKE).list_rules(NamePrefix=self.namespace)[
            "Rules"
        ]
        return found

    def undelivered(self, stack: Stack) -> list[str]:
        """Approve a version in the spoke, and give the codes with which its event came back."""
        detail = {"ModelApprovalStatus": "Approved", "ModelPackageGroupName": "churn"}
        self.aws.emit(SPOKE, "aws.sagemaker", KIND, detail)
        found = receive_all(self.aws, SPOKE, stack.outputs["UndeliverableQueueUrl"])
        return [message["MessageAttributes"]["ERROR_CODE"]["StringValue"] for message in found]

    def arrived(self) -> int:
        """Say how many events reached the archive of the hub's bus."""
        count: int = self.aws.client("events", HUB).describe_archive(ArchiveName=self.namespace)["EventCount"]
        return count


@pytest.fixture
def order(local_aws: LocalAws, fresh: Callable[[str], str]) -> Order:
    return Order(local_aws, fresh("order"))


def test_a_spoke_before_the_hub_is_refused_and_leaves_nothing(order: Order) -> None:
    with pytest.raises(
        DeployError, match="not authorized to perform: events:PutEvents on resource"
    ) as refused:
        order.spoke()
    assert f":{HUB}:event-bus/{order.namespace}" in str(refused.value)
    assert order.rules() == []


def test_a_spoke_that_the_hub_does_not_admit_yet_is_refused(order: Order) -> None:
    order.hub("333333333363")
    with pytest.raises(DeployError, match="not authorized to perform: events:PutEvents on resource"):
        order.spoke()
    order.hub("333333333363", SPOKE)
    assert order.undelivered(order.spoke()) == []
    assert order.arrived() == 1


def test_the_hub_first_then_the_spoke_and_both_are_updated_and_removed(order: Order) -> None:
    order.hub(SPOKE)
    stack = order.spoke()
    assert order.undelivered(stack) == []
    order.hub(SPOKE)
    stack = order.spoke(ForwardedStatuses="Approved,Rejected,PendingManualApproval")
    (rule,) = order.rules()
    assert "PendingManualApproval" in json.loads(rule["EventPattern"])["detail"]["ModelApprovalStatus"]
    assert order.undelivered(stack) == []
    assert order.arrived() == 2
    delete(order.aws, SPOKE, order.namespace)
    assert order.rules() == []
    delete(order.aws, HUB, order.namespace)


def test_the_hub_removed_first_brings_events_back_and_the_spoke_can_still_be_removed(order: Order) -> None:
    order.hub(SPOKE)
    stack = order.spoke()
    delete(order.aws, HUB, order.namespace)
    assert order.undelivered(stack) == ["NO_RESOURCE"]
    with pytest.raises(DeployError, match="not authorized to perform: events:PutEvents on resource"):
        order.spoke(ForwardedStatuses="Approved,Rejected,PendingManualApproval")
    delete(order.aws, SPOKE, order.namespace)
    assert order.rules() == []


def test_a_spoke_that_the_hub_admits_no_more_can_be_removed(order: Order) -> None:
    order.hub(SPOKE)
    stack = order.spoke()
    order.hub("333333333363")
    assert order.undelivered(stack) == ["NO_PERMISSIONS"]
    delete(order.aws, SPOKE, order.namespace)
    assert order.rules() == []
