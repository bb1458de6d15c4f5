"""The whole path for a small model on the local AWS: calls and seconds of every step, and cold starts.

python -m tests.bench.path [--runs 5]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from local.landscape import ROOT, SPOKES, deploy_all
from local.server import LocalAws
from tests.bench.counted import CountedCalls, counting
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNCTIONS = ("intake", "plan", "copy_artifact", "copy_image", "register", "record_failure", "redrive")
EMPTY = "import boto3\nimport json\n"
SPOKE = next(iter(SPOKES.values()))


def run(hub: Hub, scientist: DataScientist, counted: CountedCalls) -> str:
    """Mirror one version with one artifact and one image."""
    if not scientist.artifacts:
        scientist.push()
    arn = scientist.register({"Image": scientist.image, "ModelDataUrl": scientist.put("model.tar.gz")})
    counted.clear()
    scientist.approve(arn)
    hub.mirror(arn)
    return arn


def show_calls(counted: CountedCalls) -> None:
    """Print the calls of one run."""
    for function, total in sorted(counted.by_function().items()):
        calls = ", ".join(
            f"{service} {call}" + (f" x{count}" if count > 1 else "")
            for (of, service, call), count in sorted(counted.calls.items())
            if of == function
        )
        print(f"  {function:15} {total:3}  {calls}")
    print(f"  {'all':15} {counted.total():3}")


def steps(hub: Hub, arn: str) -> Iterator[tuple[str, float]]:
    """Give the states of a run that call a function, with their seconds."""
    execution = hub.entry(arn)["execution_arn"]
    history = hub.client("stepfunctions").get_execution_history(executionArn=execution, maxResults=1000)
    entered: dict[str, Any] = {}
    for event in history["events"]:
        if details := event.get("stateEnteredEventDetails"):
            entered[details["name"]] = event["timestamp"]
        elif (details := event.get("stateExitedEventDetails")) and details["name"] in entered:
            yield details["name"], (event["timestamp"] - entered[details["name"]]).total_seconds()


def show_seconds(found: list[dict[str, float]]) -> None:
    """Print the median seconds of each step."""
    for name in ("Plan", "Copies", "CopyArtifact", "CopyImage", "Register"):
        seconds = [run[name] for run in found if name in run]
        if seconds:
            print(f"  {name:15} {statistics.median(seconds) * 1000:6.0f} ms")


TESTS_ONLY = ("OpenSSL", "cryptography", "awscrt")
"""What botocore and urllib3 import when it is there: the tests' requirements bring it, the layer's do not."""
HIDDEN = f"import sys\nsys.modules |= dict.fromkeys({TESTS_ONLY!r})\n"


def cold(code: str, folders: list[Path]) -> float:
    """Run code in a fresh interpreter and give its seconds of processor."""
    program = f"{HIDDEN}import time\nt = time.process_time()\n{code}\nprint(time.process_time() - t)"
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PATH": os.defpath,
        "AWS_REGION": "eu-west-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def largest(code: str, folders: list[Path]) -> str:
    """Give the packages whose imports take longest, by themselves and what they alone bring."""
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PATH": os.defpath,
        "AWS_REGION": "eu-west-1",
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"{HIDDEN}{code}"],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    own: dict[str, int] = {}
    for micros, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", done.stderr):
        package = name.partition(".")[0]
        own[package] = own.get(package, 0) + int(micros)
    most = sorted(own.items(), key=lambda item: -item[1])[:5]
    return ", ".join(f"{name} {micros / 1000:.0f} ms" for name, micros in most)


def show_cold_starts(runs: int) -> None:
    """Print what it takes to import each function."""
    layer = ROOT / "layers/core"
    imports = {"boto3, empty": (EMPTY, [layer])} | {
        name: ("import handler", [ROOT / "functions" / name, layer]) for name in FUNCTIONS
    }
    figures: dict[str, list[float]] = {name: [] for name in imports}
    for _ in range(runs):
        for name, (code, folders) in imports.items():
            figures[name].append(cold(code, folders))
    for name, seconds in figures.items():
        print(f"  {name:15} {statistics.median(seconds) * 1000:5.0f} ms   {largest(*imports[name])}")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print("Processor time of the imports of a cold start (median), and the packages that take most of it")
    show_cold_starts(arguments.runs)
    with LocalAws() as aws:
        landscape = deploy_all(aws)
        hub = Hub(aws, landscape.hub)
        with counting(aws) as counted:
            scientist = DataScientist(aws, SPOKE, "bench")
            print("\nCalls of a first mirror of one artifact and one image (cold functions)")
            run(hub, scientist, counted)
            show_calls(counted)
            found = []
            for number in range(arguments.runs):
                found.append(
                    dict(steps(hub, run(hub, DataScientist(aws, SPOKE, f"bench-{number}"), counted)))
                )
            print("\nSeconds of each step with warm functions, on the local AWS (median)")
            show_seconds(found)


if __name__ == "__main__":
    main()
