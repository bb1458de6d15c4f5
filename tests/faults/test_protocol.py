"""The ledger's protocol, model-checked: every interleaving of a small world, with the shipped ledger.

The world: one source version that changes, events about each change that arrive late, twice or out of
order, an intake that may die after each of its calls, runs that may die after each of theirs and are
tried again, or are aborted and never come back, executions that Step Functions forgets, sweeps at any moment
that may die as well, and dead letters that are redriven. Every reachable state is visited once. In each of them:
at most one mirror, never an older state after a newer one, and no sweep takes the item of a run that is at work.
In each that is quiet: the mirror shows the newest state, or the item is failed and the letter of that failure was
sent, or the next sweep sees to it.

Mutants, each of which has to be caught: one for each guard.

Larger worlds take minutes: ``FIRST`` itself, with every budget, has far over 300,000 states.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from replicator.aws.ledger import Ledger, Outcome
from replicator.ledger import Entry, SupersededError, seen_after
from replicator.mirror_update import Written
from tests.faults.one_item import OneItem, ledger_over

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/group/1"
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
class Sweeping:
    """A sweep at work: its step, the attempt that it is about, whether Step Functions knows an execution of that."""

    step: str
    attempt: int
    started: bool
    began: int
    """The tick at which it looked."""


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
    sweep: Sweeping | None = None
    mirrors: int = 0
    shown: int = 0
    dead: frozenset[int] = frozenset()
    """Attempts whose letter is in the dead-letter queue."""
    changes: int = 2
    copies: int = 1
    crashes: int = 2
    failures: int = 1
    redrives: int = 1
    aborts: int = 1
    forgets: int = 1
    sweeps: int = 1
    broken: str = ""


@dataclass(frozen=True)
class Rules:
    """Which guards are in place; a mutant lacks one."""

    counter: bool = True
    single_flight: bool = True
    look_before_create: bool = True
    honest_reading: bool = True
    sweep: bool = True
    unsettled_when_failed: bool = True
    send_before_settle: bool = True
    send_before_noting: bool = True
    note_the_attempt: bool = True
    abandon_whatever_is_wanted: bool = True
    abandon_by_attempt: bool = True
    abandon_before_a_round: bool = True
    abandon_a_stale_round: bool = True
    settle_by_attempt: bool = True


class Checker:
    """Gives the states that can follow a state."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._table = OneItem()
        self._ledger = ledger_over(self._table)

    def ledger(self, world: World) -> tuple[Ledger, OneItem]:
        """Give the ledger as it is in a state, until it is asked for again."""
        self._table.item = dict(world.item) if world.item is not None else None
        return self._ledger, self._table

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
            if world.aborts:
                runs = world.runs[:i] + world.runs[i + 1 :]
                yield replace(world, runs=runs, aborts=world.aborts - 1)
        for attempt in world.started - alive(world) if world.forgets else ():
            # That takes long: no round of it began a moment ago.
            started = world.started - {attempt}
            yield replace(world, started=started, clock=world.clock + 1, forgets=world.forgets - 1)
        if self.rules.sweep:
            yield from self.sweep(world)
        for attempt in world.dead if world.redrives else ():
            yield replace(
                world,
                dead=world.dead - {attempt},
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
                if attempt in alive(world):
                    yield replace(world, taking=(*others, ("note", event, attempt)))
                elif following := ledger.restarted(ARN, attempt):
                    yield self.after(replace(world, taking=(*others, ("start", event, following))), table)
                else:
                    yield replace(world, taking=others)
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
            pins={},
            written=Written(),
            group="Churn",
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
            if not self.rules.unsettled_when_failed:
                ledger.settle(ARN, run.attempt)
            yield goes("dead_letter")
        else:
            yield goes("begin")

    def _dead_letter(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        entry = ledger.get(ARN)
        assert entry is not None
        yield goes("settle" if self.is_noted(entry, run.attempt) else self.steps()[0])

    def _send(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        sent = replace(world, dead=world.dead | {run.attempt})
        following = self.follows("send")
        yield goes(following, sent) if following else ends(sent)

    def _noted(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        ledger.lettered(ARN, run.attempt)
        yield goes(self.follows("noted"))

    def _settle(self, world: World, run: Run, ledger: Ledger, goes: Any, ends: Any) -> Iterator[World]:
        self.settle(ledger, run.attempt)
        following = self.follows("settle")
        yield goes(following) if following else ends()

    def sweep(self, world: World) -> Iterator[World]:
        """Give what can follow of a sweep that begins, goes on or dies."""
        if world.sweep is None:
            if world.sweeps and (found := self.look(world)):
                yield replace(world, sweep=found, sweeps=world.sweeps - 1)
            return
        yield self.swept(world)
        if world.crashes:
            yield replace(world, sweep=None, crashes=world.crashes - 1)

    def look(self, world: World) -> Sweeping | None:
        """Look at the item as a sweep does; give what it goes on with, and with which attempt."""
        entry = Entry.from_item({"source_arn": ARN, **dict(world.item or ())})
        if not entry.unsettled or entry.attempt in alive(world):
            return None
        # It may be about to be started. That the sweep waits for some time makes it rare, no more.
        failed = "settle" if self.is_noted(entry, entry.attempt) else self.steps()[0]
        step = "abandon" if entry.state == "RUNNING" else failed
        return Sweeping(step, entry.attempt, entry.attempt in world.started, world.clock)

    def is_noted(self, entry: Entry, attempt: int) -> bool:
        return entry.lettered == attempt if self.rules.note_the_attempt else entry.lettered > 0

    def steps(self) -> tuple[str, ...]:
        """Give what ends a failed attempt, in its order."""
        if not self.rules.send_before_settle:
            return "settle", "send"
        return ("send", "noted", "settle") if self.rules.send_before_noting else ("noted", "send", "settle")

    def follows(self, step: str) -> str:
        """Give the next of the steps; empty after the last."""
        steps = ("abandon", *self.steps(), "")
        return steps[steps.index(step) + 1]

    def swept(self, world: World) -> World:
        """Give what follows when a sweep takes its next step."""
        assert world.sweep is not None
        sweep = world.sweep
        step, attempt = sweep.step, sweep.attempt
        follows = self.follows(step)
        ledger, table = self.ledger(world)
        world = replace(world, sweep=replace(sweep, step=follows) if follows else None)
        if step == "send":
            return replace(world, dead=world.dead | {attempt})
        if step == "noted":
            ledger.lettered(ARN, attempt)
            return self.after(world, table)
        if step == "settle":
            self.settle(ledger, attempt)
            return self.after(world, table)
        entry = self.abandon(ledger, sweep)
        if entry is None:
            return replace(self.after(world, table), sweep=None)
        broken = "" if entry.attempt == attempt else "a run at work was taken for gone"
        return replace(self.after(world, table), broken=world.broken or broken)

    def abandon(self, ledger: Ledger, sweep: Sweeping) -> Entry | None:
        rules, attempt = self.rules, sweep.attempt
        if rules.abandon_by_attempt and rules.abandon_whatever_is_wanted:
            started = sweep.started or not rules.abandon_before_a_round
            stale = at(sweep.began) if rules.abandon_a_stale_round else None
            return ledger.abandon(ARN, attempt, "CODE", "reason", START, started=started, stale=stale)
        also = "attempt = :attempt AND wanted = seen" if rules.abandon_by_attempt else ":attempt = :attempt"
        values = {":attempt": attempt, ":running": "RUNNING", ":failed": "FAILED"}
        return ledger.update(ARN, "SET #state = :failed", f"#state = :running AND {also}", values)[0]

    def settle(self, ledger: Ledger, attempt: int) -> None:
        if self.rules.settle_by_attempt:
            ledger.settle(ARN, attempt)
        else:
            ledger.update(ARN, "REMOVE unsettled", "#state = :failed", {":failed": "FAILED"})

    def healed(self, world: World) -> World:
        """Give what one sweep that nothing disturbs makes of a quiet world."""
        found = self.look(world) if self.rules.sweep else None
        world = replace(world, sweep=found)
        while world.sweep:
            world = self.swept(world)
        return world


def alive(world: World) -> set[int]:
    """Give the attempts that are at work."""
    return {run.attempt for run in world.runs}


def _frozen(item: tuple[tuple[str, Any], ...] | None) -> tuple[tuple[str, Any], ...] | None:
    if item is None:
        return None
    # Times of claims and ends do not matter for what can follow.
    ignored = {
        "claimed_at", "finished_at", "applied_at", "event", "event_arn", "locations", "written", "source_approval",
        "pins", "hub_approval", "source_group", "code", "reason", "schema",
    }  # fmt: skip
    return tuple((name, value) for name, value in item if name not in ignored)


def problem(world: World, checker: Checker) -> str | None:
    """Say which guarantee a state breaks."""
    if world.mirrors > 1:
        return "two mirrors"
    if world.broken:
        return world.broken
    if world.queue or world.taking or world.runs or world.sweep:
        return None
    world = checker.healed(world)
    entry = Entry.from_item({"source_arn": ARN, **dict(world.item or ())})
    if entry.state == "RUNNING":
        return "an item that nobody runs"
    if entry.state == "FAILED":
        return None if entry.attempt in world.dead else "a failure without a dead letter"
    return None if world.shown == world.source else "a change that was lost"


def explore(rules: Rules, first: World) -> tuple[int, str | None]:
    """Visit every state; give their number, and the first broken guarantee."""
    checker = Checker(rules)
    seen, waiting = {first}, deque([first])
    while waiting:
        world = waiting.popleft()
        if found := problem(world, checker):
            return len(seen), found
        for following in checker.following(world):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return len(seen), None


FIRST = World(queue=(1,))
CALM = replace(FIRST, changes=0, copies=0, crashes=0, failures=0, redrives=0, aborts=0, forgets=0, sweeps=0)
FORGOTTEN = "an aborted run whose execution is forgotten"
LOST = "a lost letter and a sweep that dies"
WORLDS: dict[str, World] = {
    "a change and a duplicate": replace(CALM, changes=1, copies=1),
    "a crash": replace(CALM, changes=1, crashes=1),
    "a failure and a redrive": replace(CALM, changes=1, failures=1, redrives=1),
    "an aborted run and a sweep": replace(CALM, changes=1, aborts=1, sweeps=1),
    "an aborted run, a sweep and a redrive": replace(CALM, aborts=1, sweeps=1, redrives=1),
    FORGOTTEN: replace(CALM, crashes=1, aborts=1, forgets=1, sweeps=1),
    LOST: replace(CALM, failures=1, crashes=1, aborts=1, sweeps=2),
    "an old letter and a new failure": replace(CALM, failures=2, redrives=1, aborts=1),
}


@pytest.mark.parametrize("world", WORLDS)
def test_every_interleaving_keeps_the_guarantees(world: str) -> None:
    states, found = explore(Rules(), WORLDS[world])
    assert found is None
    assert states > 100


@pytest.mark.parametrize(
    ("rules", "world", "expected"),
    [
        (Rules(counter=False), "a change and a duplicate", "a change that was lost"),
        (Rules(single_flight=False), "a change and a duplicate", "an older state after a newer one"),
        (Rules(look_before_create=False), "a crash", "two mirrors"),
        (Rules(honest_reading=False), "a change and a duplicate", "a change that was lost"),
        (Rules(sweep=False), "an aborted run and a sweep", "an item that nobody runs"),
        (Rules(unsettled_when_failed=False), LOST, "a failure without a dead letter"),
        (Rules(send_before_settle=False), LOST, "a failure without a dead letter"),
        (Rules(send_before_noting=False), LOST, "a failure without a dead letter"),
        (Rules(note_the_attempt=False), "an old letter and a new failure", "a failure without a dead letter"),
        (Rules(abandon_whatever_is_wanted=False), "an aborted run and a sweep", "an item that nobody runs"),
        (Rules(abandon_by_attempt=False), "an aborted run and a sweep", "a run at work was taken for gone"),
        (Rules(abandon_before_a_round=False), "an aborted run and a sweep", "an older state after a newer one"),
        (Rules(abandon_a_stale_round=False), FORGOTTEN, "an item that nobody runs"),
        (Rules(settle_by_attempt=False), "an old letter and a new failure", "a failure without a dead letter"),
    ],
)  # fmt: skip
def test_without_one_guard_a_guarantee_breaks(rules: Rules, world: str, expected: str) -> None:
    assert explore(rules, WORLDS[world])[1] == expected
