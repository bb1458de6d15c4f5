"""Every Retry, Catch and Choice of the state machines is taken at least once.

The stories below are played one after the other in moto's engine, with functions that answer as the story
says. The edges are read from the definitions themselves: a new one without a story fails here by name.
"""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from replicator.errors import ErrorCode, PermanentError
from replicator.steps import Action
from tests.infra import machine as engine
from tests.infra import stacks
from tests.infra.edges import Recorder, edges
from tests.infra.machine import ARTIFACT, IMAGE, copied, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.machine import Machine, Run

THROTTLED = ["RetryableError", "Lambda.TooManyRequestsException"]
LAMBDA = ["Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"]
PASSING = [*THROTTLED, *LAMBDA, "Lambda.ClientExecutionTimeoutException"]
CUT_OFF = ["Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"]
TRIED_AGAIN = ["Plan", "CopyArtifact", "CopyImage", "Register"]
MISSING = PermanentError(ErrorCode.SOURCE_OBJECT_MISSING, "s3://b/k does not exist")

type Function = Callable[[dict[str, Any], int], Any]
type Story = Callable[[Machine, Callable[[], Run]], None]


def definition(file: str) -> dict[str, Any]:
    """Read a definition."""
    return dict(yaml.safe_load((stacks.ROOT / "statemachine" / file).read_text(encoding="utf-8")))


def raising(error: Exception) -> Function:
    def function(event: dict[str, Any], call: int) -> Any:
        raise error

    return function


def failing_with(names: list[str], then: Function) -> Function:
    """Give a function that Lambda reports each of these errors of, one after the other, and that then works."""

    def function(event: dict[str, Any], call: int) -> Any:
        if call <= len(names):
            raise type(names[call - 1], (Exception,), {})("not now")
        return then(event, call)

    return function


def late(then: Function) -> Function:
    """Give a function whose first answer comes after the state machine has given it up."""

    def function(event: dict[str, Any], call: int) -> Any:
        if call == 1:
            time.sleep(1.2)
        return then(event, call)

    return function


def all_tried_again(change: Callable[[Function], Function]) -> Story:
    def story(machine: Machine, run: Callable[[], Run]) -> None:
        for name in TRIED_AGAIN:
            machine.functions[name] = change(machine.functions[name])
        assert run().status == "SUCCEEDED"

    return story


def planned(answer: dict[str, Any], names: list[str], status: str = "SUCCEEDED") -> Story:
    def story(machine: Machine, run: Callable[[], Run]) -> None:
        machine.functions["Plan"] = lambda event, call: answer if call == 1 else plan(Action.NOTHING)
        ended = run()
        assert (ended.status, ended.names) == (status, names)

    return story


def caught(name: str) -> Story:
    def story(machine: Machine, run: Callable[[], Run]) -> None:
        machine.functions[name] = raising(MISSING)
        ended = run()
        assert (ended.status, ended.names[-1]) == ("FAILED", "RecordFailure")

    return story


def too_large(event: dict[str, Any], call: int) -> Any:
    """Answer more than Step Functions takes from a state (256 KiB)."""
    return "a" * 300_000


def answered_too_much(name: str) -> Story:
    def story(machine: Machine, run: Callable[[], Run]) -> None:
        machine.functions[name] = too_large
        ended = run()
        assert (ended.status, ended.names[-1]) == ("FAILED", "RecordFailure")

    return story


def copied_in_two_goes(machine: Machine, run: Callable[[], Run]) -> None:
    def copy(event: dict[str, Any], call: int) -> Any:
        progress = {"moved": call, "total": 2, "objects": 0}
        return {"done": False, "result": None, "progress": progress} if call == 1 else copied(event)

    machine.functions["CopyArtifact"] = copy
    assert run().names.count("CopyArtifact") == 2


def changed_meanwhile(machine: Machine, run: Callable[[], Run]) -> None:
    machine.functions["Register"] = lambda event, call: {"again": call == 1, "status": "Completed"}
    assert run().names.count("Plan") == 2


def unknown_copy(machine: Machine, run: Callable[[], Run]) -> None:
    answer = plan(Action.MIRROR) | {"copies": [{"kind": "tape"}]}
    machine.functions["Plan"] = lambda event, call: answer
    assert run().names == ["Plan", "RecordFailure"]


def repaired_meanwhile(machine: Machine, run: Callable[[], Run]) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.REFUSE, code=ErrorCode.UNEXPECTED)
    machine.functions["RecordFailure"] = lambda event, call: {"again": call == 1}
    assert run().names == ["Plan", "RecordFailure"] * 2


def never_recorded(function: Function) -> Story:
    def story(machine: Machine, run: Callable[[], Run]) -> None:
        machine.functions["Plan"] = raising(MISSING)
        machine.functions["RecordFailure"] = function
        assert run().names.count("RecordFailure") == 16

    return story


REPLICATE: dict[str, Story] = {
    "throttled and interrupted": all_tried_again(lambda then: failing_with(PASSING, then)),
    # Each twice at most.
    "cut off": all_tried_again(lambda then: failing_with(CUT_OFF[:2], then)),
    "cut off otherwise": all_tried_again(lambda then: failing_with(CUT_OFF[2:], then)),
    "late": all_tried_again(late),
    "updated": planned(plan(Action.UPDATE), ["Plan", "Register"]),
    "nothing to do": planned(plan(Action.NOTHING), ["Plan"]),
    "nothing to do, then again": planned(plan(Action.NOTHING, again=True), ["Plan", "Plan"]),
    "refused": planned(
        plan(Action.REFUSE, code=ErrorCode.MARKETPLACE_PRODUCT), ["Plan", "RecordFailure"], "FAILED"
    ),
    **{f"{name} fails": caught(name) for name in TRIED_AGAIN},
    "copied in two goes": copied_in_two_goes,
    "changed meanwhile": changed_meanwhile,
    "of another release": unknown_copy,
    "repaired meanwhile": repaired_meanwhile,
    **{f"{name} answers too much": answered_too_much(name) for name in TRIED_AGAIN},
    "never recorded": never_recorded(raising(MISSING)),
    "never recorded, by too long an answer": never_recorded(too_large),
}


def reconciled(event: dict[str, Any], call: int) -> Any:
    """Answer as reconcile does: not done, with a further request; then done."""
    cursor: dict[str, Any] = {"cursor": {"unreadable": []}}
    return {"done": event.get("last", False), "wait": 0, "totals": {}, "next": cursor | {"last": True}}


def reconciling(function: Function, calls: int, status: str = "SUCCEEDED") -> Story:
    def story(machine: Machine, run: Callable[[], Run]) -> None:
        machine.functions["Reconcile"] = function
        ended = run()
        assert (ended.status, ended.names) == (status, ["Reconcile"] * calls)

    return story


RECONCILE: dict[str, Story] = {
    "in two goes": reconciling(reconciled, 2),
    "throttled and interrupted": reconciling(failing_with(PASSING, reconciled), len(PASSING) + 2),
    "cut off": reconciling(failing_with(CUT_OFF[:2], reconciled), 4),
    "cut off otherwise": reconciling(failing_with(CUT_OFF[2:], reconciled), 3),
    "late": reconciling(late(reconciled), 3),
    "for good": reconciling(raising(MISSING), 1, "FAILED"),
    "too large": reconciling(too_large, 1, "FAILED"),
}
STORIES = {"replicate.asl.yaml": REPLICATE, "reconcile.asl.yaml": RECONCILE}


def impatient(machine: dict[str, Any]) -> dict[str, Any]:
    """Let tasks have a second instead of minutes, so that a story can be late."""
    states = {
        name: impatient(state["ItemProcessor"]) if "ItemProcessor" in state else state
        for name, state in machine["States"].items()
    }
    for name, state in machine["States"].items():
        if "ItemProcessor" in state:
            states[name] = state | {"ItemProcessor": states[name]}
        elif "TimeoutSeconds" in state:
            states[name] = state | {"TimeoutSeconds": 1}
    return machine | {"States": states}


def fresh_functions() -> dict[str, Function]:
    """Answer as if all went well: one artifact, one image."""
    well = engine.Machine().functions
    return well | {"Plan": lambda event, call: plan(Action.MIRROR, ARTIFACT, IMAGE)}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder()
        recorder.watch(patch)
        yield recorder


@pytest.mark.parametrize("file", sorted(path.name for path in (stacks.ROOT / "statemachine").iterdir()))
def test_every_edge_is_taken(file: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count()
    for late_ones, shown in ((False, definition(file)), (True, impatient(definition(file)))):
        for machine in engine.running(monkeypatch, shown):

            def run(machine: Machine = machine) -> Run:
                machine.calls.clear()
                return machine.run(f"run-{next(numbers)}")

            for name, story in STORIES[file].items():
                if (name == "late") is late_ones:
                    machine.functions = fresh_functions()
                    story(machine, run)
    expected = set(edges(definition(file)))
    assert recorder.taken - expected == set(), "the recorder and the list of edges name them differently"
    assert expected - recorder.taken == set(), f"no story takes these edges of {file}; write one"


def test_a_new_edge_is_missed() -> None:
    """The list itself is read from the definition, whatever kind of edge is added."""
    before = definition("replicate.asl.yaml")
    after = definition("replicate.asl.yaml")
    after["States"]["Plan"]["Retry"][0]["ErrorEquals"].append("Lambda.SnapStartException")
    after["States"]["Register"]["Catch"].insert(0, {"ErrorEquals": ["PermanentError"], "Next": "Failed"})
    after["States"]["Copies"]["ItemProcessor"]["States"]["IsCopied"]["Choices"].append({"Next": "GoOn"})
    after["States"]["Decide"]["Choices"][0]["Or"].append({})
    assert set(edges(after)) - set(edges(before)) == {
        "Plan: Retry of Lambda.SnapStartException",
        "Register: Catch of PermanentError -> Failed",
        "IsCopied: rule 2 -> GoOn",
        "Decide: rule 1, alternative 3 -> Copies",
    }
