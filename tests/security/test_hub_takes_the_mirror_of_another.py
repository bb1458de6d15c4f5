"""Two hubs in one account take each other's mirrors and groups.

The attacker has no name: two teams of one account deploy a hub each. The asset: whose a mirror is. What holds: the
namespace of the hub is in the mirror's metadata, in the tags of its group and in the client token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.deploy import deploy
from local.landscape import ROOT
from tests.integration.conftest import HUB, SPOKE_A, Landscape, wait_for
from tests.integration.operator_of_hub import Hub
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from tests.integration.data_scientist import DataScientist

OTHER = "second-hub"


def second_hub(deployment: Landscape, template: str) -> Hub:
    """Deploy a second hub into the account of the first, or give it another template."""
    options = {"Namespace": OTHER, "SpokeAccounts": SPOKE_A, "GroupNameTemplate": template}
    stack = deploy(deployment.aws, HUB, ROOT / "template.yaml", options, OTHER)
    return Hub(deployment.aws, stack, OTHER)


@pytest.fixture
def version(spoke: DataScientist) -> str:
    """Give an approved version, which the first hub mirrors."""
    container = {"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")}
    arn = spoke.register(container)
    spoke.approve(arn)
    return arn


def test_the_same_version_has_a_mirror_in_each_hub(
    deployment: Landscape, hub: Hub, spoke: DataScientist, version: str
) -> None:
    first = hub.mirror(version)
    other = second_hub(deployment, "{account}-{group}")
    serves = {"Namespace": OTHER, "HubAccount": HUB, "PolicyBucket": ""}
    deploy(deployment.aws, SPOKE_A, ROOT / "spoke.yaml", serves, OTHER)
    other.send(json.dumps(spoke.event(version)))
    # The groups have the same name, and the first hub made it.
    letter = other.dead_letter(version)
    assert letter["code"] == "GROUP_NAME_TAKEN"
    assert OTHER in letter["reason"]
    assert hub.namespace in letter["reason"]
    assert hub.mirrors(first["ModelPackageGroupName"]) == [first["ModelPackageArn"]]

    other = second_hub(deployment, "second-{account}-{group}")
    other.send(json.dumps(spoke.event(version)))
    wait_for(lambda: other.entry(version).get("hub_arn"), seconds=60, what="the mirror of the second hub")
    second = other.mirror(version)
    assert second["ModelPackageArn"] != first["ModelPackageArn"]
    for mirror, namespace in ((first, hub.namespace), (second, OTHER)):
        assert mirror["CustomerMetadataProperties"]["replicator:hub"] == namespace
        assert mirror["CustomerMetadataProperties"]["replicator:source-arn"] == version
    again = hub.mirror(version)
    del first["ResponseMetadata"], again["ResponseMetadata"]
    assert again == first
