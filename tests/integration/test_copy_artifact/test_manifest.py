"""Copying a manifest: to the letter, or rewritten where it names the location beside it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.steps import ArtifactCopy
from tests.integration.artifact_world import (
    DESTINATION,
    HUB_BUCKET,
    SMALL,
    SPOKE_BUCKET,
    World,
)

BASE = ArtifactCopy(uri=f"s3://{SPOKE_BUCKET}/w/", type="prefix", destination=DESTINATION)


@pytest.fixture
def aws(aws: World) -> World:
    aws.put("w/one.bin", b"one")
    aws.put("w/d/two.bin", b"two")
    return aws


def test_what_a_manifest_lists_is_where_the_mirrored_prefix_is(aws: World) -> None:
    text = f"s3://{SPOKE_BUCKET}/w/one.bin,3\ns3://{SPOKE_BUCKET}/w/d/two.bin,3\n"
    uri = aws.put("manifest.csv", text.encode(), ContentType="text/csv")
    result = aws.copied(uri, kind="manifest", base=BASE)
    prefix = aws.copied(BASE.uri, kind="prefix").destination
    rewritten = aws.bytes_at(result.destination).decode()
    assert rewritten == f"{prefix}one.bin,3\n{prefix}d/two.bin,3\n"
    assert [aws.bytes_at(line.partition(",")[0]) for line in rewritten.splitlines()] == [b"one", b"two"]
    assert (result.method, result.destination.rpartition("/")[2]) == ("rewritten", "manifest.csv")
    (written,) = (
        request
        for request in aws.faults.log
        if request.operation == "PutObject" and request.path.startswith(f"/{HUB_BUCKET}/")
    )
    md5 = hashlib.md5(rewritten.encode()).digest()  # noqa: S324 - as S3 wants it
    assert written.headers["content-md5"] == base64.b64encode(md5).decode()
    assert result.base == prefix
    assert aws.copied(uri, kind="manifest", base=BASE) == result


def test_a_manifest_of_names_is_copied_to_the_letter(aws: World) -> None:
    uri = aws.put("manifest.csv", b"one.bin,3\nd/two.bin,3\n")
    result = aws.copied(uri, kind="manifest", base=BASE)
    assert result.verified == "CRC64NVME"
    assert aws.bytes_at(result.destination) == b"one.bin,3\nd/two.bin,3\n"


@pytest.mark.parametrize("below", ["w", "my w/", "w,1/"])
def test_a_base_may_lack_its_slash_or_have_a_space_or_a_comma(aws: World, below: str) -> None:
    base = BASE.model_copy(update={"uri": f"s3://{SPOKE_BUCKET}/{below}"})
    key = f"{below.rstrip('/')}/one.bin"
    aws.put(key, b"one")
    uri = aws.put("manifest.csv", f"s3://{SPOKE_BUCKET}/{key},3\n".encode())
    result = aws.copied(uri, kind="manifest", base=base)
    prefix = aws.copied(base.uri, kind="prefix").destination
    assert (aws.bytes_at(result.destination).decode(), result.base) == (f"{prefix}one.bin,3\n", prefix)


def test_another_manifest_or_other_contents_never_write_over_a_copy(aws: World) -> None:
    text = f"s3://{SPOKE_BUCKET}/w/one.bin\n".encode()
    first = aws.copied(aws.put("manifest.csv", text), kind="manifest", base=BASE)
    aws.put("w/three.bin", b"three")
    second = aws.copied(f"s3://{SPOKE_BUCKET}/manifest.csv", kind="manifest", base=BASE)
    assert first.destination != second.destination


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"s3://elsewhere/x.bin", "s3://elsewhere/x.bin"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_refused(aws: World, body: bytes, said: str) -> None:
    uri = aws.put("manifest.csv", body)
    with pytest.raises(PermanentError, match=said) as caught:
        aws.copy(uri, kind="manifest", base=BASE)
    assert caught.value.code is ErrorCode.INVALID_LOCATION
    assert aws.listed() == []


def test_a_location_beside_it_that_cannot_be_listed_in_time_is_no_end_the_first_time(aws: World) -> None:
    uri = aws.put("manifest.csv", f"s3://{SPOKE_BUCKET}/w/one.bin\n".encode())
    tuning = replace(SMALL, margin=50.0, streams=4)
    answer = aws.copy(uri, kind="manifest", base=BASE, tuning=tuning, seconds_left=lambda: 40.0)
    assert not answer.done
    with pytest.raises(PermanentError) as caught:
        aws.copy(
            uri,
            kind="manifest",
            base=BASE,
            tuning=tuning,
            progress=answer.progress,
            seconds_left=lambda: 40.0,
        )
    assert caught.value.code is ErrorCode.NO_PROGRESS
