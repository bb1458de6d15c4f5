"""Roles with a path and a permissions boundary, as accounts with rules for roles ask for: the whole path with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.deploy import deploy
from local.landscape import ROOT
from tests.integration.conftest import HUB, SPOKE_A, Landscape, policy
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACE, PATH = "bounded", "/ml/registry/"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def boundary(deployment: Landscape, account: str, *statements: dict[str, str]) -> str:
    """Write the policy that bounds the roles of an account, and give its ARN."""
    iam, arn = deployment.aws.client("iam", account), f"arn:aws:iam::{account}:policy/boundary"
    document = policy(*statements)
    if arn in {each["Arn"] for each in iam.list_policies(Scope="Local")["Policies"]}:
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    else:
        iam.create_policy(PolicyName="boundary", PolicyDocument=document)
    return arn


@pytest.fixture(scope="module")
def bounded(deployment: Landscape) -> Hub:
    """Give a hub with a spoke whose roles all have the path and the boundary."""
    own, groups = (
        {"Namespace": NAMESPACE, "RolePath": PATH},
        {"GroupNameTemplate": "bounded-{account}-{group}"},
    )
    bound = {
        account: {"PermissionsBoundaryArn": boundary(deployment, account, EVERYTHING)}
        for account in (HUB, SPOKE_A)
    }
    hub = deploy(
        deployment.aws,
        HUB,
        ROOT / "template.yaml",
        {"SpokeAccounts": SPOKE_A} | own | groups | bound[HUB],
        NAMESPACE,
    )
    reads = {"HubAccount": HUB, "PolicyBucket": "", "ArtifactBuckets": ""}
    deploy(deployment.aws, SPOKE_A, ROOT / "spoke.yaml", reads | own | bound[SPOKE_A], NAMESPACE)
    return Hub(deployment.aws, hub, NAMESPACE)


def a_version(deployment: Landscape, name: str) -> tuple[DataScientist, str]:
    scientist = DataScientist(deployment.aws, SPOKE_A, name)
    scientist.push()
    return scientist, scientist.register(
        {"Image": scientist.image, "ModelDataUrl": scientist.put("model.tar.gz")}
    )


def test_a_version_is_mirrored(deployment: Landscape, bounded: Hub, fresh: Callable[[str], str]) -> None:
    scientist, arn = a_version(deployment, fresh("model"))
    scientist.approve(arn)
    bounded.mirror(arn)


def test_every_role_is_bounded_and_has_the_path(deployment: Landscape, bounded: Hub) -> None:
    for account in (HUB, SPOKE_A):
        iam = deployment.aws.client("iam", account)
        ours = [each for each in iam.list_roles()["Roles"] if each["RoleName"].startswith(f"{NAMESPACE}-")]
        assert len(ours) == (14 if account == HUB else 2)
        for role in ours:
            assert role["Path"] == PATH
            found = iam.get_role(RoleName=role["RoleName"])["Role"]["PermissionsBoundary"]
            assert found["PermissionsBoundaryArn"] == f"arn:aws:iam::{account}:policy/boundary"


def test_a_boundary_takes_away(deployment: Landscape, bounded: Hub, fresh: Callable[[str], str]) -> None:
    scientist, arn = a_version(deployment, fresh("model"))
    denies = {"Effect": "Deny", "Action": "sagemaker:CreateModelPackage", "Resource": "*"}
    boundary(deployment, HUB, EVERYTHING, denies)
    try:
        scientist.approve(arn)
        assert bounded.dead_letter(arn)["code"] == "HUB_ACCESS_DENIED"
    finally:
        boundary(deployment, HUB, EVERYTHING)
