"""A copy whose process is killed, again and again: what is repeated was in flight."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from local.faults import Fault
from replicator.steps import ArtifactCopy, CopyRequest
from tests.integration.artifact_world import (
    DESTINATION,
    HUB,
    HUB_BUCKET,
    KIB,
    PACKAGE,
    SETTINGS,
    SMALL,
    SPOKE_BUCKET,
    World,
)

ROOT = Path(__file__).parents[3]
STREAMS = 3
TUNING = replace(SMALL, streams=STREAMS)
OBJECT = {"model.tar.gz": hashlib.shake_256(b"a model").digest(768 * KIB)}
"""12 parts server side, 24 streamed."""
PREFIX = {
    **{f"m/{number:02}": b"%02d" % number for number in range(12)},
    "m/03.large": hashlib.shake_256(b"weights").digest(384 * KIB),
    "m/09.large": hashlib.shake_256(b"more weights").digest(384 * KIB),
}
WRITES = ("CopyObject", "UploadPartCopy", "PutObject", "UploadPart")
COPY = """
import json, sys
import boto3
from replicator.aws.artifact_facts import Tuning
from replicator.aws.artifacts import copy_artifact
from replicator.aws.sessions import Sessions
from replicator.parts import PartLimits
from replicator.settings import CopyArtifactSettings
from replicator.steps import CopyRequest
request, settings, tuning = map(json.loads, sys.argv[1:])
tuning["limits"] = PartLimits(**tuning["limits"])
copy_artifact(
    CopyRequest.model_validate(request),
    CopyArtifactSettings.model_validate(settings),
    Sessions("aws", "eu-west-1", boto3.Session()),
    lambda: 600.0,
    Tuning(**tuning),
)
"""


def written(aws: World) -> Counter[tuple[str, str]]:
    """Count how often each object and each part was asked for."""
    return Counter(
        (request.path, request.query.get("partNumber", [""])[0])
        for request in list(aws.faults.log)
        if request.operation in WRITES
    )


def start(aws: World, uri: str) -> subprocess.Popen[bytes]:
    copy = ArtifactCopy(uri=uri, type="prefix" if uri.endswith("/") else "object", destination=DESTINATION)
    request = CopyRequest(source_arn=PACKAGE, copy_=copy).model_dump_json(by_alias=True)
    keys: Any = aws.own.get_credentials()
    environment: dict[str, str] = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers" / "core"),
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }
    arguments = [request, SETTINGS.model_dump_json(), json.dumps(asdict(TUNING))]
    return subprocess.Popen([sys.executable, "-c", COPY, *arguments], env=environment)


def settle(aws: World) -> None:
    """Wait for what the server is still at."""
    before = -1
    while (now := len(aws.faults.log)) != before:
        before = now
        time.sleep(0.2)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("path", ["server-side", "streamed"])
@pytest.mark.parametrize("source", [OBJECT, PREFIX], ids=["object", "prefix"])
def test_killed_after_every_few_requests_it_repeats_only_what_was_in_flight(
    aws: World, source: dict[str, bytes], path: str, every: int
) -> None:
    for key, body in source.items():
        aws.put(key, body)
    uri = f"s3://{SPOKE_BUCKET}/{'m/' if len(source) > 1 else 'model.tar.gz'}"
    if path == "streamed":
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    aws.faults.clear()
    aws.faults.add(Fault(method="PUT", times=None, hook=lambda _: time.sleep(0.03)))
    kills, most = 0, 4  # more would take long and show no more
    while True:
        target = written(aws).total() + every
        process = start(aws, uri)
        while process.poll() is None and (written(aws).total() < target or kills == most):
            time.sleep(0.002)
        if process.poll() is not None:
            break
        process.kill()
        process.wait()
        settle(aws)
        kills += 1
    assert process.returncode == 0
    assert kills >= 2
    asked = written(aws)
    assert asked.total() - len(asked) <= kills * STREAMS
    assert max(asked.values()) <= 1 + kills
    copied = {key.rpartition("/")[2]: aws.bytes_at(f"s3://{HUB_BUCKET}/{key}") for key in aws.listed()}
    assert copied == {key.rpartition("/")[2]: body for key, body in source.items()}
    assert aws.open_uploads() == 0
