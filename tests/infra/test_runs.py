"""The state machine as it runs: every choice, catch and loop of it is taken here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import ErrorCode, PermanentError, RetryableError
from replicator.steps import Action, CopyRequest, RegisterRequest, RunInput
from tests.infra import machine as engine
from tests.infra.machine import ARTIFACT, IMAGE, SOURCE, Machine, copied, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

THROTTLED = RetryableError(ErrorCode.THROTTLED, "later")
MISSING = PermanentError(ErrorCode.SOURCE_OBJECT_MISSING, "s3://b/k does not exist")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield from engine.running(monkeypatch)


def failing(error: Exception, times: int = 1000) -> Any:
    """Give a function that fails that often, and then has nothing to do."""

    def function(event: dict[str, Any], call: int) -> dict[str, Any]:
        if call <= times:
            raise error
        return plan(Action.NOTHING)

    return function


@pytest.mark.parametrize("action", [Action.MIRROR, Action.UPDATE])
def test_what_is_to_be_mirrored_is_copied_and_registered(machine: Machine, action: Action) -> None:
    machine.functions["Plan"] = lambda event, call: plan(action, ARTIFACT, IMAGE)
    run = machine.run()
    assert run.status == "SUCCEEDED"
    assert sorted(run.names) == ["CopyArtifact", "CopyImage", "Plan", "Register"]
    assert (run.names[0], run.names[-1]) == ("Plan", "Register")
    assert RunInput.model_validate(run.given("Plan")[0]) == RunInput(source_arn=SOURCE, attempt=1)
    for name, copy in (("CopyArtifact", ARTIFACT), ("CopyImage", IMAGE)):
        request = CopyRequest.model_validate(run.given(name)[0])
        assert (request.source_arn, request.copy_, request.progress) == (SOURCE, copy, None)
    (registered,) = run.given("Register")
    assert registered["results"] == [{"uri": ARTIFACT.uri}, {"uri": IMAGE.uri}]
    assert RegisterRequest.model_validate(registered | {"results": []}).plan.copies == [ARTIFACT, IMAGE]


def test_an_update_without_copies_is_registered(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.UPDATE)
    run = machine.run()
    assert (run.status, run.names) == ("SUCCEEDED", ["Plan", "Register"])
    assert run.given("Register")[0]["results"] == []


def test_nothing_to_do_ends_the_run(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.NOTHING)
    run = machine.run()
    assert (run.status, run.names) == ("SUCCEEDED", ["Plan"])


def test_a_change_meanwhile_is_planned_again(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.NOTHING, again=call < 3)
    run = machine.run()
    assert (run.status, run.names) == ("SUCCEEDED", ["Plan"] * 3)


def test_a_change_during_the_copy_is_planned_again(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.UPDATE if call == 1 else Action.NOTHING)
    machine.functions["Register"] = lambda event, call: {"again": True, "status": "Completed"}
    run = machine.run()
    assert (run.status, run.names) == ("SUCCEEDED", ["Plan", "Register", "Plan"])


def test_a_refusal_is_recorded_with_code_and_reason(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.REFUSE, code=ErrorCode.MARKETPLACE_PRODUCT)
    run = machine.run()
    assert (run.status, run.names) == ("FAILED", ["Plan", "RecordFailure"])
    (recorded,) = run.given("RecordFailure")
    assert recorded["error"] == {"Error": "PermanentError", "Cause": "MARKETPLACE_PRODUCT: so it is"}
    assert recorded["plan"]["action"] == "REFUSE"
    assert (run.error, run.cause) == ("PermanentError", "MARKETPLACE_PRODUCT: so it is")


def test_an_unfinished_copy_goes_on_from_where_it_is(machine: Machine) -> None:
    def copy(event: dict[str, Any], call: int) -> dict[str, Any]:
        progress = {"moved": call, "total": 3, "objects": 0}
        return {"done": False, "result": None, "progress": progress} if call < 3 else copied(event)

    machine.functions["Plan"] = lambda event, call: plan(Action.MIRROR, ARTIFACT)
    machine.functions["CopyArtifact"] = copy
    run = machine.run()
    assert run.status == "SUCCEEDED"
    seen = [CopyRequest.model_validate(event) for event in run.given("CopyArtifact")]
    assert [each.progress.moved if each.progress else None for each in seen] == [None, 1, 2]
    assert {each.copy_ for each in seen} == {ARTIFACT}


@pytest.mark.parametrize("name", ["CopyArtifact", "CopyImage", "Register"])
def test_a_permanent_error_is_recorded_at_the_first_try(machine: Machine, name: str) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.MIRROR, ARTIFACT, IMAGE)
    machine.functions[name] = failing(MISSING)
    run = machine.run()
    assert run.status == "FAILED"
    assert run.names.count(name) == 1
    (recorded,) = run.given("RecordFailure")
    assert recorded["error"]["Error"] == "PermanentError"
    assert "SOURCE_OBJECT_MISSING: s3://b/k does not exist" in recorded["error"]["Cause"]
    assert (recorded["source_arn"], recorded["attempt"]) == (SOURCE, 1)
    assert recorded["plan"]["action"] == "MIRROR"


def test_a_failed_plan_is_recorded_without_one(machine: Machine) -> None:
    machine.functions["Plan"] = failing(MISSING)
    run = machine.run()
    assert (run.status, run.names) == ("FAILED", ["Plan", "RecordFailure"])
    assert run.given("RecordFailure")[0]["plan"] is None


@pytest.mark.parametrize("name", ["Plan", "CopyArtifact", "CopyImage", "Register"])
def test_a_retryable_error_is_tried_eight_times_more(machine: Machine, name: str) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.MIRROR, ARTIFACT, IMAGE)
    machine.functions[name] = failing(THROTTLED)
    run = machine.run()
    assert (run.status, run.names.count(name), run.error) == ("FAILED", 9, "RetryableError")
    assert run.names[-1] == "RecordFailure"


def test_what_comes_right_is_not_recorded(machine: Machine) -> None:
    machine.functions["Plan"] = failing(THROTTLED, times=3)
    run = machine.run()
    assert (run.status, run.names) == ("SUCCEEDED", ["Plan"] * 4)


def test_a_change_that_may_repair_a_failure_is_planned(machine: Machine) -> None:
    machine.functions["Plan"] = failing(MISSING, times=1)
    machine.functions["RecordFailure"] = lambda event, call: {"again": True}
    run = machine.run()
    assert (run.status, run.names) == ("SUCCEEDED", ["Plan", "RecordFailure", "Plan"])


def test_a_round_leaves_nothing_behind_for_the_next(machine: Machine) -> None:
    def plan_once(event: dict[str, Any], call: int) -> dict[str, Any]:
        if call > 1:
            raise MISSING
        return plan(Action.MIRROR, ARTIFACT)

    machine.functions["Plan"] = plan_once
    machine.functions["Register"] = lambda event, call: {"again": True, "status": "Completed"}
    run = machine.run()
    assert run.names == ["Plan", "CopyArtifact", "Register", "Plan", "RecordFailure"]
    assert run.given("RecordFailure")[0]["plan"] is None


def test_a_failure_that_cannot_be_recorded_ends_failed(machine: Machine) -> None:
    machine.functions["Plan"] = failing(MISSING)
    machine.functions["RecordFailure"] = failing(PermanentError(ErrorCode.CONFIGURATION, "no table"))
    run = machine.run()
    assert (run.status, run.names.count("RecordFailure")) == ("FAILED", 16)
    assert "CONFIGURATION" in str(run.cause)


def test_a_copy_of_an_unknown_kind_is_recorded(machine: Machine) -> None:
    answer = plan(Action.MIRROR)
    machine.functions["Plan"] = lambda event, call: answer | {"copies": [{"kind": "tape"}]}
    run = machine.run()
    assert (run.status, run.names) == ("FAILED", ["Plan", "RecordFailure"])
    assert run.given("RecordFailure")[0]["error"]["Cause"].startswith("UNEXPECTED: ")
