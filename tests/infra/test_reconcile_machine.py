"""The state machine that reconciles: it loops the function, hands on its place, and fails when the function does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import ErrorCode, PermanentError, RetryableError
from replicator.reconciliation import Place, ReconcileAnswer, ReconcileRequest, Totals
from tests.infra import machine as engine
from tests.infra import stacks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.infra.machine import Machine

DEFINITION = stacks.definition("reconcile")
REQUEST = ReconcileRequest(mode="backfill", accounts=["111111111111"])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield from engine.running(monkeypatch, DEFINITION)


def answer(event: dict[str, Any], *, done: bool) -> dict[str, Any]:
    """Answer as the function does: one version further."""
    request = ReconcileRequest.model_validate(event)
    totals = Totals(listed=request.totals.listed + 1)
    place = Place(phase="done" if done else "spokes", version=totals.listed, unreadable=["222222222222"])
    following = request.model_copy(update={"cursor": place, "totals": totals})
    return ReconcileAnswer(done=done, totals=totals, findings=[], next=following).model_dump(mode="json")


def given(machine: Machine) -> dict[str, Any]:
    return machine.run(given=REQUEST.model_dump(mode="json", exclude_unset=True)).__dict__


def test_the_function_goes_on_from_where_it_was(machine: Machine) -> None:
    machine.functions["Reconcile"] = lambda event, call: answer(event, done=call == 4)
    run = given(machine)
    assert run["status"] == "SUCCEEDED"
    requests = [ReconcileRequest.model_validate(event) for _, event in run["calls"]]
    assert [each.totals.listed for each in requests] == [0, 1, 2, 3]
    assert {(each.mode, *each.accounts) for each in requests} == {("backfill", "111111111111")}
    assert run["output"] == {"totals": Totals(listed=4).model_dump(), "unreadable": ["222222222222"]}


def test_what_may_be_tried_again_goes_on_from_the_same_place(machine: Machine) -> None:
    def throttled(event: dict[str, Any], call: int) -> dict[str, Any]:
        if call == 1 or call > 20:
            return answer(event, done=call > 20)
        raise RetryableError(ErrorCode.THROTTLED, "later")

    machine.functions["Reconcile"] = throttled
    run = given(machine)
    assert (run["status"], len(run["calls"])) == ("SUCCEEDED", 21)
    assert {event["totals"]["listed"] for _, event in run["calls"][1:]} == {1}


def test_it_fails_with_the_reason_when_it_comes_no_further(machine: Machine) -> None:
    def stuck(event: dict[str, Any], call: int) -> dict[str, Any]:
        raise PermanentError(ErrorCode.NO_PROGRESS, "nothing could be sent")

    machine.functions["Reconcile"] = stuck
    run = given(machine)
    assert (run["status"], run["error"], len(run["calls"])) == ("FAILED", "PermanentError", 1)
    assert "NO_PROGRESS" in run["cause"]


def test_an_hour_of_throttling_is_waited_for() -> None:
    busy, cut_off = DEFINITION["States"]["Reconcile"]["Retry"]
    waits = [
        min(busy["IntervalSeconds"] * busy["BackoffRate"] ** n, busy["MaxDelaySeconds"])
        for n in range(busy["MaxAttempts"])
    ]
    # Full jitter halves them on average, and each call waits for some time itself.
    assert sum(waits) / 2 > 3600
    assert cut_off["MaxAttempts"] <= 3


def test_a_call_is_given_up_after_its_function_is_and_the_history_is_long_enough() -> None:
    function = stacks.hub().of_type("AWS::Lambda::Function")["ReconcileFunction"]
    assert DEFINITION["States"]["Reconcile"]["TimeoutSeconds"] > function["Timeout"]
    # 25,000 events are allowed; a round that works for a minute takes 11, without retries.
    assert DEFINITION["TimeoutSeconds"] / 60 * 11 < 25_000


def test_the_machine_is_standard_and_logs_errors_without_data() -> None:
    machine = stacks.source("template.yaml")["Resources"]["Reconcile"]["Properties"]
    assert machine["Type"] == "STANDARD"
    assert machine["DefinitionSubstitutions"] == {
        "ReconcileFunctionArn": {"Fn::GetAtt": ["ReconcileFunction", "Arn"]}
    }
    assert machine["Logging"]["Level"] == "ERROR"
    assert machine["Logging"]["IncludeExecutionData"] is False
