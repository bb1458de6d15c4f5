"""Every permission of every role is taken away once: a dead letter with the right code, at the first try.

And when the permission is given back, a redrive mends it.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from local.landscape import HUB, default_bucket
from tests.faults.denying import Permission, denied, permissions
from tests.faults.guarantees import Operator, check, nothing_lost
from tests.faults.machine import StateError
from tests.faults.models import Models
from tests.faults.scenarios import Scenarios
from tests.faults.world import SPOKE_B

if TYPE_CHECKING:
    from tests.faults.world import World

HUB_DENIES, SPOKE_DENIES = "HUB_ACCESS_DENIED", "SOURCE_ACCESS_DENIED"
TEMPLATES = {"template.yaml": HUB, "spoke.yaml": SPOKE_B}

# What a replication cannot do without: the role and the code of the dead letter, and the actions.
NEEDED = {
    ("IntakeRole", HUB_DENIES): "dynamodb:GetItem dynamodb:UpdateItem states:StartExecution",
    ("PlanRole", HUB_DENIES): "dynamodb:UpdateItem",
    ("PlanRole", SPOKE_DENIES): "sts:AssumeRole sts:TagSession",
    ("CopyArtifactRole", HUB_DENIES): "sts:AssumeRole sts:TagSession",
    ("S3CopyRole", HUB_DENIES): (
        "s3:GetObject s3:ListBucket s3:ListBucketMultipartUploads s3:PutObject s3:PutObjectTagging"
    ),
    ("EcrCopyRole", HUB_DENIES): (
        "ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:CompleteLayerUpload ecr:CreateRepository "
        "ecr:GetAuthorizationToken ecr:InitiateLayerUpload ecr:PutImage ecr:TagResource ecr:UploadLayerPart"
    ),
    ("CopyImageRole", SPOKE_DENIES): "sts:AssumeRole sts:TagSession",
    ("RegisterRole", HUB_DENIES): (
        "dynamodb:GetItem dynamodb:UpdateItem events:PutEvents s3:GetObject s3:ListBucket s3:PutObject "
        "sagemaker:AddTags sagemaker:CreateModelPackage sagemaker:CreateModelPackageGroup "
        "sagemaker:DescribeModelPackage sagemaker:DescribeModelPackageGroup"
    ),
    ("RegisterRole", SPOKE_DENIES): "sts:AssumeRole sts:TagSession",
}
NEEDED_TO_UPDATE = {("RegisterRole", HUB_DENIES): "sagemaker:UpdateModelPackage"}
READ = {
    ("ReadRole", SPOKE_DENIES): (
        "ecr:BatchGetImage ecr:GetAuthorizationToken ecr:GetDownloadUrlForLayer sagemaker:DescribeModelPackage "
        "sagemaker:DescribeModelPackageGroup sagemaker:ListTags"
    ),
}
# Without these it goes on by another way: what the copy role may not read is streamed with the spoke's read role;
# tags that may not be read stay behind.
ANOTHER_WAY = {
    ("S3CopyRole", ""): "s3:GetObjectVersion s3:GetObjectVersionTagging",
}
# What the read role needs when the copy role may not read.
STREAMED = {("ReadRole", SPOKE_DENIES): "s3:GetObject s3:GetObjectVersion s3:ListBucket"}
STREAMED_ANOTHER_WAY = {("ReadRole", ""): "s3:GetObjectTagging s3:GetObjectVersionTagging"}
# What ends runs and sends letters back has tests of its own below.
ENDING = {
    ("RecordFailureRole", HUB_DENIES): "dynamodb:UpdateItem sqs:SendMessage events:PutEvents",
    ("RedriveRole", HUB_DENIES): "sqs:ReceiveMessage sqs:SendMessage",
}
# Not asked for by any of these, and why.
NOT_HERE = {
    "logs": "Lambda writes the logs",
    "xray": "Lambda and Step Functions write the traces",
    "kms": "the local AWS does not ask keys",
    "lambda": "the machine of these tests calls functions itself",
}
NOT_IN_THIS = {
    ("IntakeRole", "sqs:ReceiveMessage"): "Lambda's own poller takes the messages",
    ("IntakeRole", "sqs:DeleteMessage"): "the same",
    ("IntakeRole", "sqs:GetQueueAttributes"): "the same",
    ("IntakeRole", "sqs:SendMessage"): "for what is put off or cannot be taken in",
    ("S3CopyRole", "s3:AbortMultipartUpload"): "for a source that changed",
    ("S3CopyRole", "s3:ListMultipartUploadParts"): "for an upload that was begun before",
    ("S3CopyRole", "s3:ListBucketVersions"): "for an object that was overwritten",
    ("S3CopyRole", "s3:GetObjectTagging"): "the objects have versions",
    ("ReadRole", "s3:ListBucketVersions"): "for an object that was overwritten",
    ("ReadRole", "ecr:BatchCheckLayerAvailability"): "layers are looked for in the hub alone",
    ("ReadRole", "sagemaker:ListModelPackages"): "for reconcile",
    ("ReadRole", "sagemaker:ListModelPackageGroups"): "for reconcile",
    ("ForwardRole", "events:PutEvents"): "the event then waits in the spoke's own dead-letter queue",
    ("RegisterRole", "ecr:BatchGetImage"): "SageMaker looks at images as its caller; the local one does not",
    ("RegisterRole", "ecr:DescribeImages"): "the same",
    ("RegisterRole", "s3:GetObjectAcl"): "the same",
    ("RegisterRole", "s3:GetBucketAcl"): "the same",
    ("RegisterRole", "sagemaker:ListModelPackages"): "for a mirror whose making was cut off",
    ("RegisterRole", "sagemaker:ListTags"): "for a group that is there",
    ("RegisterRole", "sagemaker:PutModelPackageGroupPolicy"): "for consumers, of whom there are none here",
    ("EcrCopyRole", "ecr:SetRepositoryPolicy"): "the same",
    ("EcrCopyRole", "ecr:GetDownloadUrlForLayer"): "to mount a layer of another image of the package",
    ("RecordFailureRole", "dynamodb:GetItem"): "the run's own event is in the answer of the update",
    ("RedriveRole", "sqs:DeleteMessage"): "the letter stays, and is sent back twice",
    ("RedriveRole", "sqs:ChangeMessageVisibility"): "the letters are seen again later",
}
OTHER_ROLES = {"SweepRole", "ReconcileRole", "ReconcilerRole", "ReconcileScheduleRole", "ReplicateRole"}


def each(*tables: dict[tuple[str, str], str]) -> list[tuple[str, str, str]]:
    """Give role, action and code of some tables."""
    return [
        (role, action, code)
        for table in tables
        for (role, code), actions in table.items()
        for action in actions.split()
    ]


def account_of(role: str) -> str:
    return SPOKE_B if role in ("ReadRole", "ForwardRole") else HUB


@pytest.fixture(scope="module")
def theirs(_world: World) -> Models:
    """What another spoke has: objects with versions and tags."""
    s3, bucket = _world.aws.client("s3", SPOKE_B), default_bucket(_world.aws, SPOKE_B)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    models = Models(_world, SPOKE_B)
    for name in ("model.tar.gz", "folder/weights"):
        key = f"{models.stock.group}/{name}"
        s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    return models


@pytest.fixture(scope="module")
def scenarios(theirs: Models) -> Scenarios:
    return Scenarios(theirs)


def test_every_permission_has_its_case() -> None:
    tables = (NEEDED, NEEDED_TO_UPDATE, READ, ANOTHER_WAY, STREAMED, STREAMED_ANOTHER_WAY, ENDING)
    tried = {(role, action) for role, action, _ in each(*tables)} | NOT_IN_THIS.keys()
    there = {
        (permission.role, permission.action)
        for template in TEMPLATES
        for permission in permissions(template)
        if permission.role not in OTHER_ROLES and permission.action.partition(":")[0] not in NOT_HERE
    }
    assert sorted(there - tried) == []
    assert sorted(tried - there) == []


def play(world: World, scenarios: Scenarios, name: str, role: str, action: str, code: str) -> None:
    """Take a permission away, see the letter, give it back, redrive."""
    case, before = scenarios.make(name), len(world.aws.authority.denials)
    with denied(world, Permission(role, action), account_of(role)):
        seen = case.play()
        refused = world.aws.authority.denials[before:]
    assert refused, "nothing was refused"
    if not code:
        assert not seen.letters
        case.check()
        return
    assert [letter.get("code") for letter in seen.letters] == [code]
    assert re.search(r"arn:aws:|s3://|\.dkr\.ecr\.", seen.letters[0]["reason"]), seen.letters
    nothing_lost(seen)
    failed = [(function, ended) for function, ended in world.invocations if ended != "ok"]
    # Once; or twice where a change that was not seen yet may have been what repairs it.
    assert len(failed) <= (2 if role == "PlanRole" else 1), failed
    assert {ended for _, ended in failed} <= {"PermanentError"}
    world.begin()
    world.redrive()
    case.calls += world.wire.calls
    assert not seen.letters
    case.check()


@pytest.mark.parametrize(("role", "action", "code"), each(NEEDED, READ, ANOTHER_WAY))
def test_a_first_mirror_without(
    world: World, scenarios: Scenarios, role: str, action: str, code: str
) -> None:
    play(world, scenarios, "first", role, action, code)


@pytest.mark.parametrize(("role", "action", "code"), each(NEEDED_TO_UPDATE))
def test_an_update_without(world: World, scenarios: Scenarios, role: str, action: str, code: str) -> None:
    play(world, scenarios, "update", role, action, code)


@pytest.mark.parametrize(("role", "action", "code"), each(STREAMED, STREAMED_ANOTHER_WAY))
def test_a_streamed_copy_without(
    world: World, scenarios: Scenarios, theirs: Models, role: str, action: str, code: str
) -> None:
    bucket = f"arn:aws:s3:::{theirs.stock.bucket}"
    with ExitStack() as stack:
        for read, what in (
            ("GetObject", f"{bucket}/*"),
            ("GetObjectVersion", f"{bucket}/*"),
            ("ListBucket", bucket),
        ):
            stack.enter_context(denied(world, Permission("S3CopyRole", f"s3:{read}"), HUB, what))
        play(world, scenarios, "first", role, action, code)


@pytest.mark.parametrize("action", ENDING["RedriveRole", HUB_DENIES].split())
def test_a_redrive_without(world: World, scenarios: Scenarios, action: str) -> None:
    case = scenarios.make("first", whole=False)
    with denied(world, Permission("PlanRole", "sts:AssumeRole"), HUB):
        seen = case.play()
    (letter,) = seen.letters
    with (
        denied(world, Permission("RedriveRole", action), HUB),
        pytest.raises(StateError, match="AccessDenied"),
    ):
        world.redrive()
    assert seen.letters == [letter]
    world.redrive()
    case.check()


@pytest.mark.parametrize("action", ENDING["RecordFailureRole", HUB_DENIES].split())
def test_a_failure_that_cannot_be_recorded(world: World, scenarios: Scenarios, action: str) -> None:
    """It is tried for long, for it must not get lost; the sweep finds what even that did not record."""
    case = scenarios.make("first", whole=False)
    with ExitStack() as stack:
        for role, taken in (("PlanRole", "sts:AssumeRole"), ("RecordFailureRole", action)):
            stack.enter_context(denied(world, Permission(role, taken), HUB))
        case.play()
    assert world.invocations.count(("record-failure", "PermanentError")) == 16
    world.begin()
    world.sweep()
    seen = Operator(world, case.version)
    assert seen.letters, json.dumps(seen.entry, default=str)
    nothing_lost(seen)
    world.redrive()
    check(seen, world.wire.calls)
