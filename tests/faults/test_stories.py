"""Random stories over the whole replicator: people, messages, crashes, time, repair; then eight guarantees.

Whatever happened, once everything is delivered and the repairs have run until nothing changes, the guarantees
hold. A story that fails is shortened by hypothesis and printed as the calls that make it, with a blob that plays
it again. Longer: ``HYPOTHESIS_SEED=1 HYPOTHESIS_EXAMPLES=300 make test ARGS=tests/faults/test_stories.py``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from replicator.aws.ledger import Ledger
from replicator.operations import intake
from tests.faults.clock import Clock
from tests.faults.guarantees import Broken
from tests.faults.history import APPROVAL, DESCRIPTION, History
from tests.faults.wire import Effect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.models import Models
    from tests.faults.world import World

SEED = os.environ.get("HYPOTHESIS_SEED")
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "10"))
STEPS = 20
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=SEED is None,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
MOST_VERSIONS = 2
NUMBERS = st.integers(0, 7)
FAULTS = [
    Effect.CRASH_BEFORE, Effect.CRASH_AFTER, Effect.CRASH_AFTER, Effect.TIMED_OUT, Effect.THROTTLED, Effect.UNAVAILABLE,
]  # fmt: skip


class Stories(RuleBasedStateMachine):
    """What may happen, in any order."""

    begin: Callable[[], History]

    def __init__(self) -> None:
        super().__init__()
        self.history = type(self).begin()

    def _told(self, number: int) -> Any:
        return self.history.versions[number % len(self.history.versions)]

    def _living(self, number: int) -> Any:
        living = [told for told in self.history.versions if not told.deleted]
        return living[number % len(living)]

    # In the spoke

    @initialize(location=st.sampled_from(["object", "parts", "prefix"]), mirrored=st.booleans())
    def an_approved_version(self, location: str, mirrored: bool) -> None:
        self.history.register(location)
        self.history.decide(self.history.versions[0], "Approved")
        if mirrored:
            self.history.settle()

    @precondition(lambda self: len(self.history.versions) < MOST_VERSIONS)
    @rule()
    def register(self) -> None:
        self.history.register("object")

    @precondition(lambda self: any(not told.deleted for told in self.history.versions))
    @rule(number=NUMBERS, status=st.sampled_from(["Approved", "Approved", "Rejected"]))
    def decide(self, number: int, status: str) -> None:
        self.history.decide(self._living(number), status)

    @precondition(lambda self: any(not told.deleted for told in self.history.versions))
    @rule(number=NUMBERS, model=st.booleans())
    def edit(self, number: int, model: bool) -> None:
        told = self._living(number)
        self.history.replace_model(told) if model else self.history.edit(told)

    @precondition(lambda self: len([told for told in self.history.versions if not told.deleted]) > 1)
    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        self.history.delete(self._living(number))

    @precondition(lambda self: len([told for told in self.history.versions if not told.deleted]) > 1)
    @rule(number=NUMBERS)
    def reject_and_delete(self, number: int) -> None:
        """Before anybody can read the rejection."""
        told = self._living(number)
        self.history.decide(told, "Rejected")
        self.history.delete(told)

    # In the hub

    @rule(number=NUMBERS, member=st.sampled_from([APPROVAL, DESCRIPTION, "person"]))
    def a_person_decides(self, number: int, member: str) -> None:
        self.history.edit_mirror(self._told(number), member)

    # On the way

    @rule(most=st.sampled_from([1, 2, 10]))
    def deliver(self, most: int) -> None:
        self.history.deliver(most)

    @rule(number=NUMBERS)
    def duplicate(self, number: int) -> None:
        self.history.duplicate(number)

    @rule(number=NUMBERS)
    def reorder(self, number: int) -> None:
        self.history.reorder(number)

    @rule(number=NUMBERS)
    def lose(self, number: int) -> None:
        self.history.lose(number)

    # In the functions

    @rule(others=st.integers(0, 25), effect=st.sampled_from(FAULTS))
    def strike(self, others: int, effect: Effect) -> None:
        self.history.strike(others, effect)

    @precondition(lambda self: any(not told.deleted for told in self.history.versions))
    @rule(others=st.integers(0, 40), number=NUMBERS)
    def interrupt(self, others: int, number: int) -> None:
        self.history.interrupt(self._living(number), others)

    @rule(number=NUMBERS, to_the_end=st.booleans())
    def step(self, number: int, to_the_end: bool) -> None:
        self.history.step(number, to_the_end=to_the_end)

    @rule()
    def settle(self) -> None:
        self.history.settle()

    @rule(number=NUMBERS)
    def abort(self, number: int) -> None:
        self.history.abort(number)

    @rule(minutes=st.sampled_from([0.1, 1, 20, 200]))
    def tick(self, minutes: float) -> None:
        self.history.clock.tick(minutes=minutes)

    @rule(name=st.sampled_from(["sweep", "redrive", "reconcile"]))
    def repair(self, name: str) -> None:
        self.history.repair(name)

    def teardown(self) -> None:
        self.history.check()


@pytest.fixture
def history(world: World, models: Models) -> Iterator[Callable[[], History]]:
    """Give what begins a history."""
    clock = Clock()
    with clock.set(), world.ledger_aside():
        yield lambda: History(world, clock, models)


def test_whatever_happens_the_guarantees_hold(history: Callable[[], History]) -> None:
    told = type("Stories", (Stories,), {"begin": staticmethod(history)})
    run_state_machine_as_test(told if SEED is None else seed(int(SEED))(told), settings=SETTINGS)


def no_counter(ledger: Ledger, source_arn: str, attempt: int, *others: Any) -> bool:
    """Stand for `Ledger.finish` in a ledger that does not compare what is wanted with what was seen."""
    ledger._held(source_arn, attempt, "SET seen = wanted", {})
    return FINISH(ledger, source_arn, attempt, *others)


FINISH = Ledger.finish


def a_change_that_lands_while_register_ends(it: History) -> None:
    """Play the shortest story that tells whether the ledger counts."""
    it.register("object")
    it.decide(it.versions[0], "Approved")
    it.interrupt(it.versions[0], "register events.PutEvents 1")
    it.deliver(10)
    it.step(0, to_the_end=True)
    it.check()


def test_a_ledger_that_does_not_count_is_told(
    history: Callable[[], History], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_change_that_lands_while_register_ends(history())
    monkeypatch.setattr(Ledger, "finish", no_counter)
    with pytest.raises(Broken, match="guarantee 4"):
        a_change_that_lands_while_register_ends(history())


def a_rejection_that_nobody_can_read(it: History, *, marked: bool) -> None:
    """Reject a version and delete it; its event comes before anybody looks, or after reconcile has."""
    it.register("object")
    (told,) = it.versions
    it.decide(told, "Approved")
    it.settle()
    it.edit_mirror(told, APPROVAL)
    it.clock.tick(minutes=1)
    it.decide(told, "Rejected")
    on_their_way = it.queue[:]
    it.delete(told)
    if marked:
        it.queue.clear()
        it.clock.tick(minutes=20)
        it.repair("reconcile")
        it.settle()
        it.queue.extend(on_their_way)
    it.check()


@pytest.mark.parametrize("marked", [False, True])
def test_a_rejection_that_does_not_reach_the_hub_is_told(
    history: Callable[[], History], monkeypatch: pytest.MonkeyPatch, marked: bool
) -> None:
    a_rejection_that_nobody_can_read(history(), marked=marked)
    monkeypatch.setattr(intake, "told", lambda status, changed: None)
    with pytest.raises(Broken, match="guarantee 4"):
        a_rejection_that_nobody_can_read(history(), marked=marked)
