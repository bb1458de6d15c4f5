"""The spoke's stack: plain, small, and with no right to write for anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.infra import stacks

if TYPE_CHECKING:
    from tests.infra.stacks import Stack, Statement

ACCOUNT = stacks.SPOKE
READS = ("Get", "List", "Describe", "BatchGet", "BatchCheck")


def reads(stack: Stack, service: str) -> list[Statement]:
    """Give what the read role is given of one service."""
    found = [each for each in stacks.granted(stack) if each.where == "read"]
    return [each for each in found if each.actions[0].startswith(f"{service}:")]


def test_no_transform_no_code_no_alias() -> None:
    template = stacks.source("spoke.yaml")
    assert "Transform" not in template
    kinds = {body["Type"] for body in template["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::Serverless", "AWS::Lambda", "Custom::"))}
    text = (stacks.ROOT / "spoke.yaml").read_text(encoding="utf-8")
    # CloudFormation: "YAML aliases are not allowed in CloudFormation templates". SAM resolves the hub's.
    assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken)]


def test_the_hub_only_reads(spoke: Stack) -> None:
    for each in stacks.granted(spoke):
        if each.where == "read":
            for action in each.actions:
                assert action == "kms:Decrypt" or action.partition(":")[2].startswith(READS), action


def test_only_what_knows_no_resources_is_on_everything(spoke: Stack) -> None:
    found = {action for each in stacks.granted(spoke) if "*" in each.resources for action in each.actions}
    assert found == {"ecr:GetAuthorizationToken", "sagemaker:ListModelPackageGroups"}


def test_registry_and_images_are_this_accounts(spoke: Stack) -> None:
    for service in ("sagemaker", "ecr"):
        for each in reads(spoke, service):
            for resource in each.resources:
                assert resource == "*" or f":eu-west-1:{ACCOUNT}:" in resource


@pytest.mark.parametrize(
    ("parameter", "buckets"),
    [
        ("", [f"sagemaker-eu-west-1-{ACCOUNT}"]),
        ("one", ["one"]),
        ("one,two.x,three", ["one", "two.x", "three"]),
    ],
)
def test_artifacts_are_of_the_buckets_given_and_of_this_account(parameter: str, buckets: list[str]) -> None:
    objects, listed = reads(stacks.spoke(ArtifactBuckets=parameter), "s3")
    assert [each.partition(":s3:::")[2] for each in objects.resources] == [f"{name}/*" for name in buckets]
    assert [each.partition(":s3:::")[2] for each in listed.resources] == buckets
    assert {each.partition(":s3:::")[0] for each in objects.resources} <= {"arn:aws", "arn:*"}
    assert objects.condition == listed.condition == {"StringEquals": {"s3:ResourceAccount": ACCOUNT}}


def test_keys_are_those_given_and_only_through_services() -> None:
    assert reads(stacks.spoke(), "kms") == []
    keys = [f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{name}" for name in ("a", "b")]
    (only,) = reads(stacks.spoke(KmsKeyArns=",".join(keys)), "kms")
    assert (only.actions, list(only.resources)) == (("kms:Decrypt",), keys)
    services = ["s3.eu-west-1.amazonaws.com", "sagemaker.eu-west-1.amazonaws.com"]
    assert only.condition == {"StringEquals": {"kms:ViaService": services}}


def test_images_of_others_are_those_of_the_accounts_given() -> None:
    others = [each for each in reads(stacks.spoke(ImageAccounts="333333333333,444444444444"), "ecr")][-1]
    assert others.resources == (
        "arn:*:ecr:*:333333333333:repository/*",
        "arn:*:ecr:*:444444444444:repository/*",
    )
    own = {action for each in reads(stacks.spoke(), "ecr") for action in each.actions}
    assert set(others.actions) == own - {"ecr:GetAuthorizationToken"}


@pytest.mark.parametrize(
    ("parameters", "detail"),
    [
        ({}, {"ModelApprovalStatus": ["Approved", "Rejected"]}),
        ({"ForwardedStatuses": "Rejected"}, {"ModelApprovalStatus": ["Rejected"]}),
        (
            {"GroupPrefix": "churn-"},
            {
                "ModelApprovalStatus": ["Approved", "Rejected"],
                "ModelPackageGroupName": [{"prefix": "churn-"}],
            },
        ),
    ],
)
def test_what_is_forwarded(parameters: dict[str, str], detail: dict[str, Any]) -> None:
    rule = stacks.spoke(**parameters).of_type("AWS::Events::Rule")["ForwardRule"]
    assert rule["EventPattern"]["detail"] == detail
    assert "EventBusName" not in rule, "SageMaker emits on the default bus"


def test_a_cross_account_bus_takes_no_transformed_input(spoke: Stack) -> None:
    (target,) = spoke.of_type("AWS::Events::Rule")["ForwardRule"]["Targets"]
    assert not {"Input", "InputPath", "InputTransformer"} & set(target)


def test_eventbridge_takes_the_forwarding_role_for_this_rule_only(spoke: Stack) -> None:
    (trust,) = stacks.statements(spoke.of_type("AWS::IAM::Role")["ForwardRole"]["AssumeRolePolicyDocument"])
    assert trust.principal == {"Service": "events.amazonaws.com"}
    assert trust.condition == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnEquals": {"aws:SourceArn": spoke.arn("ForwardRule")},
    }


def test_no_bucket_is_touched_unless_it_is_named() -> None:
    assert stacks.spoke().of_type("AWS::S3::BucketPolicy") == {}
    policy = stacks.spoke(PolicyBucket="mine").of_type("AWS::S3::BucketPolicy")["ArtifactBucketPolicy"]
    assert policy["Bucket"] == "mine"
    resources = [each.resources for each in stacks.statements(policy["PolicyDocument"])]
    assert resources == [("arn:aws:s3:::mine/*",), ("arn:aws:s3:::mine",)]


@pytest.mark.parametrize("name", ["UndeliverableAlarm", "ForwardFailedAlarm"])
def test_the_alarms_tell_the_topic_when_there_is_one(name: str) -> None:
    topic = "arn:aws:sns:eu-west-1:111111111111:alarms"
    alarm = stacks.spoke(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm")[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
    silent = stacks.spoke().of_type("AWS::CloudWatch::Alarm")[name]
    assert not {"AlarmActions", "OKActions"} & set(silent)
