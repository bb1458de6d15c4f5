"""Reconcile and backfill, with the deployed functions and state machines: what no event told of is found."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from replicator.aws.intake_queue import IntakeQueue
from replicator.identifiers import version_key
from replicator.provenance import SOURCE_DELETED
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B, Landscape, receive_all, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.sagemaker import ArnSpelling

AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
FORWARD, READ = "registry-replicator-forward", "registry-replicator-eu-west-1-read"


@pytest.fixture
def hub(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture
def scientist(deployment: Landscape, fresh: Callable[[str], str], spelling: ArnSpelling) -> DataScientist:
    return DataScientist(deployment.aws, SPOKE_A, fresh("Model"))


@contextmanager
def unheard(scientist: DataScientist) -> Iterator[None]:
    """Lose every event of the spoke."""
    events = scientist.client("events")
    events.disable_rule(Name=FORWARD)
    try:
        yield
    finally:
        events.enable_rule(Name=FORWARD)


def register(scientist: DataScientist, **members: Any) -> str:
    model = scientist.put("model.tar.gz")
    return scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": model}, **members)


def mirrored(hub: Hub, scientist: DataScientist) -> tuple[str, str]:
    """Give a version and its mirror."""
    arn = register(scientist)
    scientist.approve(arn)
    return arn, hub.mirror(arn)["ModelPackageArn"]


def call(hub: Hub, **request: Any) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Call the function until it is done; give the totals and every finding."""
    client, found = hub.client("lambda"), list[dict[str, Any]]()
    for _ in range(50):
        payload = json.dumps(request).encode()
        answer = client.invoke(FunctionName=f"{hub.namespace}-reconcile", Payload=payload)
        said = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, said
        found += said["findings"]
        if said["done"]:
            return said["totals"], found
        request = said["next"]
    raise AssertionError(f"it is not done: {request}")


def execute(hub: Hub, **request: Any) -> dict[str, Any]:
    """Run the state machine to its end and give its output."""
    states = hub.client("stepfunctions")
    arn = states.start_execution(
        stateMachineArn=hub.stack.outputs["ReconcileStateMachineArn"], input=json.dumps(request)
    )["executionArn"]

    def over() -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=arn)
        return found if found["status"] != "RUNNING" else None

    found = wait_for(over, seconds=120, what="the reconciliation to end") or {}
    assert found["status"] == "SUCCEEDED", found
    output: dict[str, Any] = json.loads(found["output"])
    return output


def kinds(findings: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["kind"], each["source_arn"]) for each in findings]


def only(scientist: DataScientist) -> dict[str, Any]:
    return {"accounts": [scientist.account], "group": scientist.group}


def test_a_lost_approval_is_found_and_mirrored(hub: Hub, scientist: DataScientist) -> None:
    arn = register(scientist)
    with unheard(scientist):
        scientist.approve(arn)
    assert hub.entry(arn) == {}
    output = execute(hub, mode="reconcile", **only(scientist))
    assert (output["totals"]["missing"], output["totals"]["enqueued"]) == (1, 1)
    (container,) = hub.mirror(arn)["InferenceSpecification"]["Containers"]
    assert hub.read(container["ModelDataUrl"]) in scientist.artifacts.values()
    totals, found = call(hub, **only(scientist))
    assert (found, totals["listed"], totals["compared"], totals["enqueued"]) == ([], 1, 1, 0)


def test_an_edit_and_a_rejection_that_no_event_told_of_reach_the_mirror(
    hub: Hub, scientist: DataScientist
) -> None:
    (edited, _), (rejected, _) = mirrored(hub, scientist), mirrored(hub, scientist)
    with unheard(scientist):
        scientist.update(edited, CustomerMetadataProperties={"note": "checked"})
        scientist.reject(rejected)
    _, found = call(hub, **only(scientist))
    assert sorted(kinds(found)) == sorted([("NEWER", edited), ("NEWER", rejected)])
    assert all(each["enqueued"] for each in found)
    wait_for(
        lambda: hub.mirror(edited)["CustomerMetadataProperties"].get("note") == "checked", what="the edit"
    )
    wait_for(lambda: hub.mirror(rejected)["ModelApprovalStatus"] == "Rejected", what="the rejection")


def test_backfill_mirrors_what_was_approved_before_there_was_a_hub(
    hub: Hub, scientist: DataScientist
) -> None:
    with unheard(scientist):
        old = [register(scientist, ModelApprovalStatus="Approved") for _ in range(3)]
        pending, rejected = (
            register(scientist, ModelApprovalStatus=s) for s in ("PendingManualApproval", "Rejected")
        )
    output = execute(hub, mode="backfill", **only(scientist))
    assert {k: output["totals"][k] for k in ("listed", "missing", "enqueued", "compared")} == {
        "listed": 5, "missing": 3, "enqueued": 3, "compared": 0,
    }  # fmt: skip
    mirrors = {hub.mirror(arn)["ModelPackageArn"] for arn in old}
    assert set(hub.mirrors(f"{SPOKE_A}-{scientist.group}")) == mirrors
    assert len(mirrors) == 3
    assert hub.entry(pending) == hub.entry(rejected) == {}


def test_a_dry_run_says_all_and_sends_nothing(hub: Hub, scientist: DataScientist) -> None:
    gone, _ = mirrored(hub, scientist)
    before = hub.entry(gone)
    with unheard(scientist):
        missing = register(scientist, ModelApprovalStatus="Approved")
    scientist.client("sagemaker").delete_model_package(ModelPackageName=gone)
    totals, found = call(hub, dry_run=True, **only(scientist))
    assert kinds(found) == [("MISSING", missing), ("GONE", gone)]
    assert not any(each["enqueued"] for each in found)
    assert (totals["missing"], totals["gone"], totals["enqueued"]) == (1, 1, 0)
    # What comes now comes after anything that it could have sent.
    other = register(scientist, ModelApprovalStatus="Approved")
    hub.mirror(other)
    assert hub.entry(missing) == {}
    assert hub.entry(gone) == before


def test_a_deletion_is_marked_and_the_second_reconcile_is_quiet(hub: Hub, scientist: DataScientist) -> None:
    arn, hub_arn = mirrored(hub, scientist)
    hub.sagemaker.update_model_package(ModelPackageArn=hub_arn, ModelApprovalStatus="Approved")
    scientist.client("sagemaker").delete_model_package(ModelPackageName=arn)
    execute(hub, **only(scientist))
    wait_for(lambda: hub.entry(arn).get("fingerprint") == "gone", what="the mark in the ledger")
    mirror = hub.mirror(arn)
    assert SOURCE_DELETED in mirror["CustomerMetadataProperties"]
    assert (mirror["ModelPackageArn"], mirror["ModelApprovalStatus"]) == (hub_arn, "Approved")
    entry = hub.entry(arn)
    totals, found = call(hub, **only(scientist))
    assert (found, totals["marked"], totals["gone"], totals["enqueued"]) == ([], 1, 0, 0)
    assert hub.entry(arn) == entry


def test_drift_is_reported_and_not_overwritten(hub: Hub, scientist: DataScientist) -> None:
    arn, hub_arn = mirrored(hub, scientist)
    hub.sagemaker.update_model_package(
        ModelPackageArn=hub_arn, ModelApprovalStatus="Approved", ApprovalDescription="by a person"
    )
    assert call(hub, **only(scientist))[1] == []  # what the source never had is the person's own
    hub.sagemaker.update_model_package(
        ModelPackageArn=hub_arn, ModelLifeCycle={"Stage": "Prod", "StageStatus": "Approved"}
    )
    scientist.approve(arn, ModelLifeCycle={"Stage": "Dev", "StageStatus": "Approved"})
    wait_for(lambda: hub.entry(arn).get("wanted") == "2", what="the approval to arrive")
    assert hub.mirror(arn)["ModelLifeCycle"] == {"Stage": "Prod", "StageStatus": "Approved"}
    hub.sagemaker.update_model_package(
        ModelPackageArn=hub_arn, InferenceSpecification={"Containers": [{"Image": AWS_IMAGE}]}
    )
    edited = hub.mirror(arn)
    for _ in range(2):
        totals, found = call(hub, **only(scientist))
        assert kinds(found) == [("DRIFTED", arn)]
        assert found[0]["detail"].startswith("InferenceSpecification, ModelLifeCycle of ")
        assert not found[0]["enqueued"]
        assert (totals["drifted"], totals["enqueued"]) == (1, 0)
    assert hub.mirror(arn)["LastModifiedTime"] == edited["LastModifiedTime"]


def test_a_deleted_mirror_is_reported_and_not_made_again(hub: Hub, scientist: DataScientist) -> None:
    arn, hub_arn = mirrored(hub, scientist)
    hub.sagemaker.delete_model_package(ModelPackageName=hub_arn)
    with unheard(scientist):
        scientist.approve(arn, CustomerMetadataProperties={"note": "again"})
    totals, found = call(hub, **only(scientist))
    assert kinds(found) == [("MIRROR_DELETED", arn)]
    assert (totals["mirrors_deleted"], totals["enqueued"]) == (1, 0)


def test_a_failure_whose_letter_will_lapse_is_tried_again(hub: Hub, scientist: DataScientist) -> None:
    arn = register(scientist)
    scientist.remove("model.tar.gz")
    scientist.approve(arn)
    assert hub.dead_letter(arn)["code"] == "SOURCE_OBJECT_MISSING"
    hub.settled(arn)
    assert call(hub, **only(scientist))[1] == []  # it has a letter
    hub.client("dynamodb").update_item(
        TableName=f"{hub.namespace}-ledger",
        Key={"source_arn": {"S": version_key(arn)}},
        UpdateExpression="SET finished_at = :old",
        ExpressionAttributeValues={":old": {"S": "2026-01-01T00:00:00.000000+00:00"}},
    )
    totals, found = call(hub, **only(scientist))
    assert kinds(found) == [("LAPSING", arn)]
    assert totals["enqueued"] == 1
    wait_for(lambda: hub.entry(arn).get("attempt") == "2", what="the second run")
    assert hub.settled(arn)["code"] == "SOURCE_OBJECT_MISSING"
    scientist.client("sagemaker").delete_model_package(ModelPackageName=arn)
    assert call(hub, **only(scientist))[1] == []  # nothing is left to mirror or to mark


def test_a_spoke_that_lets_nobody_in_is_named_and_the_other_goes_on(
    hub: Hub, scientist: DataScientist
) -> None:
    other = DataScientist(scientist.aws, SPOKE_B, scientist.group)
    theirs, hub_arn = mirrored(hub, other)
    with unheard(scientist):
        arn = register(scientist, ModelApprovalStatus="Approved")
    iam = other.client("iam")
    trust = iam.get_role(RoleName=READ)["Role"]["AssumeRolePolicyDocument"]
    closed = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    nobody = {"Version": "2012-10-17", "Statement": [closed]}
    iam.update_assume_role_policy(RoleName=READ, PolicyDocument=json.dumps(nobody))
    try:
        totals, found = call(hub, group=scientist.group)
    finally:
        iam.update_assume_role_policy(RoleName=READ, PolicyDocument=json.dumps(trust))
    refused = [each for each in found if each["kind"] == "UNREADABLE"]
    assert [(each["account"], each["source_arn"]) for each in refused] == [(SPOKE_B, None)]
    assert "SOURCE_ACCESS_DENIED" in refused[0]["detail"]
    assert (totals["unreadable_spokes"], totals["missing"], totals["gone"]) == (1, 1, 0)
    assert hub.mirror(arn)
    assert hub.entry(theirs)["hub_arn"] == hub_arn
    assert SOURCE_DELETED not in hub.mirror(theirs)["CustomerMetadataProperties"]


def test_one_group_is_one_group(hub: Hub, scientist: DataScientist) -> None:
    longer = DataScientist(scientist.aws, SPOKE_A, f"{scientist.group}-2")
    with unheard(scientist):
        mine = register(scientist, ModelApprovalStatus="Approved")
        register(longer, ModelApprovalStatus="Approved")
    _, found = call(hub, mode="backfill", dry_run=True, **only(scientist))
    assert kinds(found) == [("MISSING", mine)]
    _, found = call(hub, mode="backfill", dry_run=True, accounts=[SPOKE_B], group=scientist.group)
    assert found == []


@pytest.mark.parametrize(("account", "code"), [("333333333333", "UNKNOWN_ACCOUNT"), (HUB, "OWN_ACCOUNT")])
def test_an_account_that_is_no_spoke_is_refused(hub: Hub, account: str, code: str) -> None:
    answer = hub.client("lambda").invoke(
        FunctionName=f"{hub.namespace}-reconcile", Payload=json.dumps({"accounts": [account]}).encode()
    )
    said = json.loads(answer["Payload"].read())
    assert said["errorType"] == "PermanentError"
    assert said["errorMessage"].startswith(f"{code}: ")


def test_messages_that_are_put_off_are_no_backlog(hub: Hub, fresh: Callable[[str], str]) -> None:
    """They wait for a run of their own spoke, and nobody else has to wait for them."""
    url = hub.sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    queue = IntakeQueue(hub.aws.session(HUB), url, sleep=lambda seconds: None)
    hub.sqs.send_message(QueueUrl=url, MessageBody="put off", DelaySeconds=900)
    assert queue.backlog() == 0
    hub.sqs.send_message(QueueUrl=url, MessageBody="to be taken")
    assert queue.backlog() == 1


def test_a_message_that_is_refused_for_good_is_not_sent_again(hub: Hub, fresh: Callable[[str], str]) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_BatchResultErrorEntry.html"""
    attributes = {"MaximumMessageSize": "1024"}
    url = hub.sqs.create_queue(QueueName=fresh("queue"), Attributes=attributes)["QueueUrl"]
    paused: list[float] = []
    queue = IntakeQueue(hub.aws.session(HUB), url, sleep=paused.append)
    bodies = [str(i) for i in range(20)]
    bodies[14] = "x" * 2_000
    refused = queue.send(bodies)
    assert paused == []
    assert list(refused) == [14]
    assert refused[14].startswith("InvalidParameterValue: ")
    assert sorted(each["Body"] for each in receive_all(hub.aws, HUB, url)) == sorted(
        bodies[:14] + bodies[15:]
    )


def test_a_throttled_listing_is_waited_for_and_gone_on_with(hub: Hub, scientist: DataScientist) -> None:
    with unheard(scientist):
        arn = register(scientist, ModelApprovalStatus="Approved")
    hub.aws.registry.throttle("ListModelPackages", 7, f":assumed-role/{READ}/")
    hub.aws.registry.throttle("ListModelPackageGroups", 2, f":assumed-role/{READ}/")
    with hub.in_haste("reconcile"):
        output = execute(hub, mode="backfill", **only(scientist))
    assert hub.aws.registry.failing == {}
    assert output["totals"]["missing"] == 1
    assert hub.mirror(arn)
