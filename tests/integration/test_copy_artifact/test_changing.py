"""A prefix that changes while it is copied, and longer than one answer of S3: wholly one state, or refused."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from local.faults import Fault
from replicator.errors import ErrorCode, PermanentError
from tests.integration.artifact_world import HUB_BUCKET, SMALL, SPOKE_BUCKET, World

COUNT = 24
URI = f"s3://{SPOKE_BUCKET}/many/"
SLOW = replace(SMALL, streams=2)
FIRST_LISTING = 4
"""Answers of S3, of seven objects each, with all of them."""


@pytest.fixture
def aws(aws: World, monkeypatch: pytest.MonkeyPatch) -> World:
    aws.rules.longest_page = 7
    monkeypatch.setattr("replicator.aws.artifact_listing.PAGE", 7)
    for number in range(COUNT):
        aws.put(f"many/{number:03}", b"%02d" % number)
    aws.faults.clear()
    return aws


def in_the_hub(aws: World) -> list[str]:
    return [key.rpartition("/")[2] for key in aws.listed()]


def test_overwritten_after_it_was_summed_up_and_put_back_before_the_last_look(aws: World) -> None:
    """The sum at the end is that of the beginning, and still other bytes might have been copied."""
    aws.faults.add(
        Fault(
            operation="ListObjectsV2",
            path=SPOKE_BUCKET,
            after=FIRST_LISTING,
            hook=lambda _: aws.put_again("many/005", b"XX"),
        )
    )
    aws.faults.add(
        Fault(operation="CopyObject", path="/020", hook=lambda _: aws.put_again("many/005", b"05"))
    )
    with pytest.raises(PermanentError) as caught:
        aws.copy(URI, kind="prefix", tuning=SLOW)
    assert caught.value.code is ErrorCode.SOURCE_CHANGED
    assert in_the_hub(aws) == []


def test_a_file_that_was_there_for_a_moment_is_not_part_of_the_mirror(aws: World) -> None:
    aws.faults.add(
        Fault(
            operation="ListObjectsV2",
            path=SPOKE_BUCKET,
            after=FIRST_LISTING,
            hook=lambda _: aws.put_again("many/005.tmp", b"a stray"),
        )
    )
    with pytest.raises(PermanentError) as caught:
        aws.copy(URI, kind="prefix", tuning=SLOW)
    assert caught.value.code is ErrorCode.SOURCE_CHANGED
    aws.faults.clear()
    aws.spoke.delete_object(Bucket=SPOKE_BUCKET, Key="many/005.tmp")
    assert aws.copied(URI, kind="prefix", tuning=SLOW).objects == COUNT
    assert in_the_hub(aws) == [f"{number:03}" for number in range(COUNT)]


@pytest.mark.parametrize("stray", ["", "005.tmp", "999"])
def test_what_is_the_copy_of_nothing_is_named_and_not_mirrored(aws: World, stray: str) -> None:
    root = aws.copied(URI, kind="prefix").destination.removeprefix(f"s3://{HUB_BUCKET}/")
    aws.hub.put_object(Bucket=HUB_BUCKET, Key=root + stray, Body=b"of somebody else")
    with pytest.raises(PermanentError, match=f"s3://{HUB_BUCKET}/{root}{stray} lies among") as caught:
        aws.copy(URI, kind="prefix")
    assert caught.value.code is ErrorCode.HUB_REFUSED


@pytest.mark.parametrize("answer", [1, FIRST_LISTING + 1, 2 * FIRST_LISTING + 1])
def test_a_listing_that_stalls_does_not_hold_up_the_answer(aws: World, answer: int) -> None:
    """Whether for the sum, the copy or the last look: what is done is told in time."""
    released = threading.Event()
    aws.faults.add(
        Fault(
            operation="ListObjectsV2",
            path=SPOKE_BUCKET,
            after=answer,
            hook=lambda _: (released.wait(30), None)[1],
        )
    )
    ends = time.monotonic() + 8
    said = aws.copy(
        URI, kind="prefix", tuning=replace(SLOW, margin=1), seconds_left=lambda: ends - time.monotonic()
    )
    assert not said.done
    assert time.monotonic() < ends
    released.set()
    aws.faults.clear()
    assert aws.copied(URI, kind="prefix", progress=said.progress).objects == COUNT
