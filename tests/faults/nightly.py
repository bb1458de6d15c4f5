"""Every fault at every request, and every pair of crashes: ``make nightly``.

The cases are played in this order: each request of each scenario with each fault, once and for a whole invocation;
trouble without an end for each kind of request; then all pairs of crashes in an order drawn from the seed, until
the time is up. What was done is written to ``docs/nightly.md``. A case that fails is printed with what plays it
again: ``make nightly ARGS="--only 'first | crash after | register s3.PutObject 1'"``. Random stories
(``tests/faults/test_stories.py``) with the same seed come first, in a process of their own, and the removal of
every guard (``tests/faults/test_guards.py``).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import logging
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.landscape import ROOT
from tests.faults.models import Models
from tests.faults.requests import can_fail_in_200
from tests.faults.scenarios import NO_LETTERS, Scenarios
from tests.faults.wire import Effect, Strike
from tests.faults.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.faults.wire import Call

SCENARIOS = ("first", "update", "rejection")
CRASHES = (Effect.CRASH_BEFORE, Effect.CRASH_AFTER)
TROUBLE = (Effect.THROTTLED, Effect.UNAVAILABLE, Effect.BROKEN)
ENDLESS = {Effect.THROTTLED: "THROTTLED", Effect.UNAVAILABLE: "SERVICE_UNAVAILABLE"}
FARTHEST = 40
"""How many requests after the first crash the second one may be."""
REPORT = ROOT / "docs" / "nightly.md"


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

    def line(self) -> str:
        """Say it in a row of a table."""
        return f"| {self.name} | {len(self.plays)} | {self.played} | {len(self.problems)} |"


def parts(scenarios: Scenarios, seed: int) -> list[Part]:
    """Give every case there is, by running each scenario once."""
    calls = {name: scenarios.requests(name) for name in SCENARIOS}
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


def _single(calls: dict[str, list[Call]], effects: Sequence[Effect]) -> Iterator[Play]:
    for name, effect in itertools.product(SCENARIOS, effects):
        for call in calls[name]:
            if effect is not Effect.ERROR_IN_200 or can_fail_in_200(call.request):
                yield Play(name, ((effect, str(call), "once"),), call.function == "copy-image")


def _lasting_plays(calls: dict[str, list[Call]], lasts: str) -> Iterator[Play]:
    for name, (effect, code) in itertools.product(SCENARIOS, ENDLESS.items()):
        for call in calls[name]:
            if call.number == 1:
                codes = set(ENDLESS.values()) if call.function.startswith("copy-") else {code}
                letters = frozenset(codes) if lasts == "always" else NO_LETTERS
                yield Play(name, ((effect, str(call), lasts),), call.function == "copy-image", letters)


def _lasting(lasts: str) -> str:
    return "" if lasts == "once" else f" ({lasts})"


def play(found: list[Part], scenarios: Scenarios, until: float) -> None:
    """Play the cases until the time is up, and tell how far it is."""
    begun = said = time.monotonic()
    for part in found:
        for each in part.plays:
            if time.monotonic() > until:
                return
            with contextlib.redirect_stdout(io.StringIO()):  # the functions' own logs
                problem = each.problem(scenarios)
            part.played += 1
            if problem:
                part.problems.append(f"{each}: {problem}")
                print(f"PROBLEM {each}\n        {problem}", flush=True)
            if time.monotonic() - said > 15:
                said = time.monotonic()
                minutes = (said - begun) / 60
                print(f"{minutes:5.1f} min  {part.name}: {part.played} of {len(part.plays)}", flush=True)


@dataclass(frozen=True)
class Stories:
    """How the random stories went."""

    examples: int
    said: str
    good: bool

    def line(self) -> str:
        """Give the row of the table."""
        return f"| random stories, and every guard removed | any number | {self.examples} | {0 if self.good else 1} |"


def tell(examples: int, seed: int) -> Stories:
    """Play random stories, and remove every guard; what fails is printed with what plays it again."""
    given = {**os.environ, "HYPOTHESIS_SEED": str(seed), "HYPOTHESIS_EXAMPLES": str(examples)}
    words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=0",
        "tests/faults/test_stories.py",
    ]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )
    said = done.stdout.strip().rpartition("\n")[2]
    print(said if done.returncode == 0 else done.stdout[-20_000:], flush=True)
    return Stories(examples, said, done.returncode == 0)


def report(found: list[Part], stories: Stories | None, seed: int, seconds: float) -> str:
    """Write the page about the last night."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    played, problems = sum(p.played for p in found), [text for p in found for text in p.problems]
    lines = [
        "# The last night",
        "",
        "What `make nightly` did when it last ran: every fault at every request of a replication, and pairs of",
        "crashes, each followed by a check of all eight guarantees. `tests/faults/nightly.py` says what is played.",
        "",
        f"- ended: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, after {seconds / 60:.0f} minutes",
        f"- commit: `{commit or 'unknown'}`",
        f"- seed: {seed}",
        f"- cases played: {played:,} of {sum(len(p.plays) for p in found):,}",
        f"- problems: {len(problems)}",
        "",
        "| cases | there are | played | problems |",
        "|---|---|---|---|",
        *([stories.line()] if stories else []),
        *[part.line() for part in found],
        *([""] + [f"- `{text[:300]}`" for text in problems] if problems else []),
        *([] if stories is None or stories.good else ["", f"- `{stories.said}`"]),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Play; the exit code tells whether there was a problem."""
    parser = argparse.ArgumentParser(prog="make nightly", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).strftime("%Y%m%d")))
    parser.add_argument("--minutes", type=float, default=240.0)
    parser.add_argument("--stories", type=int, default=300, help="how many random stories")
    parser.add_argument("--only", help="a case as it was printed, or the beginning of some")
    arguments = parser.parse_args()
    begun = time.monotonic()
    stories = None
    if arguments.stories and not arguments.only:
        print(f"{arguments.stories} random stories, seed {arguments.seed}", flush=True)
        stories = tell(arguments.stories, arguments.seed)
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        stack = contextlib.ExitStack()
        world = stack.enter_context(World())
        scenarios = Scenarios(Models(world))
        found = parts(scenarios, arguments.seed)
    with stack:
        if arguments.only:
            for part in found:
                part.plays = [each for each in part.plays if str(each).startswith(arguments.only)]
        total = sum(len(part.plays) for part in found)
        print(f"{total:,} cases, seed {arguments.seed}, {arguments.minutes:g} minutes at most", flush=True)
        play(found, scenarios, begun + 60 * arguments.minutes)
    text = report(found, stories, arguments.seed, time.monotonic() - begun)
    if not arguments.only:
        REPORT.write_text(text, encoding="utf-8")
    problems = sum(len(part.problems) for part in found) + (stories is not None and not stories.good)
    played = sum(part.played for part in found)
    print(text)
    print(f"nightly: {played:,} of {total:,} cases, {problems} problems, seed {arguments.seed}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
