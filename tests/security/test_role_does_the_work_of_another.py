"""The role of a function is used for what another function is there for.

The attacker has one function of the hub in hand (a bug in it, or its credentials), or may assume its role. The
asset: everything that the hub may do. What holds: each function has a role of its own, with what it needs and nothing
else; sessions for a spoke carry that spoke as a tag, and no other tag. The attempts use the deployed roles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.accounts import role_arn
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B
from tests.integration.data_scientist import DataScientist
from tests.security.refusals import DENIED, assert_denied, assume, code_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.accounts import LocalSession
    from tests.integration.operator_of_hub import Hub

ROLES = (
    "intake", "plan", "copy-artifact", "copy-image", "register", "record-failure", "sweep", "redrive", "reconcile",
)  # fmt: skip
READERS = ("plan", "copy-artifact", "copy-image", "register", "reconcile")
STRANGER = "444444444444"


@dataclass(frozen=True)
class Work:
    """Something that some roles of the hub are there for.

    Parameters
    ----------
    harmless
        Whether the roles that may do it can do it here, to show that the attempt itself is a good one.
    """

    what: str
    by: tuple[str, ...]
    service: str
    call: Callable[[Any, Hub], Any]
    harmless: bool = False


def role_of(hub: Hub, role: str) -> str:
    """Give the name of a role in the hub, or of the role that a spoke lets the hub read with."""
    return f"{hub.namespace}-{hub.aws.region}-{role}"


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def bucket(hub: Hub) -> str:
    return hub.stack.resources["HubBucket"]


def function(hub: Hub, name: str) -> str:
    return f"arn:aws:lambda:{hub.aws.region}:{HUB}:function:{hub.namespace}-{name}"


def item(hub: Hub) -> dict[str, Any]:
    return {"TableName": f"{hub.namespace}-ledger", "Key": {"source_arn": {"S": "attack"}}}


def package(hub: Hub) -> str:
    return f"arn:aws:sagemaker:{hub.aws.region}:{HUB}:model-package/attack/1"


def event(source: str) -> Callable[[Any, Hub], Any]:
    """Give an attempt to put an event on the hub's bus."""
    return lambda events, hub: events.put_events(
        Entries=[
            {
                "Source": source,
                "DetailType": "SageMaker Model Package State Change",
                "Detail": "{}",
                "EventBusName": hub.stack.resources["Bus"],
            }
        ]
    )


WORK = [
    Work(
        "takes the copy role",
        ("copy-artifact",),
        "sts",
        lambda sts, hub: sts.assume_role(
            RoleArn=role_arn(HUB, role_of(hub, "s3-copy")), RoleSessionName="attack", Tags=tags(spoke=SPOKE_A)
        ),
        harmless=True,
    ),
    Work(
        "takes the copy role of images",
        ("copy-image",),
        "sts",
        lambda sts, hub: sts.assume_role(
            RoleArn=role_arn(HUB, role_of(hub, "ecr-copy")),
            RoleSessionName="attack",
            Tags=tags(spoke=SPOKE_A),
        ),
        harmless=True,
    ),
    Work(
        "reads a spoke",
        READERS,
        "sts",
        lambda sts, hub: sts.assume_role(
            RoleArn=role_arn(SPOKE_A, role_of(hub, "read")),
            RoleSessionName="attack",
            Tags=tags(spoke=SPOKE_A),
        ),
        harmless=True,
    ),
    Work(
        "starts a replication",
        ("intake",),
        "stepfunctions",
        lambda states, hub: states.start_execution(
            stateMachineArn=hub.stack.outputs["StateMachineArn"],
            input=json.dumps({"source_arn": package(hub), "attempt": 1}),
        ),
    ),
    Work(
        "starts a reconciliation",
        (),
        "stepfunctions",
        lambda states, hub: states.start_execution(
            stateMachineArn=hub.stack.outputs["ReconcileStateMachineArn"]
        ),
    ),
    Work(
        "invokes register",
        (),
        "lambda",
        lambda each, hub: each.invoke(FunctionName=function(hub, "register")),
    ),
    Work(
        "invokes redrive", (), "lambda", lambda each, hub: each.invoke(FunctionName=function(hub, "redrive"))
    ),
    Work(
        "sends to the intake queue",
        ("intake", "redrive", "reconcile"),
        "sqs",
        lambda sqs, hub: sqs.send_message(QueueUrl=hub.stack.resources["IntakeQueue"], MessageBody="attack"),
    ),
    Work(
        "takes from the intake queue",
        ("intake",),
        "sqs",
        lambda sqs, hub: sqs.receive_message(QueueUrl=hub.stack.resources["IntakeQueue"]),
    ),
    Work(
        "sends to the dead-letter queue",
        ("intake", "record-failure", "sweep"),
        "sqs",
        lambda sqs, hub: sqs.send_message(
            QueueUrl=hub.stack.resources["DeadLetterQueue"], MessageBody="attack"
        ),
    ),
    Work(
        "takes from the dead-letter queue",
        ("redrive",),
        "sqs",
        lambda sqs, hub: sqs.receive_message(QueueUrl=hub.stack.resources["DeadLetterQueue"]),
    ),
    Work(
        "empties the dead-letter queue",
        (),
        "sqs",
        lambda sqs, hub: sqs.purge_queue(QueueUrl=hub.stack.resources["DeadLetterQueue"]),
    ),
    Work(
        "publishes a result",
        ("register", "record-failure", "sweep"),
        "events",
        event("model-registry-replicator"),
        harmless=True,
    ),
    Work("speaks for SageMaker", (), "events", event("aws.sagemaker")),
    Work(
        "writes an artifact",
        (),
        "s3",
        lambda s3, hub: s3.put_object(Bucket=bucket(hub), Key=f"models/{SPOKE_A}/g/1/attack", Body=b"x"),
    ),
    Work(
        "deletes an artifact",
        (),
        "s3",
        lambda s3, hub: s3.delete_object(Bucket=bucket(hub), Key=f"models/{SPOKE_A}/g/1/attack"),
    ),
    Work(
        "writes provenance",
        ("register",),
        "s3",
        lambda s3, hub: s3.put_object(Bucket=bucket(hub), Key="provenance/attack.json", Body=b"{}"),
        harmless=True,
    ),
    Work(
        "reads the ledger",
        ("intake", "register", "record-failure", "sweep"),
        "dynamodb",
        lambda table, hub: table.get_item(**item(hub)),
        harmless=True,
    ),
    Work("deletes from the ledger", (), "dynamodb", lambda table, hub: table.delete_item(**item(hub))),
    Work(
        "approves a mirror",
        ("register",),
        "sagemaker",
        lambda each, hub: each.update_model_package(
            ModelPackageArn=package(hub), ModelApprovalStatus="Approved"
        ),
        harmless=True,
    ),
    Work(
        "deletes a mirror",
        (),
        "sagemaker",
        lambda each, hub: each.delete_model_package(ModelPackageName=package(hub)),
    ),
    Work(
        "pushes an image",
        (),
        "ecr",
        lambda ecr, hub: ecr.put_image(
            repositoryName=f"{hub.namespace}/{SPOKE_A}/attack", imageManifest="{}", imageTag="1"
        ),
    ),
    Work(
        "deletes an image",
        (),
        "ecr",
        lambda ecr, hub: ecr.batch_delete_image(
            repositoryName=f"{hub.namespace}/{SPOKE_A}/attack", imageIds=[{"imageTag": "1"}]
        ),
    ),
    Work(
        "gives itself more rights",
        (),
        "iam",
        lambda iam, hub: iam.put_role_policy(
            RoleName=role_of(hub, "plan"), PolicyName="attack", PolicyDocument='{"Statement": []}'
        ),
    ),
    Work(
        "changes a function",
        (),
        "lambda",
        lambda each, hub: each.update_function_configuration(
            FunctionName=function(hub, "plan"), Environment={"Variables": {}}
        ),
    ),
]
FORBIDDEN = [(work, role) for work in WORK for role in ROLES if role not in work.by]
ALLOWED = [(work, role) for work in WORK for role in work.by if work.harmless]


def named(value: Any) -> str:
    return value.what if isinstance(value, Work) else str(value)


@pytest.mark.parametrize(("work", "role"), FORBIDDEN, ids=named)
def test_a_role_does_not_do_the_work_of_another(hub: Hub, work: Work, role: str) -> None:
    client = hub.aws.client(work.service, HUB, role_of(hub, role))
    assert_denied(lambda: work.call(client, hub))


@pytest.mark.parametrize(("work", "role"), ALLOWED, ids=named)
def test_the_role_that_is_there_for_it_does_it(hub: Hub, work: Work, role: str) -> None:
    """So that a denial above is not that of a call that nobody could make."""
    client = hub.aws.client(work.service, HUB, role_of(hub, role))
    assert code_of(lambda: work.call(client, hub)) not in DENIED


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"spoke": STRANGER},
        {"spoke": HUB},
        {"spoke": "*"},
        {"spoke": SPOKE_A, "more": "x"},
        {"Team": SPOKE_A},
    ],
    ids=str,
)
@pytest.mark.parametrize(("copies", "by"), [("s3-copy", "copy-artifact"), ("ecr-copy", "copy-image")])
def test_a_copy_role_is_not_taken_with_other_tags(
    hub: Hub, copies: str, by: str, given: dict[str, str]
) -> None:
    role = role_arn(HUB, role_of(hub, copies))
    assert_denied(lambda: assume(hub.aws, HUB, role, role_of(hub, by), **given))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "given", [{}, {"spoke": SPOKE_B}, {"spoke": SPOKE_A, "more": "x"}], ids=["none", "another", "more"]
)
def test_a_spoke_is_not_read_with_other_tags(hub: Hub, reader: str, given: dict[str, str]) -> None:
    role = role_arn(SPOKE_A, role_of(hub, "read"))
    assert_denied(lambda: assume(hub.aws, HUB, role, role_of(hub, reader), **given))


@pytest.fixture
def copying(hub: Hub) -> LocalSession:
    """Give a session of the copy role for the first spoke."""
    role = role_arn(HUB, role_of(hub, "s3-copy"))
    return assume(hub.aws, HUB, role, role_of(hub, "copy-artifact"), spoke=SPOKE_A)


@pytest.fixture
def reading(hub: Hub) -> LocalSession:
    """Give a session of the first spoke's read role."""
    return assume(hub.aws, HUB, role_arn(SPOKE_A, role_of(hub, "read")), role_of(hub, "plan"), spoke=SPOKE_A)


@pytest.mark.parametrize(
    "key", [f"models/{SPOKE_B}/g/1/x", f"models/{SPOKE_A}x/g", "models/x", "provenance/x.json", "x"]
)
def test_a_copy_for_one_spoke_writes_nowhere_else(hub: Hub, copying: LocalSession, key: str) -> None:
    s3 = copying.client("s3")
    s3.put_object(Bucket=bucket(hub), Key=f"models/{SPOKE_A}/attack/1/x", Body=b"x")
    assert_denied(lambda: s3.put_object(Bucket=bucket(hub), Key=key, Body=b"x"))
    assert_denied(lambda: s3.create_multipart_upload(Bucket=bucket(hub), Key=key))
    assert_denied(lambda: s3.get_object(Bucket=bucket(hub), Key=key))


def test_a_copy_for_one_spoke_deletes_nothing(hub: Hub, copying: LocalSession) -> None:
    s3, key = copying.client("s3"), f"models/{SPOKE_A}/attack/1/x"
    s3.put_object(Bucket=bucket(hub), Key=key, Body=b"x")
    assert_denied(lambda: s3.delete_object(Bucket=bucket(hub), Key=key))
    assert_denied(lambda: s3.put_bucket_policy(Bucket=bucket(hub), Policy="{}"))


@pytest.mark.parametrize("session", ["copying", "reading"])
def test_a_session_for_one_spoke_reads_no_other(
    hub: Hub, fresh: Callable[[str], str], session: str, request: pytest.FixtureRequest
) -> None:
    """Though the other let both roles in: it named the hub in its bucket's policy."""
    location = DataScientist(hub.aws, SPOKE_B, fresh("private")).share("model.tar.gz", HUB)
    theirs, key = location.removeprefix("s3://").split("/", 1)
    s3 = request.getfixturevalue(session).client("s3")
    assert_denied(lambda: s3.get_object(Bucket=theirs, Key=key))
    assert_denied(lambda: s3.list_objects_v2(Bucket=theirs))


SPOKES_OWN: dict[str, tuple[str, Callable[[Any, DataScientist], Any]]] = {
    "write an artifact": (
        "s3", lambda s3, one: s3.put_object(Bucket=one.bucket, Key=f"{one.group}/x", Body=b"x"),
    ),
    "delete an artifact": ("s3", lambda s3, one: s3.delete_object(Bucket=one.bucket, Key=f"{one.group}/x")),
    "approve a version": (
        "sagemaker",
        lambda each, one: each.update_model_package(
            ModelPackageArn=f"arn:aws:sagemaker:{one.aws.region}:{one.account}:model-package/{one.group}/1",
            ModelApprovalStatus="Approved",
        ),
    ),
    "push an image": (
        "ecr", lambda ecr, one: ecr.put_image(repositoryName=one.repository, imageManifest="{}", imageTag="1"),
    ),
    "read another bucket": ("s3", lambda s3, one: s3.get_object(Bucket=f"shared-{one.repository}", Key="x")),
    "take a role": (
        "sts",
        lambda sts, one: sts.assume_role(
            RoleArn=role_arn(one.account, f"registry-replicator-{one.aws.region}-forward"), RoleSessionName="attack"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOKES_OWN)
def test_the_read_role_of_a_spoke_only_reads(spoke: DataScientist, reading: LocalSession, what: str) -> None:
    spoke.share("x", HUB)  # a bucket that the spoke's stack does not name
    service, call = SPOKES_OWN[what]
    client = reading.client(service)
    assert_denied(lambda: call(client, spoke))
