"""A prefix of thousands of objects, in the pages, the window and the streams that ship.

The S3 is that of the benchmarks, which holds no bytes and is fast enough for it.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import mock

import boto3
import pytest

from replicator.aws.artifact_facts import Tuning
from replicator.aws.artifacts import copy_artifact
from replicator.aws.sessions import Sessions
from replicator.steps import ArtifactCopy, CopyAnswer, CopyRequest, Progress
from tests.bench.slow_s3 import serving
from tests.integration.artifact_world import DESTINATION, HUB_BUCKET, PACKAGE, REGION, SETTINGS, SPOKE_BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.slow_s3 import Running

COUNT, SIZE = 5_500, 10_000
PAGES = 6
TUNING = replace(Tuning(), window=1_500)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(delay=0.0) as running:
        environment = {
            "AWS_ENDPOINT_URL": running.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        with mock.patch.dict("os.environ", environment):
            yield running


def copied(progress: Progress | None = None, looks: int = 10**9) -> CopyAnswer:
    """Copy, until the clock has been looked at so often."""
    clock = itertools.count()
    copy = ArtifactCopy(uri=f"s3://{SPOKE_BUCKET}/many/", type="prefix", destination=DESTINATION)
    return copy_artifact(
        CopyRequest(source_arn=PACKAGE, copy_=copy, progress=progress),
        SETTINGS,
        Sessions("aws", REGION, boto3.Session()),
        lambda: 900.0 if next(clock) < looks else 40.0,
        TUNING,
    )


def test_two_requests_an_object_and_a_few_listings_however_often_it_is_cut(server: Running) -> None:
    server.control("fill", bucket=SPOKE_BUCKET, prefix="many/", count=COUNT, size=SIZE)
    answer, rounds = copied(looks=3_000), 1
    while answer.progress:
        assert answer.progress.stopped is None
        answer, rounds = copied(answer.progress, looks=3_000), rounds + 1
    assert rounds > 2
    assert answer.result is not None
    assert (answer.result.objects, answer.result.bytes) == (COUNT, COUNT * SIZE)
    figures = server.control("figures")
    calls = figures["calls"]
    assert figures["objects"][HUB_BUCKET] == COUNT
    assert calls["CopyObject"] == COUNT
    # Those behind the cursor that were finished when the time was up are looked at again, source and copy.
    assert COUNT <= calls["HeadObject"] <= COUNT + 2 * rounds * TUNING.streams
    # In each invocation the source for the sum and for the copy, and the hub; and the last look.
    assert calls["ListObjectsV2"] <= (3 * rounds + 1) * (PAGES + 1)
    again = copied()
    assert again.result == answer.result.model_copy(update={"method": "already there"})
