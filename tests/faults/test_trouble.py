"""AWS throttles, fails and does not answer: delays at most, or a dead letter with its code that a redrive mends."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.faults.requests import can_fail_in_200
from tests.faults.wire import Effect, Strike

if TYPE_CHECKING:
    from tests.faults.scenarios import Scenarios
    from tests.faults.wire import Call

TROUBLE = [Effect.THROTTLED, Effect.UNAVAILABLE, Effect.BROKEN, Effect.TIMED_OUT, Effect.ERROR_IN_200]
SCENARIOS = ["first", "update", "rejection"]
FUNCTIONS = ["intake", "plan", "copy-image", "copy-artifact", "register"]


@pytest.mark.parametrize("effect", TROUBLE)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_kind_of_request_is_in_trouble(scenarios: Scenarios, scenario: str, effect: Effect) -> None:
    """Every other request of each kind, as far as there are any when all goes well."""
    there = Counter(call.kind for call in scenarios.requests(scenario))

    def struck(call: Call) -> bool:
        possible = effect is not Effect.ERROR_IN_200 or can_fail_in_200(call.request)
        return possible and call.number % 2 == 1 and call.number <= there[call.kind]

    strike = Strike("", effect, where=struck)
    problem = scenarios.problem(scenario, strike)
    assert not problem, problem
    if effect is not Effect.ERROR_IN_200:
        assert {call.kind for call in strike.struck} == there.keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_trouble_for_whole_invocations_is_tried_again(scenarios: Scenarios, function: str) -> None:
    """One kind of request after the other, as often as a task is tried again."""
    problems = []
    calls = _first_of_each_kind(scenarios, function)
    for some in itertools.batched(calls, 4, strict=False):
        strikes = [Strike(str(call), Effect.UNAVAILABLE, "invocation") for call in some]
        if problem := scenarios.problem("first", *strikes, whole=function == "copy-image"):
            problems.append(f"{[str(call) for call in some]}: {problem}")
        problems += [f"{strike.call} was not struck" for strike in strikes if not strike.struck]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_trouble_without_an_end_is_a_dead_letter_that_a_redrive_mends(
    scenarios: Scenarios, function: str
) -> None:
    """One kind of request in three, always the same; `tests.faults.nightly` tries all of them."""
    problems = []
    for call in _first_of_each_kind(scenarios, function)[::3]:
        strike = Strike(str(call), Effect.THROTTLED, "always")
        # An answer without a body, to a HEAD for instance, does not say why the service is not there.
        letters = frozenset(
            {"THROTTLED", "SERVICE_UNAVAILABLE"} if call.function in BODILESS else {"THROTTLED"}
        )
        problem = scenarios.problem("first", strike, whole=function == "copy-image", letters=letters)
        if problem:
            problems.append(f"{call}: {problem}")
    assert not problems, "\n".join(problems)


BODILESS = {"copy-artifact", "copy-image"}


def _first_of_each_kind(scenarios: Scenarios, function: str) -> list[Call]:
    calls = scenarios.requests("first", whole=function == "copy-image")
    return [call for call in calls if call.function == function and call.number == 1]
