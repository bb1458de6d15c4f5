"""Who may do what in the hub: the three that touch something are three different roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from replicator.policy import aws_owned_buckets
from tests.infra import stacks

if TYPE_CHECKING:
    from tests.infra.stacks import Stack, Statement

PREFIX = "registry-replicator-999999999999-eu-west-1"
BUCKET = f"arn:aws:s3:::{PREFIX}"
TAG = "${aws:PrincipalTag/spoke}"

# Every permission on all resources of a kind, and why. A new one is added here with its reason, or narrowed.
_TRACES = "X-Ray's actions know no resources"
_LOG_DELIVERY = "log delivery of Step Functions knows no resources"
_TRACING = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")
ON_EVERYTHING = {
    **{
        (role, action): _TRACES
        for role in (
            "intake", "plan", "copy-artifact", "copy-image", "register", "record-failure",
            "sweep", "redrive", "reconcile",
        )
        for action in _TRACING
    },
    **{
        (role, action): _TRACES
        for role in ("replicate", "reconciler")
        for action in (*_TRACING, "xray:GetSamplingRules", "xray:GetSamplingTargets")
    },
    **{
        (role, f"logs:{action}"): _LOG_DELIVERY
        for role in ("replicate", "reconciler")
        for action in (
            "CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries",
            "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups",
        )
    },
    ("ecr-copy", "ecr:GetAuthorizationToken"): "knows no resources",
    **{
        ("s3-copy", f"s3:{action}"): "any bucket of the one account that the session is tagged with"
        for action in (
            "GetObject", "GetObjectVersion", "GetObjectTagging", "GetObjectVersionTagging", "ListBucket",
            "ListBucketVersions",
        )
    },
}  # fmt: skip
# The resources with a * in them that are not "*" itself, and why.
PATTERNS = {
    "arn:aws:iam::*:role/registry-replicator-eu-west-1-read": "a role of that name decides in its account",
    f"arn:aws:sagemaker:eu-west-1:{stacks.HUB}:model-package-group/*": "groups are named by the template",
    f"arn:aws:sagemaker:eu-west-1:{stacks.HUB}:model-package/*": "versions in them",
    "arn:aws:kms:eu-west-1:*:key/*": "keys of the one account that the session is tagged with, through S3",
    f"{BUCKET}/models/{TAG}/*": "the spoke's own prefix",
    f"{BUCKET}/provenance/*": "one file for each mirror",
    f"{BUCKET}/models/*": "SageMaker looks at what it registers",
    f"arn:aws:ecr:eu-west-1:{stacks.HUB}:repository/registry-replicator/{TAG}/*": "the spoke's own repositories",
    f"arn:aws:ecr:eu-west-1:{stacks.HUB}:repository/registry-replicator/*": "SageMaker looks at what it registers",
    f"arn:aws:states:eu-west-1:{stacks.HUB}:execution:registry-replicator-replicate:*": "runs, by their names",
    "arn:aws:ecr:eu-west-1:*:repository/*": "SageMaker looks at AWS's images; not this account's",
    "arn:aws:s3:::jumpstart-cache-prod-eu-west-1/*": "SageMaker looks at JumpStart's artifacts, which are not copied",
    "arn:aws:s3:::jumpstart-private-cache-prod-eu-west-1/*": "the same, of gated models",
    "arn:aws:s3:::sagemaker-sd-models-prod-eu-west-1/*": "the same, of optimized models",
}
AWS_BUCKETS = ("jumpstart-cache-prod", "jumpstart-private-cache-prod", "sagemaker-sd-models-prod")
REGIONS_OF_AWS_BUCKETS = [
    line.split()[0]
    for line in (stacks.ROOT / "layers/core/replicator/aws_owned_buckets.txt").read_text().splitlines()
    if not line.startswith("#")
]
S3_WRITES = {"s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:DeleteObject"}
ECR_WRITES = {
    "ecr:CreateRepository", "ecr:TagResource", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload", "ecr:PutImage",
}  # fmt: skip
REGISTRY_WRITES = {
    "sagemaker:CreateModelPackage", "sagemaker:CreateModelPackageGroup", "sagemaker:UpdateModelPackage",
    "sagemaker:AddTags",
}  # fmt: skip


def of(stack: Stack, service: str) -> dict[str, list[Statement]]:
    """Give the statements about one service, by role."""
    found: dict[str, list[Statement]] = {}
    for each in stacks.granted(stack):
        if any(action.startswith(f"{service}:") for action in each.actions):
            found.setdefault(each.where, []).append(each)
    return found


def holders(stack: Stack, actions: set[str]) -> set[str]:
    """Give the roles that are given any of the actions."""
    return {each.where for each in stacks.granted(stack) if actions & set(each.actions)}


def test_every_function_has_a_role_of_its_own(hub: Stack) -> None:
    functions = hub.of_type("AWS::Lambda::Function").values()
    for its in functions:
        suffix = its["FunctionName"].removeprefix("registry-replicator-")
        assert its["Role"] == f"arn:aws:iam::{stacks.HUB}:role/registry-replicator-eu-west-1-{suffix}"
    assert len({its["Role"] for its in functions}) == len(functions)


def test_no_action_is_a_pattern(hub: Stack, spoke: Stack) -> None:
    for stack in (hub, spoke):
        for each in stacks.granted(stack):
            assert each.effect == "Allow"
            assert not [action for action in each.actions if "*" in action], each


def test_only_the_listed_permissions_are_on_everything(hub: Stack) -> None:
    found = {
        (each.where, action)
        for each in stacks.granted(hub)
        if "*" in each.resources
        for action in each.actions
    }
    assert found == set(ON_EVERYTHING)


def test_only_the_listed_patterns_are_granted(hub: Stack) -> None:
    resources = {resource for each in stacks.granted(hub) for resource in each.resources}
    patterns = {resource for resource in resources if "*" in resource and resource != "*"}
    logs = {pattern for pattern in patterns if ":log-group:/aws/lambda/" in pattern}
    assert len(logs) == 9
    assert patterns - logs == set(PATTERNS)


def test_a_function_writes_its_own_log_only(hub: Stack) -> None:
    for role, found in of(hub, "logs").items():
        if role not in {"replicate", "reconciler"}:
            (only,) = found
            group = f"/aws/lambda/registry-replicator-{role}"
            assert only.resources == (f"arn:aws:logs:eu-west-1:{stacks.HUB}:log-group:{group}:*",)


def test_register_may_look_at_exactly_the_buckets_that_the_plan_leaves_with_aws(hub: Stack) -> None:
    (found,) = [
        each
        for each in of(hub, "s3")["register"]
        if any(not resource.startswith(BUCKET) for resource in each.resources)
    ]
    assert found.actions == ("s3:GetObject", "s3:ListBucket")
    owned = aws_owned_buckets("eu-west-1")
    assert len(owned) == 3
    assert set(found.resources) == {f"arn:aws:s3:::{bucket}{end}" for bucket in owned for end in ("", "/*")}


@pytest.mark.parametrize("region", REGIONS_OF_AWS_BUCKETS)
def test_the_template_names_every_bucket_of_the_list_in_every_region(region: str) -> None:
    names = {f"{stem}-{region}" for stem in AWS_BUCKETS}
    # The third is not in every Region; in the others the plan leaves nothing in a bucket of that name.
    assert names - {f"sagemaker-sd-models-prod-{region}"} <= aws_owned_buckets(region) <= names
    text = (stacks.ROOT / "template.yaml").read_text()
    for stem in AWS_BUCKETS:
        assert f":s3:::{stem}-${{AWS::Region}}" in text


def test_only_the_copy_role_touches_artifacts(hub: Stack) -> None:
    assert set(of(hub, "s3")) == {"s3-copy", "register", "sweep"}
    writes = [(each.where, each.resources) for each in stacks.granted(hub) if S3_WRITES & set(each.actions)]
    assert writes == [
        ("s3-copy", (f"{BUCKET}/models/{TAG}/*",)),
        ("register", (f"{BUCKET}/provenance/*",)),
        ("sweep", (f"{BUCKET}/models/*",)),
    ]
    thrown_away = {action for each in of(hub, "s3")["sweep"] for action in each.actions}
    assert thrown_away == {"s3:ListBucketMultipartUploads", "s3:AbortMultipartUpload"}
    assert "s3:DeleteObject" not in {action for each in stacks.granted(hub) for action in each.actions}


@pytest.mark.parametrize("organization", ["", "o-exampleorgid"])
def test_the_copy_role_reads_one_account_only(organization: str) -> None:
    hub = stacks.hub(OrganizationId=organization)
    within = {"aws:ResourceOrgID": organization} if organization else {}
    (reads,) = [each for each in of(hub, "s3")["s3-copy"] if each.resources == ("*",)]
    assert reads.condition == {"StringEquals": {"s3:ResourceAccount": TAG} | within}
    (keys,) = [each for each in of(hub, "kms")["s3-copy"] if each.resources != (hub.arn("HubKey"),)]
    assert keys.actions == ("kms:Decrypt",)
    assert keys.condition == {
        "StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com", "aws:ResourceAccount": TAG} | within
    }


@pytest.mark.parametrize(
    ("role", "taker", "function"),
    [("S3CopyRole", "CopyArtifactRole", "copy-artifact"), ("EcrCopyRole", "CopyImageRole", "copy-image")],
)
def test_a_copy_role_is_taken_by_one_function_for_a_known_spoke(role: str, taker: str, function: str) -> None:
    for accounts, tag in (
        (f"{stacks.SPOKE},{stacks.SECOND_SPOKE}", [stacks.SPOKE, stacks.SECOND_SPOKE]),
        ("", "????????????"),
    ):
        hub = stacks.hub(SpokeAccounts=accounts, OrganizationId="o-exampleorgid")
        document = hub.of_type("AWS::IAM::Role")[role]["AssumeRolePolicyDocument"]
        (only,) = stacks.statements(document)
        assert only.principal == {"AWS": f"arn:aws:iam::{stacks.HUB}:root"}
        assert only.condition == {
            "ArnEquals": {"aws:PrincipalArn": hub.arn(taker)},
            "StringLike": {"aws:RequestTag/spoke": tag},
            "StringNotEquals": {"aws:RequestTag/spoke": stacks.HUB},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["spoke"]},
        }
    takers = [each for each in stacks.granted(hub) if hub.arn(role) in each.resources]
    assert {each.where for each in takers} == {function}


def test_a_hundred_spokes_fit_into_a_trust_policy() -> None:
    """IAM counts 2,048 characters without white space, and CloudFormation writes none."""
    accounts = ",".join(str(111111111111 + i) for i in range(100))
    longest = {"Namespace": "n" * 32, "SpokeAccounts": accounts}
    for region in ("eu-west-1", "ap-southeast-1", "us-isof-south-1"):
        hub = stacks.Stack(stacks.hub_template(), stacks.HUB, longest, region)
        for name, role in hub.of_type("AWS::IAM::Role").items():
            document = json.dumps(role["AssumeRolePolicyDocument"], separators=(",", ":"))
            assert len(document.replace("arn:aws:", "arn:aws-us-gov:")) <= 2048, name


@pytest.mark.parametrize("each", ["plan", "copy-artifact", "copy-image", "register", "reconcile"])
@pytest.mark.parametrize("accounts", [[], [stacks.SPOKE, stacks.SECOND_SPOKE]])
@pytest.mark.parametrize("organization", ["", "o-exampleorgid"])
def test_a_spoke_is_read_with_a_tagged_session_only(
    each: str, accounts: list[str], organization: str
) -> None:
    hub = stacks.hub(SpokeAccounts=",".join(accounts), OrganizationId=organization)
    (found,) = [its for its in of(hub, "sts")[each] if "iam::*" in its.resources[0]]
    assert set(found.actions) == {"sts:AssumeRole", "sts:TagSession"}
    whose = {"aws:ResourceAccount": accounts, "aws:ResourceOrgID": organization}
    assert found.condition == {
        "StringLike": {"aws:RequestTag/spoke": "????????????"},
        "StringEquals": {key: value for key, value in whose.items() if value},
    }


def test_nobody_else_assumes_a_role(hub: Stack) -> None:
    assert set(of(hub, "sts")) == {"plan", "copy-artifact", "copy-image", "register", "reconcile"}


def test_only_the_copy_role_writes_images_of_one_spoke(hub: Stack) -> None:
    assert holders(hub, ECR_WRITES) == {"ecr-copy"}
    assert set(of(hub, "ecr")) == {"ecr-copy", "register"}
    given = {action for each in of(hub, "ecr")["register"] for action in each.actions}
    assert given == {"ecr:BatchGetImage", "ecr:DescribeImages"}
    for each in of(hub, "ecr")["ecr-copy"]:
        if each.resources != ("*",):
            ours = f"arn:aws:ecr:eu-west-1:{stacks.HUB}:repository/registry-replicator/{TAG}/*"
            assert each.resources == (ours,)


def test_only_register_writes_the_registry(hub: Stack) -> None:
    assert holders(hub, REGISTRY_WRITES) == {"register"}
    assert set(of(hub, "sagemaker")) == {"register", "reconcile"}
    (looks,) = of(hub, "sagemaker")["reconcile"]
    assert looks.actions == ("sagemaker:DescribeModelPackage",)
    everything = {action for each in stacks.granted(hub) for action in each.actions}
    assert {action for action in everything if action.startswith("sagemaker:Delete")} == set()


def test_results_are_announced_under_our_own_name(hub: Stack) -> None:
    found = of(hub, "events")
    assert set(found) == {"register", "record-failure", "sweep"}
    for (only,) in found.values():
        assert only.resources == (hub.outputs["BusArn"],)
        assert only.condition == {"ForAllValues:StringEquals": {"events:source": "model-registry-replicator"}}


def test_queues_are_used_as_the_design_says(hub: Stack) -> None:
    dead, intake = hub.arn("DeadLetterQueue"), hub.arn("IntakeQueue")
    sends = {
        (each.where, each.resources) for each in stacks.granted(hub) if "sqs:SendMessage" in each.actions
    }
    assert sends == {
        ("intake", (intake, dead)),
        ("record-failure", (dead,)),
        ("sweep", (dead,)),
        ("redrive", (intake,)),
        ("reconcile", (intake,)),
    }
    takes = {
        (each.where, each.resources) for each in stacks.granted(hub) if "sqs:ReceiveMessage" in each.actions
    }
    assert takes == {("intake", (intake,)), ("redrive", (dead,))}


def test_the_ledger_is_kept_by_five_and_never_deleted_from(hub: Stack) -> None:
    found = of(hub, "dynamodb")
    ledger, spokes = found.pop("reconcile")
    assert (ledger.actions, ledger.resources) == (
        ("dynamodb:Scan", "dynamodb:BatchGetItem"),
        (hub.arn("Ledger"),),
    )
    assert (spokes.actions, spokes.resources) == (("dynamodb:Scan", "dynamodb:GetItem"), (hub.arn("Spokes"),))
    assert set(found) == {"intake", "plan", "register", "record-failure", "sweep"}
    sweeps, index, spokes = found.pop("sweep")
    assert set(sweeps.actions) == {"dynamodb:GetItem", "dynamodb:UpdateItem"}
    assert sweeps.resources == (hub.arn("Ledger"),)
    assert (index.actions, index.resources) == (
        ("dynamodb:Scan",),
        (f"{hub.arn('Ledger')}/index/unsettled",),
    )
    assert set(spokes.actions) == {"dynamodb:Scan", "dynamodb:GetItem", "dynamodb:UpdateItem"}
    assert spokes.resources == (hub.arn("Spokes"),)
    for role, (items, slots) in found.items():
        reads = set() if role == "plan" else {"dynamodb:GetItem"}
        assert set(items.actions) == {"dynamodb:UpdateItem"} | reads, role
        assert items.resources == (hub.arn("Ledger"),)
        assert (slots.actions, slots.resources) == (("dynamodb:UpdateItem",), (hub.arn("Spokes"),))


def test_only_intake_starts_runs_and_only_runs_invoke(hub: Stack) -> None:
    starts = {
        each.where: each.resources for each in stacks.granted(hub) if "states:StartExecution" in each.actions
    }
    assert starts == {
        "intake": (hub.outputs["StateMachineArn"],),
        "reconcile-daily": (hub.outputs["ReconcileStateMachineArn"],),
    }
    assert set(of(hub, "lambda")) == {"replicate", "reconciler"}
    (invokes,) = of(hub, "lambda")["reconciler"]
    assert invokes.resources == (
        f"arn:aws:lambda:eu-west-1:{stacks.HUB}:function:registry-replicator-reconcile",
    )
    looks = {(action, each.resources) for each in of(hub, "states")["sweep"] for action in each.actions}
    machine = hub.outputs["StateMachineArn"]
    assert looks == {
        ("states:ListExecutions", (machine,)),
        ("states:DescribeExecution", (machine.replace(":stateMachine:", ":execution:") + ":*",)),
    }
    (invokes,) = of(hub, "lambda")["replicate"]
    names = ["plan", "copy-artifact", "copy-image", "register", "record-failure"]
    assert set(invokes.resources) == {
        f"arn:aws:lambda:eu-west-1:{stacks.HUB}:function:registry-replicator-{name}" for name in names
    }


def test_services_take_their_roles_for_this_account_only(hub: Stack) -> None:
    for name, role in hub.of_type("AWS::IAM::Role").items():
        (only,) = stacks.statements(role["AssumeRolePolicyDocument"])
        if name in {"ReplicateRole", "ReconcilerRole", "ReconcileScheduleRole"}:
            assert only.condition["StringEquals"] == {"aws:SourceAccount": stacks.HUB}
        elif name not in {"S3CopyRole", "EcrCopyRole"}:
            assert only.principal == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize(
    ("parameters", "given"),
    [
        ({}, False),
        ({"ConsumerAccounts": stacks.SPOKE}, True),
        ({"ConsumerOrganizationId": "o-exampleorgid"}, True),
    ],
)
def test_policies_for_consumers_are_set_only_where_there_are_consumers(
    parameters: dict[str, str], given: bool
) -> None:
    both = {"ecr:SetRepositoryPolicy", "sagemaker:PutModelPackageGroupPolicy"}
    actions = {action for each in stacks.granted(stacks.hub(**parameters)) for action in each.actions}
    assert both & actions == (both if given else set())


def test_the_key_is_granted_to_services_of_aws_only(hub: Stack) -> None:
    grants = [each for each in stacks.granted(hub) if "kms:CreateGrant" in each.actions]
    assert {each.where for each in grants} == {"ecr-copy", "register"}
    for each in grants:
        assert each.actions == ("kms:CreateGrant",)
        assert each.condition["Bool"] == {"kms:GrantIsForAWSResource": "true"}
        assert each.condition["StringEquals"].keys() == {"kms:ViaService"}
