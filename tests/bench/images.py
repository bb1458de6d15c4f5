"""Measures copies of images between two real registries on loopback, beside other ways to copy the same.

``python -m tests.bench.images [--size big|small] [--rounds 5]`` prints a table; nothing is asserted. It needs
docker-registry, skopeo and curl, and five times the image's size below ``--folder``.

Every run gets a destination registry of its own, new process and empty storage: nothing can be mounted, nothing
is there, and what skopeo remembers of registries by host and port is of no use to it. The ways take turns, each
run waits for a quiet moment, and what other processes disturbed is thrown away and run again.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.images_built import build
from tests.bench.images_ways import SOURCE, Cost, Way, curl_pipe, floor, ours, push, skopeo
from tests.conformance.registries import real_registry

if TYPE_CHECKING:
    from tests.bench.images_built import BuiltImage

MIB = 1024 * 1024
SIZES = {"big": (8, 1_000_000_000 // 8), "small": (4, 5_000_000), "one layer": (1, 1_000_000_000)}
QUIET = 0.08
"""Share of the processors that others may use in a run that counts."""
PEEK_SECONDS = 1.0
STREAMS = 3
"""Of the floor: as many as the copy's own."""


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=SIZES, help="default: big and small")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where registries keep data")  # noqa: S108 - a default, on the command line
    parser.add_argument(
        "--streams", type=int, nargs="*", default=[], help="also our copy with so many streams"
    )
    parser.add_argument("--patience", type=float, default=600, help="seconds to spend on waiting for quiet")
    chosen = parser.parse_args()
    missing = [name for name in ("docker-registry", "skopeo", "curl") if not shutil.which(name)]
    if missing:
        sys.exit(f"{' and '.join(missing)} missing: apt-get install {' '.join(missing)}")
    _conditions(chosen.folder)
    ways = [ours(), *(ours(streams) for streams in chosen.streams), skopeo(), curl_pipe(), floor(STREAMS)]
    for size in [chosen.size] if chosen.size else ["big", "small"]:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            Bench(Path(folder), size, chosen.patience).measure(ways, chosen.rounds)


class Bench:
    """One image, copied over and over.

    Parameters
    ----------
    folder
        For image and registries.
    size
        Name of the image's size.
    patience
        Seconds that may be spent on waiting for other processes to be quiet, and on runs that they disturbed.
    """

    def __init__(self, folder: Path, size: str, patience: float) -> None:
        self.folder, self.size, self.patience = folder, size, patience
        self.image = build(folder / "image", *SIZES[size])
        self.disturbed = 0
        with real_registry(folder / "source") as source:
            push(source, SOURCE, self.image)

    def measure(self, ways: list[Way], rounds: int) -> None:
        """Run all the ways in turn, and print what came of it."""
        for way in ways:  # reads programs and libraries from the disk
            self._run(way)
        load = os.getloadavg()[0]
        costs: dict[str, list[Cost]] = defaultdict(list)
        for number in range(rounds):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                costs[way.name].append(self._undisturbed(way))
        requests = _requests_when_there(self.folder, self.image)
        print(
            f"\n{self.size}: {self.image.size:,} bytes in {len(self.image.blobs) - 1} layers; {rounds} rounds"
        )
        print(
            f"load average before: {load:.2f}, after: {os.getloadavg()[0]:.2f}; thrown away: {self.disturbed} runs"
        )
        _table(costs)
        print(
            f"image already there: {requests[0]} request to the hub's registry, {requests[1]} to the source's"
        )

    def _undisturbed(self, way: Way) -> Cost:
        """Run when nothing else runs; again when something else did, while there is patience."""
        while True:
            while self.patience > 0 and _busy_share() > QUIET:
                self.patience -= PEEK_SECONDS
            cost = self._run(way)
            if cost.others <= QUIET or self.patience <= 0:
                return cost
            self.patience -= cost.wall
            self.disturbed += 1

    def _run(self, way: Way) -> Cost:
        place = self.folder / "hub"
        busy, own, began = _busy_seconds(), _own_seconds(), time.perf_counter()
        try:
            with real_registry(self.folder / "source") as source, real_registry(place) as hub:
                cost = way.run(source, hub, self.image)
        finally:
            shutil.rmtree(place)
        lasted = time.perf_counter() - began
        own = _own_seconds() - own
        others = max(0.0, _busy_seconds() - busy - own) / lasted / (os.cpu_count() or 1)
        return replace(cost, others=others, servers=own - cost.cpu)


def _requests_when_there(folder: Path, image: BuiltImage) -> tuple[int, int]:
    """Copy twice and count the requests of the second time."""
    counts = []
    for _ in range(2):
        with (
            real_registry(folder / "source", access_log=True) as source,
            real_registry(folder / "hub", access_log=True) as hub,
        ):
            ours().run(source, hub, image)
        counts.append([_requests(folder / name / "log.txt") for name in ("hub", "source")])
    shutil.rmtree(folder / "hub")
    return counts[1][0] - counts[0][0], counts[1][1] - counts[0][1]


def _requests(log: Path) -> int:
    return sum(" /v2/" in line and "HTTP/1.1" in line for line in log.read_text().splitlines())


def _table(costs: dict[str, list[Cost]]) -> None:
    def middle(member: str, runs: list[Cost]) -> float:
        return float(statistics.median(getattr(cost, member) for cost in runs))

    base = middle("wall", costs[ours().name])
    print("medians; memory is the largest of all runs")
    print(
        f"{'':24}{'wall s (least-most)':>22}{'ours is':>9}{'CPU s':>7}{'registries':>11}{'peak MiB':>10}"
        f"{'in process s':>14}{'others':>8}"
    )
    for name, runs in costs.items():
        wall = sorted(cost.wall for cost in runs)
        spread = f"{middle('wall', runs):.3f} ({wall[0]:.3f}-{wall[-1]:.3f})"
        inside = f"{middle('inside', runs):.3f}" if runs[0].inside is not None else ""
        print(
            f"{name:24}{spread:>22}{base / middle('wall', runs):>8.2f}x{middle('cpu', runs):>7.2f}"
            f"{middle('servers', runs):>11.2f}{max(cost.memory for cost in runs) / MIB:>10.1f}"
            f"{inside:>14}{max(cost.others for cost in runs):>8.0%}"
        )


def _busy_seconds() -> float:
    """Tell how long all processors together have been busy since the machine started (proc_stat(5))."""
    user, nice, system, _, _, *more = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:8])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    """Tell the processor time of this process and of all its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _busy_share() -> float:
    before = _busy_seconds()
    time.sleep(PEEK_SECONDS)
    return (_busy_seconds() - before) / PEEK_SECONDS / (os.cpu_count() or 1)


def _conditions(folder: Path) -> None:
    print(
        f"{os.cpu_count()} processors ({platform.machine()}), Linux {platform.release()}, {sys.version.split()[0]}"
    )
    for command in (["docker-registry", "--version"], ["skopeo", "--version"], ["curl", "--version"]):
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0])
    print(
        f"registries keep their data below {folder}; their processes are not counted, but share the processors"
    )


if __name__ == "__main__":
    main()
