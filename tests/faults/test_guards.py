"""Guards removed one by one: each is missed by a test that is named for it.

The layer is copied, the guard is taken out of the copy, and the tests run against that. A guard that can be
taken out unnoticed is no guard. One in four is taken out in every run, and all with ``EVERY_GUARD=1``, as
``make nightly`` does; whether the table fits the code is looked at for all. That the tests pass with the guards
is seen by running them, as every full run does; with ``EVERY_GUARD=1`` they run here too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.guards import GUARDS, Guard
from tests.faults.removing import StaleGuardError, results, without

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.removing import Result

EVERY_GUARD = bool(os.environ.get("EVERY_GUARD"))
TAKEN_OUT = GUARDS if EVERY_GUARD else GUARDS[::4]
FAILED, PASSED = 1, 0
"""Exit codes: https://docs.pytest.org/en/stable/reference/exit-codes.html"""


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Result]:
    """Run the tests of the guards that this session asks for, once, two at a time."""
    items: list[Any] = [item for item in request.session.items if hasattr(item, "callspec")]
    asked = [
        item.callspec.params["guard"] for item in items if item.function is test_a_removed_guard_is_missed
    ]
    return results(asked or TAKEN_OUT, untouched=EVERY_GUARD)


if EVERY_GUARD:

    def test_with_every_guard_the_tests_pass(outcomes: dict[str, Result]) -> None:
        assert outcomes[""].code == PASSED, outcomes[""].said


def test_no_guard_is_taken_out_that_nobody_asked_for(outcomes: dict[str, Result]) -> None:
    assert outcomes.keys() - {""} <= {guard.protects for guard in TAKEN_OUT}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.protects.replace(" ", "-"))
def test_the_table_fits_the_code(guard: Guard, tmp_path: Path) -> None:
    without(guard, tmp_path)  # says so when it does not


@pytest.mark.parametrize("guard", TAKEN_OUT, ids=lambda guard: guard.protects.replace(" ", "-"))
def test_a_removed_guard_is_missed(guard: Guard, outcomes: dict[str, Result]) -> None:
    assert guard.protects in outcomes, "the table is stale"
    outcome = outcomes[guard.protects]
    assert outcome.code == FAILED, f"nothing fails without it: {guard.protects}\n{outcome.said}"


def test_a_guard_that_has_changed_makes_the_table_stale(tmp_path: Path) -> None:
    gone = Guard("nothing", "events.py", "if the_moon_is_full:", "if False:", ())
    with pytest.raises(StaleGuardError, match="0 times, not once, so the table"):
        without(gone, tmp_path)


def test_every_guard_has_a_name_of_its_own() -> None:
    assert len({guard.protects for guard in GUARDS}) == len(GUARDS)
