"""No request of any kind of copy goes to a bucket without naming the account that has to own it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from replicator.steps import ArtifactCopy
from tests.integration.artifact_world import (
    DESTINATION,
    HUB,
    HUB_BUCKET,
    KIB,
    SMALL,
    SPOKE,
    SPOKE_BUCKET,
    World,
)

LARGE = hashlib.shake_256(b"weights").digest(300 * KIB)
OWNERS = {SPOKE_BUCKET: SPOKE, HUB_BUCKET: HUB}
LISTINGS = {"ListObjectsV2"}
SERVER_SIDE = {"HeadObject", "CopyObject", "Uploads", "UploadPartCopy", "CompleteMultipartUpload"}
STREAMED = {
    "HeadObject",
    "GetObject",
    "Tagging",
    "PutObject",
    "Uploads",
    "UploadPart",
    "CompleteMultipartUpload",
}


@pytest.fixture
def aws(aws: World) -> World:
    """Hold a small and a large object, with tags."""
    aws.put("w/small", b"small", Tagging="team=risk")
    aws.put("w/large", LARGE, Tagging="team=risk")
    aws.faults.clear()
    return aws


def assert_owners(aws: World, *asked: set[str]) -> None:
    """Look at the whole log; the calls that the copy is made of have to be in it."""
    log = [request for request in aws.faults.log if request.path != "/"]  # that is STS
    assert {request.operation for request in log} >= set.union(*asked)
    for request in log:
        bucket = request.path.split("/")[1]
        owner = request.headers.get("x-amz-expected-bucket-owner")
        assert owner == OWNERS[bucket], f"{request.operation} of {request.path}"
        if source := request.headers.get("x-amz-copy-source"):
            assert source.lstrip("/").startswith(f"{SPOKE_BUCKET}/")
            assert request.headers["x-amz-source-expected-bucket-owner"] == SPOKE


def test_a_prefix(aws: World) -> None:
    aws.copied(f"s3://{SPOKE_BUCKET}/w/", kind="prefix")
    assert_owners(aws, LISTINGS, SERVER_SIDE, {"Tagging"})


def test_a_prefix_that_is_streamed(aws: World) -> None:
    aws.rules.denied.add((SPOKE_BUCKET, HUB))
    assert aws.copied(f"s3://{SPOKE_BUCKET}/w/", kind="prefix").method == "streamed"
    assert_owners(aws, LISTINGS, STREAMED)


def test_what_is_compared_by_reading_and_what_is_gone_on_with(aws: World) -> None:
    tuning = replace(SMALL, margin=50.0, streams=1)
    left = lambda: 100.0 if aws.faults.count("UploadPartCopy") < 2 else 40.0  # noqa: E731
    progress = aws.copy(f"s3://{SPOKE_BUCKET}/w/large", tuning=tuning, seconds_left=left).progress
    aws.copied(f"s3://{SPOKE_BUCKET}/w/large", progress=progress)
    assert_owners(aws, {"ListParts"})


@pytest.mark.parametrize("body", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("streamed", [False, True], ids=["server side", "streamed"])
def test_the_version_that_was_registered(aws: World, body: bytes, streamed: bool) -> None:
    versioning: Any = {"Status": "Enabled"}
    aws.spoke.put_bucket_versioning(Bucket=SPOKE_BUCKET, VersioningConfiguration=versioning)
    uri = aws.put("model.tar.gz", body)
    etag = aws.spoke.head_object(Bucket=SPOKE_BUCKET, Key="model.tar.gz")["ETag"]
    aws.put("model.tar.gz", b"trained again")
    if streamed:
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    aws.faults.clear()
    assert aws.bytes_at(aws.copied(uri, etag=etag).destination) == body
    aws.faults.log.pop()  # the line before reads the copy
    assert_owners(aws, {"ListObjectVersions", "HeadObject"})


@pytest.mark.parametrize("kind", ["prefix", "object"])
@pytest.mark.parametrize("text", ["s3://{}/w/small", "small"], ids=["rewritten", "to the letter"])
def test_a_manifest(aws: World, kind: Any, text: str) -> None:
    where = "w/" if kind == "prefix" else "w/small"
    base = ArtifactCopy(uri=f"s3://{SPOKE_BUCKET}/{where}", type=kind, destination=DESTINATION)
    uri = aws.put("manifest.csv", text.format(SPOKE_BUCKET).encode())
    aws.faults.clear()
    aws.copied(uri, kind="manifest", base=base)
    assert_owners(aws, {"GetObject", "HeadObject"})
