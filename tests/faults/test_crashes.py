"""A function dies at any request of a replication: nothing is lost or doubled, and no dead letter is made.

The exhaustive part, with every pair of crashes, and before each request as well as after it, is `tests.faults.nightly`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.faults.wire import Effect, Strike

if TYPE_CHECKING:
    from tests.faults.scenarios import Scenarios

CASES = [
    *[("first", name) for name in ("intake", "plan", "copy-image", "copy-artifact", "register")],
    *[("update", name) for name in ("intake", "plan", "copy-artifact", "register")],
    *[("rejection", name) for name in ("intake", "plan", "register")],
]
CRASHES = (Effect.CRASH_BEFORE, Effect.CRASH_AFTER)
ONE_AFTER_THE_OTHER = {"intake", "plan", "register"}
"""These have one request under way at a time: `test_functions_that_do_one_thing_after_the_other`."""
PAIRS = 24
SEED = 20260107


@pytest.mark.parametrize("effect", CRASHES)
@pytest.mark.parametrize(("scenario", "function"), CASES)
def test_a_crash_at_any_request(scenarios: Scenarios, scenario: str, function: str, effect: Effect) -> None:
    whole = function == "copy-image"  # else the image is there already, which is quicker
    calls = [call for call in scenarios.requests(scenario, whole=whole) if call.function == function]
    if effect is Effect.CRASH_BEFORE and function in ONE_AFTER_THE_OTHER:
        # Ahead of every other one is right after the one before it, and that is tried.
        calls = [call for call in calls if call.begins]
    assert calls
    problems = []
    for call in calls:
        problem = scenarios.problem(scenario, Strike(str(call), effect), whole=whole)
        if problem:
            problems.append(f"{effect} {call}: {problem}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("effect", CRASHES)
@pytest.mark.parametrize(
    ("scenario", "function"), [("first", "register"), ("first", "plan"), ("rejection", "register")]
)
@pytest.mark.usefixtures("in_lower_case")
def test_a_crash_where_arns_are_in_lower_case(
    scenarios_in_lower_case: Scenarios, scenario: str, function: str, effect: Effect
) -> None:
    """Those around the mirror's beginning, its noting and its rejection: what is derived from the group is there."""
    test_a_crash_at_any_request(scenarios_in_lower_case, scenario, function, effect)


@pytest.mark.parametrize("scenario", ["first", "update", "rejection"])
def test_functions_that_do_one_thing_after_the_other(scenarios: Scenarios, scenario: str) -> None:
    calls = scenarios.requests(scenario)
    assert {call.function for call in calls if not call.alone} <= {"copy-artifact", "copy-image"}
    assert {call.function for call in calls} >= ONE_AFTER_THE_OTHER
    if scenario == "first":
        assert not all(call.alone for call in calls), "the copies do several things at once"


@pytest.mark.parametrize("scenario", ["first", "update", "rejection"])
def test_two_crashes(scenarios: Scenarios, scenario: str) -> None:
    """Of all pairs some, always the same."""
    chance = random.Random(f"{SEED} {scenario}")  # noqa: S311  (no secret)
    calls = scenarios.requests(scenario)
    problems = []
    for _ in range(PAIRS // 3):
        first = chance.choice(calls)
        strikes = (
            Strike(str(first), chance.choice(CRASHES)),
            Strike(f"+{chance.randint(1, 15)}", chance.choice(CRASHES)),
        )
        if problem := scenarios.problem(scenario, *strikes):
            problems.append(f"{[(each.effect, each.call) for each in strikes]}: {problem}")
    assert not problems, "\n".join(problems)
