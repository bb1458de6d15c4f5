"""Objects of up to 600 MiB with the sizes that S3 itself has: killed in the middle of the copy, resumed, verified."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from replicator.aws.artifact_facts import Tuning
from replicator.steps import ArtifactCopy, CopyRequest
from tests.integration.artifact_world import (
    _PLAIN,
    DESTINATION,
    HUB,
    HUB_BUCKET,
    PACKAGE,
    REGION,
    SETTINGS,
    SPOKE_BUCKET,
    World,
)
from tests.integration.test_copy_artifact.test_killed import COPY
from tests.second_opinion.parts import ROOT
from tests.second_opinion.world import ENDPOINT, emptied, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB: Final = 1024 * 1024


@pytest.fixture
def aws() -> Iterator[World]:
    with serving() as world:
        yield emptied(world)


def _direct(aws: World) -> boto3.Session:
    """Give a session whose requests do not pass the tests' server, which would keep 600 MiB in memory."""
    credentials = aws.spoke._request_signer._credentials  # type: ignore[attr-defined]
    return boto3.Session(
        aws_access_key_id=credentials.access_key, aws_secret_access_key="x", region_name=REGION
    )


def _begin(aws: World, uri: str) -> subprocess.Popen[bytes]:
    """Begin the copy in a process, one request at a time, so that there is a middle to kill it in."""
    copy = ArtifactCopy(uri=uri, type="object", destination=DESTINATION)
    request = CopyRequest(source_arn=PACKAGE, copy_=copy).model_dump_json(by_alias=True)
    keys: Any = aws.own.get_credentials()
    environment: dict[str, str] = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "layers" / "core"),
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }
    tuning = json.dumps(asdict(replace(Tuning(), streams=1)))
    return subprocess.Popen(
        [sys.executable, "-c", COPY, request, SETTINGS.model_dump_json(), tuning], env=environment
    )


@pytest.mark.parametrize(
    ("size", "operation", "parts"),
    [(600 * MIB, "UploadPartCopy", 5), (60 * MIB, "UploadPart", 8)],
    ids=["server-side", "streamed"],
)
def test_a_large_object_is_killed_in_the_middle_and_resumed(
    aws: World, tmp_path: Path, size: int, operation: str, parts: int
) -> None:
    path = tmp_path / "model.tar.gz"
    with path.open("wb") as file:
        file.truncate(size)
        for place in range(0, size, 5 * MIB):  # no two parts alike
            file.seek(place)
            file.write(f"at {place}".encode())
    s3 = _direct(aws).client("s3", endpoint_url=os.environ[ENDPOINT], config=_PLAIN)
    with path.open("rb") as file:
        s3.put_object(Bucket=SPOKE_BUCKET, Key="model.tar.gz", Body=file)
    source = s3.head_object(Bucket=SPOKE_BUCKET, Key="model.tar.gz", ChecksumMode="ENABLED")
    if operation == "UploadPart":
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    uri = f"s3://{SPOKE_BUCKET}/model.tar.gz"
    aws.faults.clear()
    process = _begin(aws, uri)
    while process.poll() is None and aws.faults.count(operation) < 3:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "the copy ended before it was killed"
    assert aws.open_uploads() == 1

    result = aws.copied(uri, tuning=Tuning())
    assert aws.faults.count(operation) <= parts + 1, "what was copied before the kill is copied again"
    assert aws.open_uploads() == 0
    key = result.destination.removeprefix(f"s3://{HUB_BUCKET}/")
    copy = aws.hub.head_object(Bucket=HUB_BUCKET, Key=key, ChecksumMode="ENABLED")
    assert (copy["ContentLength"], copy["ChecksumCRC64NVME"]) == (size, source["ChecksumCRC64NVME"])
