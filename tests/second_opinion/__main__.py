"""The command: ``make second-opinion``, with ``ARGS="--only patterns"`` for a part.

It starts LocalStack twice (with the small parts of the copy engine's tests, and with S3's own sizes), runs every
comparison in pytest and says what differed. The exit code is 0 when nothing did, 1 when something did, and 2 when a
part is missing: then nothing more is compared, and it says how to get the part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.second_opinion.parts import ROOT, MissingError, Parts, find, free_port, localstack
from tests.second_opinion.state_machines import ENDPOINT, mocks
from tests.second_opinion.world import ENDPOINT as S3_ENDPOINT

if TYPE_CHECKING:
    from collections.abc import Sequence

_SMALLEST_PART = 1024
_HERE = "tests/second_opinion"


@dataclass(frozen=True)
class Comparison:
    """What is compared in one process of pytest.

    Parameters
    ----------
    name
        For ``--only``.
    says
        For people.
    small
        Whether it wants LocalStack with the small parts.
    arguments
        Of pytest.
    """

    name: str
    says: str
    small: bool
    arguments: tuple[str, ...]


COMPARISONS = (
    Comparison(
        "copies",
        "the copy engine's tests against LocalStack's S3",
        True,
        ("-p", "tests.second_opinion.world", "tests/integration/test_copy_artifact"),
    ),
    Comparison(
        "large",
        "objects of up to 600 MiB with S3's own sizes, killed and resumed",
        False,
        (f"{_HERE}/large_object.py",),
    ),
    Comparison(
        "machines",
        "the state machines in asl-validator, aws-local-stepfunctions and LocalStack",
        False,
        (f"{_HERE}/state_machines.py",),
    ),
    Comparison(
        "patterns",
        "the patterns of all rules in LocalStack's EventBridge",
        False,
        (f"{_HERE}/event_patterns.py",),
    ),
)


def compare(comparison: Comparison, endpoint: str) -> bool:
    """Run one comparison, and say how it went."""
    print(f"== {comparison.name}: {comparison.says}", flush=True)
    begun = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            *comparison.arguments,
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers" / "core"))),
            S3_ENDPOINT: endpoint,
            ENDPOINT: endpoint,
        },
        check=False,
    )
    says = "nothing differs" if done.returncode == 0 else "DIFFERS"
    print(f"== {comparison.name}: {says}, after {time.monotonic() - begun:.0f} s\n", flush=True)
    return done.returncode == 0


def compare_all(chosen: Sequence[Comparison], parts: Parts, port: int | None) -> list[str]:
    """Start LocalStack as the comparisons want it, and give the names of those that found a difference."""
    differing = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="second-opinion-")))
        config = folder / "mocks.json"
        config.write_text(json.dumps(mocks()), encoding="utf-8")
        running: dict[bool, str] = {}
        for one in chosen:
            if one.small not in running:
                listen = free_port() if port is None else port + len(running)
                smallest = _SMALLEST_PART if one.small else None
                running[one.small] = stack.enter_context(
                    localstack(parts, listen, smallest, {"SFN_MOCK_CONFIG": str(config)})
                )
            if not compare(one, running[one.small]):
                differing.append(one.name)
    return differing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="make second-opinion", description=__doc__)
    names = [one.name for one in COMPARISONS]
    parser.add_argument(
        "--only", action="append", choices=names, help="this part; may be given several times"
    )
    parser.add_argument("--port", type=int, help="of LocalStack, and the next one; a free port without it")
    options = parser.parse_args(arguments)
    chosen = [one for one in COMPARISONS if not options.only or one.name in options.only]
    try:
        differing = compare_all(chosen, find(), options.port)
    except MissingError as error:
        print(f"second opinion: something is missing, nothing more was compared.\n{error}", file=sys.stderr)
        return 2
    if differing:
        print(
            f"second opinion: {', '.join(differing)} differ from the independent implementation",
            file=sys.stderr,
        )
    return int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
