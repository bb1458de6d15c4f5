"""The ledger's protocol, model-checked: every interleaving of a small world, with the shipped ledger.

The world: one source version that changes, events about each change that arrive late, twice or out of
order, an intake that may die after each of its calls, runs that may die after each of theirs and are
tried again, and dead letters that are redriven. Every reachable state is visited once. In each of them:
at most one mirror, never an older state after a newer one; and in each that is quiet: the mirror shows the
newest state, or the item is failed and its event in the dead-letter queue.

Mutants, each of which has to be caught: no counter, no single flight, no look before creating, letting go
of an event that the reading may not have seen.

Larger worlds take minutes: ``FIRST`` itself, with every budget, has over 300,000 states.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from replicator.aws.ledger import Ledger, Outcome
from replicator.ledger import Entry, SupersededError, seen_after
from replicator.mirror import Written
from tests.faults.one_item import OneItem, ledger_over

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn"
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(clock: int) -> datetime:
    """Give the time of a tick. A tick is longer than the resolution of the times in events."""
    return START + timedelta(seconds=10 * clock)


@dataclass(frozen=True)
class Run:
    """One execution: where it is, what it read, and whether its step has to be tried again."""

    attempt: int
    step: str = "begin"
    read: int = 0


@dataclass(frozen=True)
class World:
    """A state of everything."""

    source: int = 1
    """Number of the source's newest change."""
    clock: int = 1
    item: tuple[tuple[str, Any], ...] | None = None
    queue: tuple[int, ...] = ()
    """Events in the intake queue: the tick of the change that each is about."""
    taking: tuple[tuple[str, int, int], ...] = ()
    """Intakes at work: step, event, attempt."""
    runs: tuple[Run, ...] = ()
    started: frozenset[int] = frozenset()
    """Attempts that have had their execution."""
    mirrors: int = 0
    shown: int = 0
    dead: int = 0
    changes: int = 2
    copies: int = 1
    crashes: int = 2
    failures: int = 1
    redrives: int = 1
    broken: str = ""


@dataclass(frozen=True)
class Rules:
    """Which guards are in place; a mutant lacks one."""

    counter: bool = True
    single_flight: bool = True
    look_before_create: bool = True
    honest_reading: bool = True


class Checker:
    """Gives the states that can follow a state."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def ledger(self, world: World) -> tuple[Ledger, OneItem]:
        table = OneItem(dict(world.item) if world.item is not None else None)
        return ledger_over(table), table

    def after(self, world: World, table: OneItem) -> World:
        item = tuple(sorted(table.item.items(), key=lambda pair: pair[0])) if table.item is not None else None
        return replace(world, item=_frozen(item))

    def following(self, world: World) -> Iterator[World]:
        if world.changes:
            clock = world.clock + 1
            yield replace(
                world,
                source=world.source + 1,
                clock=clock,
                changes=world.changes - 1,
                queue=tuple(sorted((*world.queue, clock))),
            )
        for i, event in enumerate(world.queue):
            rest = world.queue[:i] + world.queue[i + 1 :]
            yield replace(world, queue=rest, taking=(*world.taking, ("claim", event, 0)))
            if world.copies:
                more = (*world.taking, ("claim", event, 0))
                yield replace(world, taking=more, copies=world.copies - 1)
        for i in range(len(world.taking)):
            yield from self.take(world, i)
        for i in range(len(world.runs)):
            yield from self.advance(world, i)
        if world.dead and world.redrives:
            yield replace(
                world,
                dead=world.dead - 1,
                redrives=world.redrives - 1,
                queue=tuple(sorted((*world.queue, 1))),
            )

    def take(self, world: World, i: int) -> Iterator[World]:
        step, event, attempt = world.taking[i]
        others = world.taking[:i] + world.taking[i + 1 :]
        if world.crashes:
            # It dies; the message comes again.
            yield replace(
                world,
                taking=others,
                queue=tuple(sorted((*world.queue, event))),
                crashes=world.crashes - 1,
            )
        ledger, table = self.ledger(world)
        if step == "claim":
            seen_by = event if self.rules.honest_reading else event - 2
            claim = ledger.claim(ARN, str(event), at(world.clock), seen_after(at(seen_by)))
            entry = claim.entry
            if claim.outcome is not Outcome.CLAIMED and self.rules.single_flight:
                yield self.after(replace(world, taking=others), table)
                return
            yield self.after(replace(world, taking=(*others, ("start", event, entry.attempt))), table)
        elif step == "start":
            if attempt in world.started and self.rules.single_flight:
                yield replace(world, taking=(*others, ("note", event, attempt)))
            else:
                yield replace(
                    world,
                    taking=(*others, ("note", event, attempt)),
                    runs=(*world.runs, Run(attempt)),
                    started=world.started | {attempt},
                )
        else:
            ledger.started(ARN, attempt, "execution")
            yield self.after(replace(world, taking=others), table)

    def advance(self, world: World, i: int) -> Iterator[World]:
        run = world.runs[i]
        others = world.runs[:i] + world.runs[i + 1 :]
        ledger, table = self.ledger(world)

        def goes(step: str, world: World = world, **changes: Any) -> World:
            moved = replace(world, runs=(*others, replace(run, step=step, **changes)))
            return self.after(moved, table)

        def ends(world: World = world) -> World:
            return self.after(replace(world, runs=others), table)

        try:
            yield from getattr(self, f"_{run.step}")(world, run, ledger, goes, ends)
        except SupersededError:
            yield ends()
        if world.failures and run.step in {"begin", "describe", "register", "write"}:
            failed = replace(world, failures=world.failures - 1)
            yield replace(failed, runs=(*others, replace(run, step="fail")))

    def _begin(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        ledger.begin_round(ARN, run.attempt, at(world.clock))
        yield goes("describe")

    def _describe(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        yield goes("register", read=world.source)

    def _register(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        entry = ledger.get(ARN)
        if entry is None or entry.attempt != run.attempt or entry.state != "RUNNING":
            yield ends()
        elif world.source != run.read:
            yield goes("begin")
        else:
            yield goes("write")

    def _write(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        entry = ledger.get(ARN)
        assert entry is not None
        if entry.hub_arn is None and not (self.rules.look_before_create and world.mirrors):
            made = replace(world, mirrors=world.mirrors + 1, shown=run.read)
            yield goes("note", made)
            if world.crashes:
                # It dies between creating and noting, and is tried again.
                yield goes("register", replace(made, crashes=world.crashes - 1))
        else:
            broken = "an older state after a newer one" if run.read < world.shown else world.broken
            yield goes("note", replace(world, shown=run.read, broken=broken))

    def _note(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        ledger.applied(
            ARN,
            run.attempt,
            hub_arn="hub",
            fingerprint=str(run.read),
            locations={},
            written=Written(),
            now=at(world.clock),
        )
        yield goes("finish")

    def _finish(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        if not self.rules.counter:
            ledger._held(ARN, run.attempt, "SET seen = wanted", {})
        over = ledger.finish(ARN, run.attempt, at(world.clock))
        yield ends() if over else goes("begin")
        if over and world.crashes:
            # The answer is lost; the step is tried again.
            yield goes("finish", replace(world, crashes=world.crashes - 1))

    def _fail(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        if ledger.fail(ARN, run.attempt, "CODE", "reason", at(world.clock)):
            yield goes("dead_letter")
        else:
            yield goes("begin")

    def _dead_letter(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        yield ends(replace(world, dead=world.dead + 1))


def _frozen(item: tuple[tuple[str, Any], ...] | None) -> tuple[tuple[str, Any], ...] | None:
    if item is None:
        return None
    # Times of claims and ends do not matter for what can follow.
    ignored = {"claimed_at", "finished_at", "applied_at", "event", "locations", "written", "source_approval"}
    return tuple((name, value) for name, value in item if name not in ignored)


def problem(world: World) -> str | None:
    """Say which guarantee a state breaks."""
    if world.mirrors > 1:
        return "two mirrors"
    if world.broken:
        return world.broken
    if world.queue or world.taking or world.runs:
        return None
    entry = Entry.from_item({"source_arn": ARN, **dict(world.item or ())})
    if entry.state == "RUNNING":
        return "an item that nobody runs"
    if entry.state == "FAILED":
        return None if world.dead else "a failure without a dead letter"
    return None if world.shown == world.source else "a change that was lost"


def explore(rules: Rules, first: World) -> tuple[int, str | None]:
    """Visit every state; give their number, and the first broken guarantee."""
    checker = Checker(rules)
    seen, waiting = {first}, deque([first])
    while waiting:
        world = waiting.popleft()
        if found := problem(world):
            return len(seen), found
        for following in checker.following(world):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return len(seen), None


FIRST = World(queue=(1,))
WORLDS: dict[str, World] = {
    "a change and a duplicate": replace(FIRST, changes=1, crashes=0, failures=0, redrives=0),
    "a crash": replace(FIRST, changes=1, copies=0, crashes=1, failures=0, redrives=0),
    "a failure and a redrive": replace(FIRST, changes=1, copies=0, crashes=0),
}


@pytest.mark.parametrize("world", WORLDS)
def test_every_interleaving_keeps_the_guarantees(world: str) -> None:
    states, found = explore(Rules(), WORLDS[world])
    assert found is None
    assert states > 100


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(counter=False), "a change that was lost"),
        (Rules(single_flight=False), "an older state after a newer one"),
        (Rules(look_before_create=False), "two mirrors"),
        (Rules(honest_reading=False), "a change that was lost"),
    ],
)  # fmt: skip
def test_without_one_guard_a_guarantee_breaks(rules: Rules, expected: str) -> None:
    problems = (explore(rules, world)[1] for world in reversed(WORLDS.values()))
    assert next(found for found in problems if found) == expected
