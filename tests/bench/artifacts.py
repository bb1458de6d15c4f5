"""Artifact copies against an S3 with a delay for every call, beside boto3 and the AWS CLI.

    python -m tests.bench.artifacts [--runs 3] [--aws PATH_OF_THE_AWS_CLI]

Run it on a machine with nothing else to do and read it; pytest does not collect it. Every copy runs in a process
of its own, one after the other in turn; time is that of the copy, without the start of the process.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from replicator.aws.artifact_facts import Tuning
from replicator.aws.artifacts import copy_artifact
from replicator.aws.sessions import Sessions
from replicator.settings import CopyArtifactSettings
from replicator.steps import ArtifactCopy, CopyRequest, Progress
from tests.bench.bare import bare
from tests.bench.slow_s3 import Running, serving

if TYPE_CHECKING:
    from collections.abc import Callable

DELAY, RATE = 0.030, 80e6
MIB = 1024 * 1024
PART = Tuning().part_size
STREAMS = Tuning().streams
PARTS, OBJECTS, SMALL = 400, 5000, 10_000
SPOKE, HUB = "222222222222", "111111111111"
SETTINGS = CopyArtifactSettings(
    hub_account=HUB,
    hub_bucket="hub",
    hub_key_arn=f"arn:aws:kms:eu-west-1:{HUB}:key/1",
    copy_role_arn=f"arn:aws:iam::{HUB}:role/copy",
    spoke_role_name="read",
    spoke_accounts=frozenset({SPOKE}),
)
WIDE = TransferConfig(multipart_chunksize=PART, multipart_threshold=PART, max_concurrency=STREAMS)


def ours(key: str) -> None:
    """Copy with the engine that ships."""
    kind: Any = "prefix" if key.endswith("/") else "object"
    copy = ArtifactCopy(uri=f"s3://spoke/{key}", type=kind, destination=f"models/{SPOKE}/churn/3/")
    source = f"arn:aws:sagemaker:eu-west-1:{SPOKE}:model-package/churn/3"
    answer = copy_artifact(
        CopyRequest(source_arn=source, copy_=copy),
        SETTINGS,
        Sessions("aws", "eu-west-1", boto3.Session()),
        seconds_left=lambda: 900.0,
    )
    if not answer.done:
        raise RuntimeError("not done")


def managed(key: str, config: TransferConfig | None = None, threads: int = 10) -> None:
    """Copy with ``client.copy`` of boto3, the objects of a prefix side by side."""
    client = boto3.client("s3", config=Config(max_pool_connections=STREAMS + 4))
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="spoke", Prefix=key)
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    with ThreadPoolExecutor(threads) as pool:
        for done in [
            pool.submit(client.copy, {"Bucket": "spoke", "Key": k}, "hub", k, Config=config) for k in keys
        ]:
            done.result()


def managed_wide(key: str) -> None:
    """Copy with ``client.copy``, with our number of streams and size of parts."""
    managed(key, WIDE, STREAMS if key.endswith("/") else 1)


def calls_alone(key: str) -> None:
    """Make the calls of a prefix's copy and do nothing else: what this server and machine allow."""
    bare(key, STREAMS)


def _child(endpoint: str, copy: Callable[[str], None], key: str, answer: Any) -> None:
    os.environ.update(environment(endpoint))
    boto3.client("s3")  # the service's model is read once in the life of a function
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, used = time.perf_counter(), time.process_time()
    copy(key)
    answer.send(
        {
            "wall": time.perf_counter() - started,
            "cpu": time.process_time() - used,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "before": before / 1024,
        }
    )


def environment(endpoint: str) -> dict[str, str]:
    """Give the variables with which every SDK talks to the server."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def measured(server: Running, copy: Callable[[str], None], key: str) -> dict[str, float]:
    """Run a copy in a new process."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_child, args=(server.endpoint, copy, key, theirs)
    )
    process.start()
    theirs.close()
    found: dict[str, float] = mine.recv()
    process.join()
    return found


def command_line(server: Running, aws: str, key: str) -> dict[str, float]:
    """Run the AWS CLI; its start is part of what people wait for."""
    more = ["--recursive"] if key.endswith("/") else []
    command = [aws, "s3", "cp", f"s3://spoke/{key}", f"s3://hub/{key}", "--quiet", *more]
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, **environment(server.endpoint)})
    return {"wall": time.perf_counter() - started}


def floor(objects: int, parts: int) -> float:
    """Give the seconds that the server's limits allow: nothing but the calls that a copy cannot do without."""
    if objects > 1:
        listings = 2 * math.ceil(objects / 1000) + 1
        return listings * DELAY + 2 * objects * DELAY / STREAMS
    waves = math.ceil(parts / STREAMS)
    return 3 * DELAY + waves * (DELAY + PART / RATE)  # HeadObject, CreateMultipartUpload, Complete


def compare(
    server: Running, title: str, objects: int, size: int, runs: int, aws: str | None, *, quick: bool
) -> None:
    """Run all ways in turn and print their medians."""
    parts = math.ceil(size / PART) if objects == 1 else 0
    least = floor(objects, parts)
    print(f"\n{title}: the server allows {least:.1f} s with {STREAMS} streams")
    key = "models/p/" if objects > 1 else "models/model.tar.gz"
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "replicator": lambda: measured(server, ours, key),
        **({"the calls alone": lambda: measured(server, calls_alone, key)} if objects > 1 else {}),
        f"boto3 client.copy, {STREAMS} streams, {PART // MIB} MiB": lambda: measured(
            server, managed_wide, key
        ),
        "boto3 client.copy, defaults": lambda: measured(server, managed, key),
    }
    if quick:
        ways.popitem()
    elif aws:
        ways["aws s3 cp, defaults"] = lambda: command_line(server, aws, key)
    else:
        print("  (no column for the AWS CLI: pass --aws, or pip install awscli into a venv of its own)")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            server.control("forget")
            server.control("fill", bucket="spoke", prefix=key, count=objects, size=size)
            figures: dict[str, Any] = way()
            found[name].append({**figures, **server.control("figures")})
    for name, all_runs in found.items():
        wall = statistics.median(run["wall"] for run in all_runs)
        cpu = statistics.median(run.get("cpu", math.nan) for run in all_runs)
        last = all_runs[-1]
        calls = sum(count for call, count in last["calls"].items() if call != "AssumeRole")
        print(
            f"  {name:42} {wall:7.1f} s  {wall / least:5.2f} x  cpu {cpu:5.1f} s  "
            f"{calls} calls  data {last['data_in'] + last['data_out']} B  in flight {last['most_in_flight']}"
        )
    print("  calls of the replicator:", json.dumps(found["replicator"][-1]["calls"]))


def memory(server: Running) -> None:
    """Print the peak memory of copies of several sizes; the delay does not matter for it."""
    print("\nPeak memory of the replicator's process (MiB; before the copy -> at most)")
    for title, key, count, size in (
        ("1,000 objects", "m/", 1000, SMALL),
        ("5,000 objects", "m/", 5000, SMALL),
        ("20,000 objects", "m/", 20_000, SMALL),
        ("200,000 objects", "m/", 200_000, SMALL),
        ("400 parts", "m", 1, 400 * PART),
        ("10,000 parts", "m", 1, 10_000 * PART),
    ):
        server.control("forget")
        server.control("fill", bucket="spoke", prefix=key, count=count, size=size)
        found = measured(server, ours, key)
        print(
            f"  {title:16} {found['before']:6.0f} -> {found['peak']:6.0f}   in {found['wall']:.0f} s",
            flush=True,
        )


def rounds(server: Running) -> None:
    """Copy 20,000 objects in invocations that end too early, as the state machine would call them."""
    server.control("forget")
    server.control("fill", bucket="spoke", prefix="m/", count=20_000, size=SMALL)
    os.environ.update(environment(server.endpoint))
    copy = ArtifactCopy(uri="s3://spoke/m/", type="prefix", destination=f"models/{SPOKE}/churn/3/")
    source = f"arn:aws:sagemaker:eu-west-1:{SPOKE}:model-package/churn/3"
    sessions = Sessions("aws", "eu-west-1", boto3.Session())
    progress: Progress | None = None
    print("\n20,000 objects in invocations of 60 s, the first of 15 s")
    for number in range(1, 100):
        end = time.monotonic() + (15 if number == 1 else 60) + Tuning().margin
        request = CopyRequest(source_arn=source, copy_=copy, progress=progress)
        answer = copy_artifact(request, SETTINGS, sessions, seconds_left=lambda: end - time.monotonic())  # noqa: B023
        if answer.done:
            break
        progress = answer.progress
        print(f"  {number}: {progress}", flush=True)
    print(f"  done in {number} invocations; {json.dumps(server.control('figures')['calls'])}")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--aws", default=shutil.which("aws", path=os.path.dirname(sys.executable)))  # noqa: PTH120
    parser.add_argument(
        "--quick", action="store_true", help="leave out the defaults of others, which take minutes"
    )
    parser.add_argument("--only", choices=["object", "prefix", "memory", "rounds"])
    arguments = parser.parse_args()
    print(f"{DELAY * 1000:.0f} ms a call, {RATE / 1e6:.0f} MB/s a stream, medians of {arguments.runs}")
    with serving(DELAY, RATE) as server:
        if arguments.only in (None, "object"):
            compare(
                server,
                f"One object in {PARTS} parts",
                1,
                PARTS * PART,
                arguments.runs,
                arguments.aws,
                quick=arguments.quick,
            )
        if arguments.only in (None, "prefix"):
            compare(
                server,
                f"A prefix of {OBJECTS} objects",
                OBJECTS,
                SMALL,
                arguments.runs,
                arguments.aws,
                quick=arguments.quick,
            )
    if arguments.only in (None, "memory"):
        with serving(0.001, 1e12) as server:
            memory(server)
    if arguments.only in (None, "rounds"):
        with serving(DELAY, RATE) as server:
            rounds(server)


if __name__ == "__main__":
    main()
