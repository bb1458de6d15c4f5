"""Every case of the nightly run: each fault at each request of each scenario, and every pair of crashes."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.requests import can_fail_in_200
from tests.faults.scenarios import NO_LETTERS
from tests.faults.wire import Effect, Strike

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.faults.scenarios import Scenarios
    from tests.faults.wire import Call

SCENARIOS = ("first", "update", "rejection")
CRASHES = (Effect.CRASH_BEFORE, Effect.CRASH_AFTER)
TROUBLE = (Effect.THROTTLED, Effect.UNAVAILABLE, Effect.BROKEN)
ENDLESS = {Effect.THROTTLED: "THROTTLED", Effect.UNAVAILABLE: "SERVICE_UNAVAILABLE"}
FARTHEST = 40
"""How many requests after the first crash the second one may be."""


@dataclass(frozen=True)
class Play:
    """A scenario and its strikes."""

    scenario: str
    strikes: tuple[tuple[Effect, str, str], ...]
    """Effect, call and how long it lasts."""
    whole: bool
    letters: frozenset[str] = NO_LETTERS

    def __str__(self) -> str:
        return " | ".join([self.scenario, *(f"{e} | {c}{_lasting(lasts)}" for e, c, lasts in self.strikes)])

    def problem(self, scenarios: Scenarios) -> str:
        """Play it; give what is wrong."""
        strikes = [Strike(call, effect, lasts) for effect, call, lasts in self.strikes]
        return scenarios.problem(self.scenario, *strikes, whole=self.whole, letters=self.letters)


@dataclass
class Part:
    """Cases of one kind, and what came of them."""

    name: str
    plays: list[Play]
    played: int = 0
    problems: list[str] = field(default_factory=list)


def parts(calls: Mapping[str, Sequence[Call]], seed: int) -> list[Part]:
    """Give every case there is.

    Parameters
    ----------
    calls
        The requests of each scenario when all goes well.
    seed
        Draws the order of the pairs.
    """
    pairs = [
        Play(name, ((one, str(call), "once"), (two, f"+{distance}", "once")), True)
        for name in SCENARIOS
        for position, call in enumerate(calls[name])
        for distance in range(1, min(FARTHEST, len(calls[name]) - position + 5))
        for one, two in itertools.product(CRASHES, CRASHES)
    ]
    random.Random(seed).shuffle(pairs)  # noqa: S311  (no secret)
    return [
        Part("a crash, or no answer, at each request", list(_single(calls, (*CRASHES, Effect.TIMED_OUT)))),
        Part("trouble at each request", list(_single(calls, TROUBLE))),
        Part("an error inside a 200", list(_single(calls, (Effect.ERROR_IN_200,)))),
        Part("trouble for a whole invocation", list(_lasting_plays(calls, "invocation"))),
        Part("trouble without an end, redriven", list(_lasting_plays(calls, "always"))),
        Part("two crashes", pairs),
    ]


def _single(calls: Mapping[str, Sequence[Call]], effects: Sequence[Effect]) -> Iterator[Play]:
    for name, effect in itertools.product(SCENARIOS, effects):
        for call in calls[name]:
            if effect is not Effect.ERROR_IN_200 or can_fail_in_200(call.request):
                yield Play(name, ((effect, str(call), "once"),), call.function == "copy-image")


def _lasting_plays(calls: Mapping[str, Sequence[Call]], lasts: str) -> Iterator[Play]:
    for name, (effect, code) in itertools.product(SCENARIOS, ENDLESS.items()):
        for call in calls[name]:
            if call.number == 1:
                codes = set(ENDLESS.values()) if call.function.startswith("copy-") else {code}
                letters = frozenset(codes) if lasts == "always" else NO_LETTERS
                yield Play(name, ((effect, str(call), lasts),), call.function == "copy-image", letters)


def _lasting(lasts: str) -> str:
    return "" if lasts == "once" else f" ({lasts})"
