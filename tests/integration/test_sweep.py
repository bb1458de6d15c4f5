"""The sweep in the deployed stacks: runs that are gone, letters that were lost, uploads, slots, newer items."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local.landscape import BREAK_GLASS
from replicator.aws.slots import Slots
from replicator.identifiers import version_key
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B, Landscape, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
LEDGER, SPOKES = "registry-replicator-ledger", "registry-replicator-spokes"


@pytest.fixture
def hub(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture
def scientist(deployment: Landscape, fresh: Callable[[str], str]) -> DataScientist:
    return DataScientist(deployment.aws, SPOKE_A, fresh("Model"))


@pytest.fixture
def slots(hub: Hub) -> Slots:
    return Slots(hub.aws.session(HUB), SPOKES)


def a_version(scientist: DataScientist, name: str = "model.tar.gz") -> str:
    return scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put(name)})


def sweep(hub: Hub) -> dict[str, Any]:
    answer = hub.client("lambda").invoke(FunctionName=hub.stack.outputs["SweepFunctionName"], Payload=b"{}")
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    return found


@contextmanager
def held_up(hub: Hub, scientist: DataScientist, arn: str) -> Iterator[str]:
    """Approve a version whose run then hangs before its mirror is made; give its execution."""
    hub.aws.registry.throttle("CreateModelPackage", 10_000)
    try:
        scientist.approve(arn)
        execution = wait_for(lambda: hub.entry(arn).get("execution_arn"), what="the execution")
        wait_for(lambda: hub.entry(arn).get("creating_since"), what="the run to come to the mirror")
        yield str(execution)
    finally:
        hub.aws.registry.calm("CreateModelPackage")


def stop(hub: Hub, execution: str) -> None:
    states = hub.client("stepfunctions")
    states.stop_execution(executionArn=execution)
    ended = lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING"  # noqa: E731
    wait_for(ended, what="the execution to be aborted")


def test_an_aborted_run_reaches_the_dead_letter_queue_and_can_be_redriven(
    hub: Hub, scientist: DataScientist, slots: Slots
) -> None:
    arn = a_version(scientist)
    with held_up(hub, scientist, arn) as execution:
        assert version_key(arn) in slots.running(SPOKE_A)
        before = sweep(hub)
        assert (before["running"], hub.entry(arn)["state"]) == (1, "RUNNING"), "a run at work is left alone"
        stop(hub, execution)
        answer = sweep(hub)
    assert (answer["gone"], answer["letters"], answer["done"], answer["problems"]) == (1, 1, True, [])
    entry = hub.entry(arn)
    assert (entry["state"], entry["code"]) == ("FAILED", "EXECUTION_GONE")
    assert "unsettled" not in entry
    assert version_key(arn) not in slots.running(SPOKE_A)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "EXECUTION_GONE"
    assert "did not say how it ended" in letter["reason"]
    assert sweep(hub)["letters"] == 0
    assert hub.redrive(source_arn=arn)["redriven"] == 1
    wait_for(lambda: hub.entry(arn)["state"] == "IDLE", what="the redriven run")
    assert hub.mirror(arn)


def test_a_letter_that_was_never_sent_is_sent(hub: Hub, scientist: DataScientist) -> None:
    iam, role = hub.client("iam"), "registry-replicator-eu-west-1-record-failure"
    allowed = iam.get_role_policy(RoleName=role, PolicyName="record-failure")["PolicyDocument"]
    only = [each for each in allowed["Statement"] if each["Action"] != "sqs:SendMessage"]
    arn = a_version(scientist)
    scientist.remove("model.tar.gz")
    put = iam.put_role_policy
    put(RoleName=role, PolicyName="record-failure", PolicyDocument=json.dumps(allowed | {"Statement": only}))
    try:
        scientist.approve(arn)
        wait_for(lambda: hub.entry(arn).get("state") == "FAILED", what="the failure to be noted")
        assert sweep(hub)["letters"] == 0, "record-failure is still at it"
        stop(hub, hub.entry(arn)["execution_arn"])
        # A call that is still under way would send the letter once it may.
        hub.aws.functions.kill(hub.account, f"{hub.namespace}-record-failure")
    finally:
        put(RoleName=role, PolicyName="record-failure", PolicyDocument=json.dumps(allowed))
    assert hub.entry(arn)["unsettled"] == SPOKE_A
    assert not [letter for letter in hub.letters() if arn in letter["Body"]]
    assert sweep(hub)["letters"] == 1
    assert hub.dead_letter(arn)["code"] == "SOURCE_OBJECT_MISSING"
    assert "unsettled" not in hub.entry(arn)


def test_uploads_of_ended_runs_are_aborted_and_no_others(
    hub: Hub, scientist: DataScientist, deployment: Landscape, fresh: Callable[[str], str]
) -> None:
    s3, bucket = hub.client("s3", BREAK_GLASS), hub.stack.outputs["BucketName"]

    def begin(key: str) -> str:
        s3.create_multipart_upload(Bucket=bucket, Key=key)
        return key

    def is_open() -> set[str]:
        return {each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])}

    ended = a_version(scientist)
    scientist.approve(ended)
    hub.mirror(ended)
    at_work = DataScientist(deployment.aws, SPOKE_A, fresh("Model"))
    running = a_version(at_work)
    stale = begin(f"models/{SPOKE_A}/{scientist.group}/1/f/weights")
    unknown = begin(f"models/{SPOKE_B}/{fresh('never')}/1/f/weights")
    with held_up(hub, at_work, running):
        live = begin(f"models/{SPOKE_A}/{at_work.group}/1/f/weights")
        answer = sweep(hub)
        assert (answer["uploads"], answer["problems"]) == (1, [])
        assert stale not in is_open()
        assert {live, unknown} <= is_open()
    hub.mirror(running)
    assert sweep(hub)["uploads"] == 1
    assert live not in is_open()
    for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]:
        s3.abort_multipart_upload(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"])


def test_an_item_of_a_newer_release_is_named_left_alone_and_recoverable(
    hub: Hub, scientist: DataScientist
) -> None:
    arn = a_version(scientist)
    scientist.approve(arn)
    hub.mirror(arn)
    key = {"source_arn": {"S": version_key(arn)}}

    def set_schema(number: int, state: str) -> None:
        hub.client("dynamodb").update_item(
            TableName=LEDGER,
            Key=key,
            UpdateExpression="SET #schema = :schema, #state = :state",
            ExpressionAttributeNames={"#schema": "schema", "#state": "state"},
            ExpressionAttributeValues={":schema": {"N": str(number)}, ":state": {"S": state}},
        )

    set_schema(2, "PAUSED")
    before = hub.entry(arn)
    scientist.approve(arn, CustomerMetadataProperties={"note": "newer"})
    letter = hub.dead_letter(arn)
    assert letter["code"] == "LEDGER_VERSION"
    assert version_key(arn) in letter["reason"]
    assert "Deploy the newer release" in letter["reason"]
    assert hub.entry(arn) == before
    set_schema(1, "IDLE")
    assert hub.redrive(source_arn=arn)["redriven"] >= 1
    noted = lambda: "note" in hub.mirror(arn).get("CustomerMetadataProperties", {})  # noqa: E731
    wait_for(noted, what="the redriven change")


def test_a_slot_without_a_run_is_released(hub: Hub, scientist: DataScientist, slots: Slots) -> None:
    arn = a_version(scientist)
    assert slots.acquire(arn, 1000)
    assert sweep(hub)["slots"] >= 1
    assert version_key(arn) not in slots.running(SPOKE_A)
    assert SPOKE_A in slots.accounts()


def test_the_sweep_runs_by_its_schedule(hub: Hub, scientist: DataScientist, slots: Slots) -> None:
    arn = a_version(scientist)
    assert slots.acquire(arn, 1000)
    name = f"{hub.namespace}-sweep"
    rule = hub.client("events").describe_rule(Name=name)
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(15 minutes)", "ENABLED")
    assert hub.aws.events.tick(HUB, name) == [name]
    wait_for(lambda: version_key(arn) not in slots.running(SPOKE_A), what="the sweep to release the slot")


def test_slots_are_counted_by_spoke(hub: Hub, fresh: Callable[[str], str]) -> None:
    slots = Slots(hub.aws.session(HUB), SPOKES)
    arns = [
        f"arn:aws:sagemaker:eu-west-1:{a}:model-package/g/{v}"
        for a in ("1" * 11 + "9", "2" * 11 + "9")
        for v in (1, 2, 3)
    ]
    assert [slots.acquire(arn, 2) for arn in arns] == [True, True, False, True, True, False]
    assert slots.acquire(arns[0], 2), "it holds one already"
    slots.release(arns[0])
    slots.release(arns[0])
    assert slots.acquire(arns[2], 2)
    assert slots.running("1" * 11 + "9") == {arns[1], arns[2]}
    for arn in arns:
        slots.release(arn)


@contextmanager
def runs_per_spoke(hub: Hub, number: int) -> Iterator[None]:
    client, name = hub.client("lambda"), f"{hub.namespace}-intake"
    found = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables = {key: str(value) for key, value in found.items()}
    changed = {**variables, "RUNS_PER_SPOKE": str(number)}
    client.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def test_a_flood_of_one_spoke_keeps_to_its_slots_and_holds_up_no_other(
    hub: Hub, scientist: DataScientist, deployment: Landscape, fresh: Callable[[str], str]
) -> None:
    location = scientist.put("model.tar.gz")
    flood = [scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": location}) for _ in range(30)]
    neighbour = DataScientist(deployment.aws, SPOKE_B, fresh("single"))
    single = a_version(neighbour)
    at_once: list[int] = []
    over = threading.Event()

    def running() -> set[tuple[str, str]]:
        keys = [{"source_arn": {"S": version_key(arn)}} for arn in flood]
        found = hub.client("dynamodb").batch_get_item(RequestItems={LEDGER: {"Keys": keys}})
        # moto writes an item in place, member after member, and may be looked at in between.
        return {
            (entry["source_arn"]["S"], entry.get("attempt", {}).get("N", "none yet"))
            for entry in found["Responses"][LEDGER]
            if entry.get("state", {}).get("S") == "RUNNING"
        }

    def watch() -> None:
        # BatchGetItem reads one item after the other, so it may see a run that ends and the one that takes its slot.
        # What two readings in turn both saw was running at the moment between them.
        before = running()
        while not over.wait(0.01):
            now = running()
            at_once.append(len(before & now))
            before = now

    with runs_per_spoke(hub, 5), ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            for arn in flood:
                scientist.approve(arn)
            neighbour.approve(single)
            hub.mirror(single)
            left = sum(hub.entry(arn).get("state") != "IDLE" for arn in flood)
            deadline = time.monotonic() + 300
            while any(hub.entry(arn).get("state") != "IDLE" for arn in flood):
                assert time.monotonic() < deadline, "the flood did not come through"
                time.sleep(0.5)
                hub.aws.queues.make_visible(HUB, "registry-replicator-intake")
        finally:
            over.set()
        watching.result()
    assert left > 5, "the neighbour did not wait for the flood"
    assert 2 <= max(at_once) <= 5
    assert len(hub.mirrors(f"{SPOKE_A}-{scientist.group}")) == 30
