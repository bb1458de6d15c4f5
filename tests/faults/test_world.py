"""The world of the fault tests itself: that it replicates, and that a strike is what it says."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from local.landscape import HUB
from tests.faults.machine import Machine, StateError
from tests.faults.wire import Effect, Strike
from tests.faults.world import KILLED, SPOKE_A, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.models import Models, Version

CREATE = "register sagemaker.CreateModelPackage"


@pytest.fixture
def version(world: World, models: Models) -> Version:
    models.forget_copies()
    return models.version()


def replicate(world: World, version: Version, *strikes: Strike) -> list[str]:
    world.begin(*strikes)
    version.scientist.approve(version.arn)
    world.settle()
    return [str(call) for call in world.wire.calls]


def mirrors(world: World, version: Version) -> list[str]:
    sagemaker = world.aws.client("sagemaker", HUB)
    answer = sagemaker.list_model_packages(ModelPackageGroupName=version.hub_group)
    return [summary["ModelPackageArn"] for summary in answer["ModelPackageSummaryList"]]


def test_a_version_is_mirrored_with_every_kind_of_call(world: World, version: Version) -> None:
    calls = replicate(world, version)
    assert [name for name, _ in world.invocations] == [
        "intake", "plan", "copy-image", "copy-artifact", "copy-artifact", "register",
    ]  # fmt: skip
    assert {ended for _, ended in world.invocations} == {"ok"}
    assert len(mirrors(world, version)) == 1
    assert {
        "intake states.StartExecution 1",
        "copy-artifact s3.UploadPartCopy 3",
        "copy-artifact s3.CompleteMultipartUpload 1",
        "copy-artifact s3.CopyObject 2",
        "copy-image registry.PUT blobs/uploads 3",
        "copy-image storage.GET blob 3",
        "copy-image registry.PUT manifests 1",
        "register sagemaker.CreateModelPackageGroup 1",
        f"{CREATE} 1",
        "register events.PutEvents 1",
    } <= set(calls)


def test_the_same_case_has_the_same_calls(world: World, models: Models) -> None:
    found = []
    for _ in range(2):
        models.forget_copies()
        found.append(sorted(replicate(world, models.version())))
    assert found[0] == found[1]


def test_a_crash_before_has_no_effect_and_one_after_has(world: World, version: Version) -> None:
    seen: list[int] = []
    before, after = (Strike(f"{CREATE} {n}", effect) for n, effect in enumerate(Effect, 1) if n < 3)
    assert (before.effect, after.effect) == (Effect.CRASH_BEFORE, Effect.CRASH_AFTER)

    def look(name: str) -> None:
        if name == "register":
            seen.append(len(mirrors(world, version)) if seen else 0)

    world.meanwhile = look
    calls = replicate(world, version, before, after)
    assert seen == [0, 0, 1]
    assert [ended for name, ended in world.invocations if name == "register"] == [KILLED, KILLED, "ok"]
    assert calls.count(f"{CREATE} 3") == 0  # the third attempt found what the second one had made
    assert len(mirrors(world, version)) == 1


@pytest.mark.parametrize(
    ("call", "effect"),
    [
        ("plan dynamodb.UpdateItem 1", Effect.THROTTLED),
        ("plan sts.AssumeRole 1", Effect.BROKEN),
        ("copy-artifact s3.CopyObject 1", Effect.UNAVAILABLE),
        ("copy-artifact s3.UploadPartCopy 1", Effect.ERROR_IN_200),
        ("copy-artifact s3.CompleteMultipartUpload 1", Effect.TIMED_OUT),
        ("copy-image registry.PUT blobs/uploads 1", Effect.TIMED_OUT),
    ],
)
def test_one_answer_of_a_service_in_trouble_is_asked_again_at_once(
    world: World, version: Version, call: str, effect: Effect
) -> None:
    strike = Strike(call, effect)
    replicate(world, version, strike)
    assert len(strike.struck) == 1
    assert {ended for _, ended in world.invocations} == {"ok"}
    assert len(mirrors(world, version)) == 1


def test_trouble_that_lasts_for_an_invocation_is_tried_again_by_the_state_machine(
    world: World, version: Version
) -> None:
    strike = Strike("plan sagemaker.DescribeModelPackage 1", Effect.THROTTLED, "invocation")
    replicate(world, version, strike)
    assert len(strike.struck) == 5
    assert world.invocations[1:3] == [("plan", "RetryableError"), ("plan", "ok")]


def test_a_dead_function_sends_nothing_more_from_any_thread(world: World, version: Version) -> None:
    strike = Strike("copy-artifact s3.UploadPartCopy 1", Effect.CRASH_BEFORE)
    calls = replicate(world, version, strike)
    crashed = calls.index("copy-artifact s3.UploadPartCopy 1")
    dead = calls[crashed : calls.index("copy-artifact sts.AssumeRole 2")]
    assert set(dead) <= {f"copy-artifact s3.UploadPartCopy {n}" for n in (1, 2, 3)}


def test_what_was_read_is_known_by_account(world: World, version: Version) -> None:
    replicate(world, version)
    assert set(world.accounts_read(world.wire.calls)) == {HUB, SPOKE_A}


def test_a_hook_sees_the_request_and_its_own_do_not_count(world: World, version: Version) -> None:
    seen: list[str] = []

    def hook(call: Any) -> None:
        seen.append(f"{call} {len(mirrors(world, version)) if 'Update' in str(call) else ''}")

    calls = replicate(world, version, Strike("register dynamodb.UpdateItem 2", Effect.NOTHING, hook=hook))
    assert seen == ["register dynamodb.UpdateItem 2 1"]
    assert not any("ListModelPackages" in call for call in calls)


def test_an_aborted_run_is_over(world: World, version: Version) -> None:
    world.begin()
    version.scientist.approve(version.arn)
    world.deliver()
    (run,) = world.runs
    assert [world.step(run), world.step(run)] == ["Plan", "CopyImage"]
    world.abort(run)
    found = world.aws.client("stepfunctions", HUB).describe_execution(executionArn=run.execution.exec_arn)
    assert found["status"] == "ABORTED"
    assert [name for name, _ in world.invocations] == ["intake", "plan"]


# The machine


def machine(states: dict[str, Any], call: Callable[[str, Any], Any], start: str = "A") -> Machine:
    return Machine({"StartAt": start, "States": states}, call)


def run(machine: Machine, given: Any) -> Any:
    steps = machine.run(given)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def failing(times: int, error: str) -> Callable[[str, Any], Any]:
    left = [times]

    def call(resource: str, given: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise StateError(error, "because")
        return {"resource": resource, "given": given}

    return call


def test_the_machine_retries_as_often_as_the_definition_says() -> None:
    task = {
        "Type": "Task",
        "Resource": "r",
        "End": True,
        "Retry": [
            {"ErrorEquals": ["X"], "MaxAttempts": 2},
            {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1},
        ],
    }
    assert run(machine({"A": task}, failing(2, "X")), {"a": 1})["given"] == {"a": 1}
    with pytest.raises(StateError, match="X: because"):
        run(machine({"A": task}, failing(3, "X")), {})
    with pytest.raises(StateError, match="Y: because"):
        run(machine({"A": task}, failing(2, "Y")), {})
    with pytest.raises(StateError, match="because"):  # States.ALL does not stand for this one
        run(machine({"A": task}, failing(1, "States.Runtime")), {})


def test_states_all_stands_for_a_large_answer_in_the_task_alone() -> None:
    caught = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "B"}]
    task = {"Type": "Task", "Resource": "r", "End": True}
    states = {"A": {**task, "Catch": caught}, "B": {"Type": "Succeed"}}
    assert run(machine(states, failing(1, "States.DataLimitExceeded")), {})["error"]["Cause"] == "because"
    inner = {"StartAt": "In", "States": {"In": task}}
    each = {"Type": "Map", "ItemsPath": "$.all", "ItemProcessor": inner, "End": True, "Catch": caught}
    with pytest.raises(StateError, match=r"States\.DataLimitExceeded"):
        run(machine({**states, "A": each}, failing(1, "States.DataLimitExceeded")), {"all": [1]})


def test_the_machine_catches_into_the_result_path_and_notes_every_edge() -> None:
    states = {
        "A": {
            "Type": "Task",
            "Resource": "r",
            "Next": "Never",
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "B"}],
        },
        "B": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.error.Error", "StringEquals": "X", "Next": "C"}],
            "Default": "Never",
        },
        "C": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    }
    made = machine(states, failing(1, "X"))
    with pytest.raises(StateError, match="X: because"):
        run(made, {})
    assert set(made.taken) == {("A", "Catch", 0), ("B", "Choice", 0)}
    assert made.edges() - set(made.taken) == {("B", "Default", 0)}


def test_the_machine_refuses_what_it_does_not_know() -> None:
    for state in (
        {"Type": "Parallel"},
        {"Type": "Pass", "Parameters": {"a.$": "States.UUID()"}, "End": True},
        {"Type": "Pass", "Parameters": {"a.$": "$.list[0]"}, "End": True},
    ):
        with pytest.raises(NotImplementedError):
            run(machine({"A": state}, failing(0, "")), json.loads("{}"))


def test_a_request_that_breaks_off_in_its_body_is_not_waited_for(world: World) -> None:
    """The source of a layer fails while the layer is sent: nobody awaits an answer to what was sent of it."""

    def body() -> Iterator[bytes]:
        yield b"the beginning"
        raise ConnectionResetError

    with socket.create_server(("127.0.0.1", 0)) as server, world.wire.invocation("copy-image"):
        connection = http.client.HTTPConnection("127.0.0.1", server.getsockname()[1])
        with closing(connection), pytest.raises(ConnectionResetError):
            connection.request("PUT", "/v2/scorer/blobs/uploads/1", body(), {"Content-Length": "100"})
