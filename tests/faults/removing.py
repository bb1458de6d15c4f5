"""Runs tests against copies of the layer, each with one guard removed.

``python -m tests.faults.removing`` reads jobs as JSON from its input and writes a line for each that is done.
It loads what takes long once, and forks for every job: a job then costs little more than its tests.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.faults.guards import Guard

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "core"
AT_ONCE = 2
SECONDS = 120
_LOADED_ONCE = [
    "aws_lambda_powertools.metrics",
    "boto3",
    "hypothesis.stateful",
    "local.server",
    "moto.server",
    "pytest",
]


class StaleGuardError(Exception):
    """The table does not fit the code any more."""


@dataclass(frozen=True)
class Job:
    """Tests to run against a layer."""

    name: str
    layer: str
    tests: list[str]


@dataclass(frozen=True)
class Result:
    """How the tests ended: pytest's exit code and the end of what it said."""

    code: int
    said: str


def without(guard: Guard, folder: Path) -> Path:
    """Copy the layer and remove a guard from the copy.

    Raises
    ------
    StaleGuardError
        The text is not there exactly once.
    """
    source = (LAYER / "replicator" / guard.file).read_text(encoding="utf-8")
    if (found := source.count(guard.old)) != 1:
        raise StaleGuardError(
            f"{guard.file} has this text {found} times, not once, so the table in tests/faults/guards.py is stale. "
            f"Bring its entry ({guard.protects}) up to date:\n{guard.old}"
        )
    # Compiled modules come along; they stay valid, for copies keep their times.
    shutil.copytree(LAYER / "replicator", folder / "replicator")
    copy = folder / "replicator" / guard.file
    copy.write_text(source.replace(guard.old, guard.new), encoding="utf-8")
    for compiled in (copy.parent / "__pycache__").glob(f"{copy.stem}.*.pyc"):
        compiled.unlink()
    compile(copy.read_text(encoding="utf-8"), str(copy), "exec")
    return folder


def results(guards: Iterable[Guard], *, untouched: bool) -> dict[str, Result]:
    """Run the tests of each guard without it.

    Parameters
    ----------
    untouched
        Run all of them with every guard as well; the result's name is "".
    """
    chosen = list(guards)
    with tempfile.TemporaryDirectory() as folder:
        tests = sorted({test for guard in chosen for test in guard.tests})
        jobs = [Job("", str(LAYER), tests)] if untouched else []
        for number, guard in enumerate(chosen):
            try:
                layer = without(guard, Path(folder) / str(number))
            except StaleGuardError:
                continue  # its own test says so
            jobs.append(Job(guard.protects, str(layer), list(guard.tests)))
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.removing"],
            input=json.dumps([asdict(job) for job in jobs]),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=True,
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: Result(line["code"], line["said"]) for line in lines}


def _run(job: Job, said: Path) -> None:
    """Become a run of pytest against the job's layer. Does not return."""
    with said.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    import pytest

    options = ["-q", "--no-header", "--tb=line", "--show-capture=no", "-p", "no:cacheprovider"]
    if job.name:
        options.append("-x")
    options += ["-o", f"pythonpath={job.layer} {ROOT}", "-o", f"timeout={SECONDS}"]
    code = pytest.main([*options, *job.tests])
    sys.stdout.flush()
    os._exit(code)


def _finished(jobs: list[Job], folder: Path) -> Iterator[dict[str, Any]]:
    waiting, running = list(enumerate(jobs)), dict[int, tuple[Job, Path]]()
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, job = waiting.pop(0)
            said = folder / str(number)
            process = os.fork()
            if not process:
                _run(job, said)
            running[process] = job, said
        process, status = os.wait()
        job, said = running.pop(process)
        text = said.read_text(encoding="utf-8", errors="replace")
        yield {"name": job.name, "code": os.waitstatus_to_exitcode(status), "said": text[-2000:]}


def main() -> None:
    """Do the jobs of the input."""
    for name in _LOADED_ONCE:
        importlib.import_module(name)
    assert not any(name.partition(".")[0] == "replicator" for name in sys.modules)
    jobs = [Job(**job) for job in json.load(sys.stdin)]
    with tempfile.TemporaryDirectory() as folder:
        for line in _finished(jobs, Path(folder)):
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
