"""Group policies: what another account may do.

DG is https://docs.aws.amazon.com/sagemaker/latest/dg/; the policies are those of model-registry-version
("Register a Model Version from a Different Account") and model-registry-ram-discover.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_local_sagemaker.conftest import HUB, REGION, ROLE, SPOKE, refusal, register

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Server

GROUP = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package-group/churn"
VERSIONS = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/churn"


def grant(client: SageMakerClient, *actions: str, resource: str = f"{VERSIONS}/*", **statement: Any) -> None:
    given = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": [f"sagemaker:{action}" for action in actions],
        "Resource": resource,
    } | statement
    policy = json.dumps({"Version": "2012-10-17", "Statement": [given]})
    client.put_model_package_group_policy(ModelPackageGroupName="churn", ResourcePolicy=policy)


def test_without_a_policy_another_account_is_denied(server: Server, client: SageMakerClient) -> None:
    """DG model-registry-version: the group's policy has to allow it; the code and its status are IAM's own."""
    arn = register(client)
    hub = server.client(HUB)
    code, message = refusal(hub.describe_model_package, ModelPackageName=arn)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: arn:aws:sts::{HUB}:assumed-role/{ROLE}/anna is not authorized to perform: "
        f"sagemaker:DescribeModelPackage on resource: {arn} because no resource-based policy allows the "
        "sagemaker:DescribeModelPackage action"
    )
    for call, request in (
        (hub.describe_model_package_group, {"ModelPackageGroupName": GROUP}),
        (hub.describe_model_package_group, {"ModelPackageGroupName": f"{GROUP}-that-is-not-there"}),
        (hub.list_model_packages, {"ModelPackageGroupName": GROUP}),
        (hub.create_model_package, {"ModelPackageGroupName": GROUP}),
        (hub.update_model_package, {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}),
        (hub.delete_model_package, {"ModelPackageName": arn}),
        (hub.list_tags, {"ResourceArn": GROUP}),
    ):
        assert refusal(call, **request)[0] == "AccessDeniedException", call


def test_describe_and_list_from_another_account(server: Server, client: SageMakerClient) -> None:
    """DG model-registry-ram-discover: DescribeModelPackage and ListModelPackages on the versions."""
    arn = register(client)
    grant(client, "DescribeModelPackage", "ListModelPackages")
    hub = server.client(HUB)
    assert hub.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn
    listed = hub.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]
    assert [item["ModelPackageArn"] for item in listed] == [arn]
    denied = refusal(hub.update_model_package, ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert denied[0] == "AccessDeniedException"


def test_register_from_another_account(server: Server, client: SageMakerClient) -> None:
    """DG model-registry-version: CreateModelPackage in a group given by ARN; owner and event are inferred."""
    grant(client, "CreateModelPackage")
    arn = register(server.client(HUB), GROUP)
    assert arn == f"{VERSIONS}/1"
    described = client.describe_model_package(ModelPackageName=arn)
    assert described["CreatedBy"]["IamIdentity"]["Arn"].startswith(f"arn:aws:sts::{HUB}:")
    assert server.events[-1][0] == SPOKE


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": HUB}}, True),
        ({"Principal": {"AWS": [f"arn:aws:iam::{HUB}:role/{ROLE}"]}}, True),
        ({"Principal": {"AWS": f"arn:aws:iam::{HUB}:role/other"}}, False),
        ({"Principal": {"AWS": "222222222222"}}, False),
        ({"Action": "sagemaker:Describe*"}, True),
        ({"Action": "*"}, True),
        ({"Resource": f"{VERSIONS}/2"}, False),
        ({"Resource": GROUP}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": HUB}}}, True),
        ({"Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HUB}:role/data-*"}}}, True),
        ({"Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HUB}:role/x-*"}}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.1"}}}, False),
        ({"Effect": "Deny"}, False),
    ],
)
def test_the_elements_of_a_policy(
    server: Server, client: SageMakerClient, statement: dict[str, Any], allowed: bool
) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html, as far as needed here."""
    arn = register(client)
    grant(client, "DescribeModelPackage", **statement)
    hub = server.client(HUB)
    if allowed:
        assert hub.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn
    else:
        assert refusal(hub.describe_model_package, ModelPackageName=arn)[0] == "AccessDeniedException"


def test_an_explicit_deny_wins(server: Server, client: SageMakerClient) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html."""
    arn = register(client)
    both = [
        {"Effect": effect, "Principal": "*", "Action": "sagemaker:*", "Resource": "*"}
        for effect in ("Allow", "Deny")
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": both})
    client.put_model_package_group_policy(ModelPackageGroupName="churn", ResourcePolicy=policy)
    denied = refusal(server.client(HUB).describe_model_package, ModelPackageName=arn)
    assert denied[0] == "AccessDeniedException"
    assert client.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"StringEquals": {"aws:PrincipalAccount": SPOKE}}, True),
    ],
)
def test_a_deny_whose_condition_cannot_be_judged_denies(
    server: Server, client: SageMakerClient, condition: dict[str, Any], allowed: bool
) -> None:
    """A rule of this registry alone: what it cannot evaluate never opens anything."""
    arn = register(client)
    every = {"Principal": "*", "Action": "sagemaker:*", "Resource": "*"}
    both = [{"Effect": "Allow"} | every, {"Effect": "Deny", "Condition": condition} | every]
    policy = json.dumps({"Version": "2012-10-17", "Statement": both})
    client.put_model_package_group_policy(ModelPackageGroupName="churn", ResourcePolicy=policy)
    hub = server.client(HUB)
    if allowed:
        assert hub.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn
    else:
        assert refusal(hub.describe_model_package, ModelPackageName=arn)[0] == "AccessDeniedException"


def test_policies_are_kept_and_removed(server: Server, client: SageMakerClient) -> None:
    """Model: Put, Get and DeleteModelPackageGroupPolicy; what Get answers without one is inferred."""
    assert (
        refusal(client.get_model_package_group_policy, ModelPackageGroupName="churn")[0]
        == "ValidationException"
    )
    arn = register(client)
    grant(client, "DescribeModelPackage")
    kept = client.get_model_package_group_policy(ModelPackageGroupName="churn")["ResourcePolicy"]
    assert json.loads(kept)["Statement"][0]["Action"] == ["sagemaker:DescribeModelPackage"]
    client.delete_model_package_group_policy(ModelPackageGroupName="churn")
    denied = refusal(server.client(HUB).describe_model_package, ModelPackageName=arn)
    assert denied[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    "policy", ["nonsense", "{}", "[]", '{"Statement": []}', '{"Statement": [{"Effect": "Allow"}]}']
)
def test_what_is_no_policy_is_refused(client: SageMakerClient, policy: str) -> None:
    """Model, PolicyString: only its length is documented; the rest is inferred."""
    answer = refusal(
        client.put_model_package_group_policy, ModelPackageGroupName="churn", ResourcePolicy=policy
    )
    assert answer[0] == "ValidationException"


def test_groups_of_others_are_discovered(server: Server, client: SageMakerClient) -> None:
    """Model, CrossAccountFilterOption; DG model-registry-ram-discover (sharing itself is not played here)."""
    hub = server.client(HUB)

    def found() -> list[str]:
        answer = hub.list_model_package_groups(CrossAccountFilterOption="CrossAccount")
        return [group["ModelPackageGroupArn"] for group in answer["ModelPackageGroupSummaryList"]]

    assert found() == []
    grant(client, "DescribeModelPackageGroup", resource=GROUP)
    assert found() == [GROUP]
    assert hub.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_the_policy_can_be_asked_for_by_the_local_iam(server: Server, client: SageMakerClient) -> None:
    """A group's policy holds for the group and for its versions, and for nothing else."""
    assert server.registry.policy_of(GROUP) is None
    grant(client, "DescribeModelPackage")
    kept = client.get_model_package_group_policy(ModelPackageGroupName="churn")["ResourcePolicy"]
    assert server.registry.policy_of(GROUP) == kept
    assert server.registry.policy_of(f"{VERSIONS}/7") == kept
    for other in (VERSIONS, f"{GROUP}2", f"arn:aws:sagemaker:{REGION}:{SPOKE}:model/churn", "*"):
        assert server.registry.policy_of(other) is None
