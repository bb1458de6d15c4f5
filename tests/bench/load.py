"""A flood of approvals through the shipped templates on the local AWS: how fast, how fair, and what bounds it.

python -m tests.bench.load [--versions 1000 --spokes 20 --flood 400 --limit 25 --workers 4]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import time
from typing import TYPE_CHECKING

from local.server import LocalAws
from tests.load.ends import failures, problems
from tests.load.flood import Flood, Scale, deploy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.load.flood import Version


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def spread(seconds: Sequence[float]) -> str:
    """Give the middle and the ends of some durations."""
    low, high = min(seconds), max(seconds)
    return f"{statistics.median(seconds):8.1f} {low:8.1f} {high:8.1f}"


def show(flood: Flood, alone: float) -> None:
    """Print how long it took, for whom."""
    scale, known = flood.scale, flood.in_flight
    ends = flood.executions().values()
    wall = (max(each["stopDate"] for each in ends) - flood.began).total_seconds()
    say(f"\n{scale.versions} versions in {wall:.0f} s: {scale.versions / wall * 60:.0f} a minute")
    say(f"to fail: {dict(failures(flood))}; {len(ends)} executions")
    say(
        f"running at a time: {max(known.peaks.values())} of one spoke, {scale.limit} allowed; {known.most} of all "
        f"({known.looks} looks at the ledger)"
    )
    fast = [v for v in flood.versions if v.expected is None]
    by: dict[str, list[Version]] = {
        f"the spoke that floods ({scale.flood})": [v for v in fast if v in flood.of(scale.accounts[0])],
        "the others": [v for a in scale.accounts[1:-1] for v in flood.of(a) if v.expected is None],
        "the single approval behind them": flood.of(flood.quiet),
    }
    say("\nseconds from approval to mirror      median    least     most")
    for name, versions in by.items():
        say(f"  {name:32} {spread(flood.seconds(versions))}")
    say(f"  {'an approval in an idle system':32} {alone:8.1f}")


def run(scale: Scale, workers: int) -> list[str]:
    """Play the flood once and give what was wrong."""
    began = time.monotonic()
    with LocalAws(workers=workers) as aws:
        flood = deploy(aws, scale)
        say(f"{time.monotonic() - began:6.0f} s  the hub and {scale.spokes} spokes are deployed")
        alone = flood.alone()
        flood.prepare()
        say(f"{time.monotonic() - began:6.0f} s  {len(flood.versions)} versions are registered")
        before = time.process_time()
        start = time.monotonic()
        flood.release()
        flood.watch(say)
        spent, wall = time.process_time() - before, time.monotonic() - start
        show(flood, alone)
        found = problems(flood)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    say(
        f"\nprocessor seconds: the local AWS {spent:.0f} of {wall:.0f} (it is one process), functions "
        f"{children.ru_utime + children.ru_stime:.0f} with their starts; {os.cpu_count()} processors, "
        f"load averages {' '.join(f'{each:.1f}' for each in os.getloadavg())}, {workers} processes a function"
    )
    return found


def main() -> None:
    """Read the arguments, play, and fail if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--versions", type=int, default=Scale.versions)
    parser.add_argument("--spokes", type=int, default=Scale.spokes)
    parser.add_argument("--flood", type=int, default=Scale.flood)
    parser.add_argument("--limit", type=int, default=Scale.limit)
    parser.add_argument("--workers", type=int, default=4)
    given = parser.parse_args()
    found = run(Scale(given.versions, given.spokes, given.flood, given.limit), given.workers)
    for problem in found:
        say(f"WRONG: {problem}")
    say(
        "all mirrored or in the dead-letter queue, one mirror each, no spoke above its limit"
        if not found
        else ""
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
