"""Every fault at every request, and every pair of crashes: ``make nightly``.

First random stories (``tests/faults/test_stories.py``) with the same seed, and the removal of every guard
(``tests/faults/test_guards.py``), each in a process of its own. Then the cases of `tests.faults.cases`, in worlds
of which each is a process: each request of each scenario with each fault, once and for a whole
invocation; trouble without an end for each kind of request; then all pairs of crashes in an order drawn from the seed,
until the time is up. What was done is written to ``docs/nightly.md``. A case that fails is printed with what plays it
again: ``make nightly ARGS="--only 'first | crash after | register s3.PutObject 1'"``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.landscape import ROOT
from tests.faults.cases import SCENARIOS, Part, Play, parts
from tests.faults.guards import GUARDS
from tests.faults.models import Models
from tests.faults.scenarios import Scenarios
from tests.faults.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.wire import Call

REPORT = ROOT / "docs" / "nightly.md"


@dataclass(frozen=True)
class Tests:
    """Tests that were run by pytest, and how that ended."""

    name: str
    count: int
    said: str
    good: bool


def run_tests(name: str, count: int, path: str, **given: str) -> Tests:
    """Run the tests of a file; what fails is printed with what plays it again."""
    print(f"{name}: {count}", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "timeout=0", path],
        cwd=ROOT,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.strip().rpartition("\n")[2]
    print(said if done.returncode == 0 else done.stdout[-20_000:], flush=True)
    return Tests(name, count, said, done.returncode == 0)


class _Worker:
    """What a process of the pool keeps: a world, and the versions in it."""

    scenarios: Scenarios

    @classmethod
    def begin(cls) -> None:
        """Make the world, once for the process, which takes it away when it ends."""
        logging.disable(logging.CRITICAL)
        with contextlib.redirect_stdout(io.StringIO()):
            cls.scenarios = Scenarios(Models(World().__enter__()))

    @classmethod
    def calls(cls) -> dict[str, list[Call]]:
        """Give the requests of each scenario when all goes well."""
        with contextlib.redirect_stdout(io.StringIO()):  # the functions' own logs
            return {name: cls.scenarios.requests(name) for name in SCENARIOS}

    @classmethod
    def problem(cls, play: Play) -> str:
        """Play a case; give what is wrong."""
        with contextlib.redirect_stdout(io.StringIO()):
            return play.problem(cls.scenarios)


def play_all(found: list[Part], pool: ProcessPoolExecutor, jobs: int, until: float) -> None:
    """Play the cases until the time is up, and tell how far it is."""
    waiting = ((part, play) for part in found for play in part.plays)
    playing: dict[Future[str], tuple[Part, Play]] = {}
    begun = said = time.monotonic()
    while True:
        if time.monotonic() < until:
            for part, play in itertools.islice(waiting, 2 * jobs - len(playing)):
                playing[pool.submit(_Worker.problem, play)] = part, play
        if not playing:
            return
        for done in wait(playing, return_when=FIRST_COMPLETED).done:
            part, play = playing.pop(done)
            part.played += 1
            if problem := done.result():
                part.problems.append(f"{play}: {problem}")
                print(f"PROBLEM {play}\n        {problem}", flush=True)
            if time.monotonic() - said > 15:
                said = time.monotonic()
                minutes = (said - begun) / 60
                print(f"{minutes:5.1f} min  {part.name}: {part.played} of {len(part.plays)}", flush=True)


@contextlib.contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes with a world each."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh, initializer=_Worker.begin) as pool:
        yield pool


def report(found: list[Part], tests: list[Tests], seed: int, seconds: float, jobs: int) -> str:
    """Write the page about the last night."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    played, problems = sum(p.played for p in found), [text for p in found for text in p.problems]
    lines = [
        "# The last night",
        "",
        "What `make nightly` did when it last ran: every fault at every request of a replication, and pairs of",
        "crashes, each followed by a check of all eight guarantees. `tests/faults/cases.py` has the cases.",
        "",
        f"- ended: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, after {seconds / 60:.0f} minutes in {jobs} processes",
        f"- commit: `{commit or 'unknown'}`",
        f"- seed: {seed}",
        f"- cases played: {played:,} of {sum(len(p.plays) for p in found):,}",
        f"- problems: {len(problems) + sum(not each.good for each in tests)}",
        "",
        "| cases | there are | played | problems |",
        "|---|---|---|---|",
        *(f"| {p.name} | {len(p.plays):,} | {p.played:,} | {len(p.problems)} |" for p in found),
        *(f"| {t.name} | | {t.count:,} | {'none' if t.good else f'`{t.said}`'} |" for t in tests),
        *([""] + [f"- `{text[:300]}`" for text in problems] if problems else []),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Play; the exit code tells whether there was a problem."""
    parser = argparse.ArgumentParser(prog="make nightly", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).strftime("%Y%m%d")))
    parser.add_argument("--minutes", type=float, default=240.0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes")
    parser.add_argument(
        "--stories", type=int, default=300, help="how many random stories; 0: no tests at all"
    )
    parser.add_argument("--only", help="a case as it was printed, or the beginning of some")
    arguments = parser.parse_args()
    begun, seed = time.monotonic(), arguments.seed
    tests: list[Tests] = []
    if arguments.stories and not arguments.only:
        given = {"HYPOTHESIS_SEED": str(seed), "HYPOTHESIS_EXAMPLES": str(arguments.stories)}
        tests = [
            run_tests("random stories", arguments.stories, "tests/faults/test_stories.py", **given),
            run_tests("guards removed", len(GUARDS), "tests/faults/test_guards.py", EVERY_GUARD="1"),
        ]
    with workers(arguments.jobs) as pool:
        found = parts(pool.submit(_Worker.calls).result(), seed)
        if arguments.only:
            for part in found:
                part.plays = [each for each in part.plays if str(each).startswith(arguments.only)]
        total = sum(len(part.plays) for part in found)
        print(f"{total:,} cases, seed {seed}, {arguments.minutes:g} minutes at most", flush=True)
        play_all(found, pool, arguments.jobs, begun + 60 * arguments.minutes)
    text = report(found, tests, seed, time.monotonic() - begun, arguments.jobs)
    if not arguments.only:
        REPORT.write_text(text, encoding="utf-8")
    problems = sum(len(part.problems) for part in found) + sum(not each.good for each in tests)
    played = sum(part.played for part in found)
    print(text)
    print(f"nightly: {played:,} of {total:,} cases, {problems} problems, seed {seed}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
