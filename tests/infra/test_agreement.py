"""The two stacks name each other's resources, and have only the namespace to agree by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from replicator.aws import artifact_refusals as refusals
from replicator.aws.sessions import Reads
from tests.infra import stacks

if TYPE_CHECKING:
    from tests.infra.stacks import Stack

NAMESPACES = ["registry-replicator", "ml", "a23456789-b23456789-c23456789-32"]
READERS = ["PlanRole", "CopyArtifactRole", "CopyImageRole", "RegisterRole", "ReconcileRole"]


@pytest.fixture(params=[*[(name, "/") for name in NAMESPACES], ("ml", "/platform/ml/")], ids="".join)
def pair(request: pytest.FixtureRequest) -> tuple[Stack, Stack]:
    """Give the hub's and a spoke's stack of one namespace and one path of roles."""
    namespace, path = request.param
    spoke = stacks.spoke(Namespace=namespace, RolePath=path, PolicyBucket="default")
    return stacks.hub(Namespace=namespace, RolePath=path), spoke


def test_the_spoke_forwards_to_the_hubs_bus(pair: tuple[Stack, Stack]) -> None:
    hub, spoke = pair
    (target,) = spoke.of_type("AWS::Events::Rule")["ForwardRule"]["Targets"]
    assert target["Arn"] == hub.arn("Bus") == hub.outputs["BusArn"]
    (may,) = [each for each in stacks.granted(spoke) if each.where == "forward"]
    assert (may.actions, may.resources) == (("events:PutEvents",), (hub.arn("Bus"),))
    assert target["RoleArn"] == spoke.arn("ForwardRole")


def test_the_hub_assumes_the_role_that_the_spoke_makes(pair: tuple[Stack, Stack]) -> None:
    hub, spoke = pair
    role = spoke.of_type("AWS::IAM::Role")["ReadRole"]
    name = role["Path"] + role["RoleName"]
    told = [
        its["Environment"]["Variables"].get("SPOKE_ROLE_NAME")
        for its in hub.of_type("AWS::Lambda::Function").values()
    ]
    assert {each for each in told if each} == {name}
    allowed = {each.resources for each in stacks.granted(hub) if "iam::*" in each.resources[0]}
    assert allowed == {(f"arn:aws:iam::*:role{name}",)}


def test_the_spoke_trusts_the_five_readers_for_itself_only(pair: tuple[Stack, Stack]) -> None:
    hub, spoke = pair
    (trust,) = stacks.statements(spoke.of_type("AWS::IAM::Role")["ReadRole"]["AssumeRolePolicyDocument"])
    assert trust.principal == {"AWS": f"arn:aws:iam::{stacks.HUB}:root"}
    assert set(trust.actions) == {"sts:AssumeRole", "sts:TagSession"}
    readers = {hub.arn(role) for role in READERS}
    assert set(trust.condition.pop("ArnEquals")["aws:PrincipalArn"]) == readers
    assert set(hub.outputs["SpokeReaderRoleArns"].split(",")) == readers
    assert trust.condition == {
        "StringEquals": {"aws:RequestTag/spoke": stacks.SPOKE},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["spoke"]},
    }


def test_the_bucket_policy_admits_the_copy_role_for_this_spoke_only(pair: tuple[Stack, Stack]) -> None:
    hub, spoke = pair
    policy = spoke.of_type("AWS::S3::BucketPolicy")["ArtifactBucketPolicy"]
    assert policy["Bucket"] == f"sagemaker-eu-west-1-{stacks.SPOKE}"
    for each in stacks.statements(policy["PolicyDocument"]):
        assert each.effect == "Allow"
        assert each.principal == {"AWS": f"arn:aws:iam::{stacks.HUB}:root"}
        assert each.condition == {
            "ArnEquals": {"aws:PrincipalArn": hub.outputs["S3CopyRoleArn"]},
            "StringEquals": {"aws:PrincipalTag/spoke": stacks.SPOKE},
        }


def test_the_bucket_policy_grants_what_the_copy_role_asks_for(pair: tuple[Stack, Stack]) -> None:
    hub, spoke = pair
    asked = {
        action
        for each in stacks.granted(hub)
        if each.where == "s3-copy" and each.resources == ("*",)
        for action in each.actions
    }
    policy = spoke.of_type("AWS::S3::BucketPolicy")["ArtifactBucketPolicy"]["PolicyDocument"]
    granted = {action for each in stacks.statements(policy) for action in each.actions}
    assert asked <= granted


def test_a_refusal_names_the_statement_that_the_stack_would_make(pair: tuple[Stack, Stack]) -> None:
    """Whoever pastes it lets in the same role for the same spoke, and gives it as much."""
    hub, spoke = pair
    bucket = f"sagemaker-eu-west-1-{stacks.SPOKE}"
    said = refusals.denied(
        uri=f"s3://{bucket}/model.tar.gz",
        bucket_arn=f"arn:aws:s3:::{bucket}",
        account=stacks.SPOKE,
        copy_role=hub.outputs["S3CopyRoleArn"],
        spoke_role=spoke.outputs["ReadRoleArn"],
        answer="403",
    ).message
    start = said.index("{")
    only = stacks.Statement.read("refusal", json.JSONDecoder().raw_decode(said, start)[0])
    policy = spoke.of_type("AWS::S3::BucketPolicy")["ArtifactBucketPolicy"]["PolicyDocument"]
    made = stacks.statements(policy)
    assert only.actions == tuple(action for each in made for action in each.actions)
    assert only.resources == tuple(resource for each in made for resource in each.resources)
    for each in made:
        assert (only.effect, only.principal, only.condition) == (
            each.effect,
            each.principal,
            each.condition,
        )


def test_both_filter_the_same_event(hub: Stack, spoke: Stack) -> None:
    keys = ("source", "detail-type")
    forwarded = spoke.of_type("AWS::Events::Rule")["ForwardRule"]["EventPattern"]
    taken = hub.of_type("AWS::Events::Rule")["IntakeRule"]["EventPattern"]
    assert {key: forwarded[key] for key in keys} == taken
    admitted = hub.of_type("AWS::Events::EventBusPolicy")["BusPolicy"]["Statement"]["Condition"]
    assert admitted["ForAllValues:StringEquals"] == {
        "events:source": taken["source"][0],
        "events:detail-type": taken["detail-type"][0],
    }


def test_both_ask_for_the_namespace_in_the_same_words() -> None:
    hub, spoke = (stacks.source(name)["Parameters"] for name in ("template.yaml", "spoke.yaml"))
    for member in ("Type", "Default", "MaxLength", "AllowedPattern"):
        assert hub["Namespace"][member] == spoke["Namespace"][member]
    assert hub["AlarmTopicArn"]["AllowedPattern"] == spoke["AlarmTopicArn"]["AllowedPattern"]


@pytest.mark.parametrize("region", ["ap-southeast-1", "us-isof-south-1"])
def test_the_longest_namespace_fits_every_name(region: str) -> None:
    longest = "n" * stacks.source("template.yaml")["Parameters"]["Namespace"]["MaxLength"]
    parameters = {"Namespace": longest, "HubAccount": stacks.HUB, "SpokeAccounts": stacks.SPOKE}
    for template in (stacks.hub_template(), stacks.source("spoke.yaml")):
        stack = stacks.Stack(template, stacks.HUB, parameters, region)
        limits = {
            "AWS::IAM::Role": ("RoleName", 64),
            "AWS::S3::Bucket": ("BucketName", 63),
            "AWS::Lambda::Function": ("FunctionName", 64),
            "AWS::SQS::Queue": ("QueueName", 80),
            "AWS::Events::Archive": ("ArchiveName", 48),
            "AWS::Events::Rule": ("Name", 64),
        }
        for kind, (member, limit) in limits.items():
            for its in stack.of_type(kind).values():
                assert len(its[member]) <= limit, its[member]


def test_what_is_left_to_sessions_in_a_spoke_is_what_its_role_may() -> None:
    spoke = stacks.spoke(KmsKeyArns="arn:aws:kms:eu-west-1:111111111111:key/k", ImageAccounts="333333333333")
    may = {action for each in stacks.granted(spoke) if each.where == "read" for action in each.actions}
    assert {action for reads in Reads for action in reads.value} == may
    for reads in Reads:
        assert len(reads.session_policy) <= 2048
