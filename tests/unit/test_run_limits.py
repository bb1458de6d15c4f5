"""A run of any size fits into what Step Functions allows: bytes of a state, events of a history."""

from __future__ import annotations

import json
from heapq import heappop, heappush

import pytest

from replicator.aws.artifact_facts import Tuning
from replicator.aws.artifact_pool import _LAST_MOMENT
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import ModelPackageArn
from replicator.parts import plan_parts
from replicator.refusals import LARGEST_STATE, bytes_in_state, refuse_too_many_copies
from replicator.steps import Action, ArtifactCopy, CopyResult, ImageCopy, PlanAnswer, RegisterRequest

ARN = ModelPackageArn.parse("arn:aws:sagemaker:eu-west-1:222222222222:model-package/" + "g" * 63 + "/3")
DESTINATION = f"models/222222222222/{'g' * 63}/99999/"
TERABYTE = 10**12
EVENTS_OF_A_ROUND = 11
"""WhichCopy 2, CopyArtifact 5 (entered, scheduled, started, succeeded, exited), IsCopied 2, GoOn 2."""


def artifact(number: int, length: int, character: str = "k") -> ArtifactCopy:
    start = f"s3://{'b' * 63}/{number:06}"
    return ArtifactCopy(
        uri=start + character * (length - len(start)), type="object", etag="e" * 40, destination=DESTINATION
    )


def result_of(copy: ArtifactCopy) -> CopyResult:
    """Give a result as long as one can be: the whole name, and a version id as long as they are."""
    name = copy.uri.rpartition("/")[2]
    return CopyResult(
        kind="artifact",
        uri=copy.uri,
        destination=f"s3://{'h' * 63}/{copy.destination}{'f' * 16}/{name}",
        bytes=50 * TERABYTE,
        objects=10**6,
        pin="v" * 128,
        checksum=f"SHA-256:{'c' * 64}",
        verified="CRC64NVME, MD5 of every part, SHA-256 by reading both, size and pinned parts",
        method="server-side, streamed",
    )


def filled(length: int, character: str) -> list[ArtifactCopy]:
    """Give as many copies as are let through."""
    copies: list[ArtifactCopy] = []
    while True:
        copies.append(artifact(len(copies), length, character))
        try:
            refuse_too_many_copies(ARN, copies)
        except PermanentError:
            return copies[:-1]


@pytest.mark.parametrize("length", [90, 200, 1024])
@pytest.mark.parametrize("character", ["k", "ü", '"'])
def test_what_is_let_through_fits_with_all_its_results(length: int, character: str) -> None:
    copies = filled(length, character)
    plan = PlanAnswer(
        action=Action.MIRROR, reason="r" * 500, wanted=1, fingerprint="f" * 64, copies=list(copies)
    )
    state = RegisterRequest(
        source_arn=str(ARN), attempt=99, plan=plan, results=[result_of(copy) for copy in copies]
    )
    assert len(json.dumps(state.model_dump(mode="json"))) + 32_768 < LARGEST_STATE
    assert len(copies) >= 9


def test_what_ordinary_packages_hold_is_let_through() -> None:
    """15 containers, each with an image, model data, its source and 5 more; beside them 20 reports."""
    images = [
        ImageCopy(uri=f"222222222222.dkr.ecr.eu-west-1.amazonaws.com/{n}:1", repository="r")
        for n in range(15)
    ]
    refuse_too_many_copies(ARN, [*images, *(artifact(n, 110) for n in range(15 * 7))])


def test_more_than_that_is_refused_with_what_to_do() -> None:
    # The model of the API allows 15 containers of 100 variables with a location of 1,024 characters each.
    with pytest.raises(PermanentError, match=r"1500 locations.*fewer or shorter") as caught:
        refuse_too_many_copies(ARN, [artifact(n, 1024) for n in range(1500)])
    assert caught.value.code == ErrorCode.LIMIT_EXCEEDED


def test_a_manifest_counts_with_the_location_beside_it() -> None:
    base = artifact(1, 500)
    manifest = base.model_copy(update={"type": "manifest", "base": artifact(2, 900)})
    assert bytes_in_state(manifest) > bytes_in_state(base) + 900


DEADLINE, RUN = 900, 259_200
"""Seconds that an invocation has, and a run."""
STREAM = 80e6
"""Bytes a second that S3 copies in one request, however few there are."""


def bytes_of_parts(size: int) -> list[int]:
    plan = plan_parts(size, Tuning().part_size)
    return [plan.part(number).size for number in range(1, plan.count + 1)]


def parts_done(left: list[int], rate: float, streams: int) -> int:
    """Give how many parts an invocation finishes, as `replicator.aws.artifact_pool.run` goes about it.

    What is in flight shares the rate. New parts are begun until the margin, and waited for until the last moment.
    """
    now, each, begun, done = (
        0.0,
        0.0,
        0,
        0,
    )  # ``each``: bytes that a stream has carried that was there all the time
    ends: list[float] = []
    while True:
        while len(ends) < streams and now < DEADLINE - Tuning().margin and begun < len(left):
            heappush(ends, each + left[begun])
            begun += 1
        if not ends:
            return done
        now += (ends[0] - each) * len(ends) / min(rate, STREAM * len(ends))
        if now > DEADLINE - _LAST_MOMENT:
            return done
        each = heappop(ends)
        done += 1


def invocations(size: int, rate: float) -> int:
    """Give how many a copy takes; fails when it would be given up."""
    left, streams, rounds = bytes_of_parts(size), Tuning().streams, 0
    while left:
        done = parts_done(left, rate, streams)
        assert done or streams > Tuning().few_streams, "NO_PROGRESS"
        left, rounds = left[done:], rounds + 1
        streams = streams if done else Tuning().few_streams
    return rounds


@pytest.mark.parametrize("rate", [250e6, 64 * 80e6], ids=["one slow copy", "64 streams of 80 MB/s"])
def test_fifty_terabytes_take_few_events_and_less_time_than_a_run_has(rate: float) -> None:
    rounds = invocations(50 * TERABYTE, rate)
    assert rounds * EVENTS_OF_A_ROUND < 25_000 / 5
    assert rounds * DEADLINE < RUN


@pytest.mark.parametrize("terabytes", [1, 10, 32, 40, 50])
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.85])
def test_what_can_be_copied_in_the_time_of_a_run_is_not_given_up(terabytes: float, share: float) -> None:
    """Though all its parts share a rate with which it takes most of three days."""
    size = int(terabytes * TERABYTE)
    assert invocations(size, size / (share * RUN)) * DEADLINE < RUN


def test_with_all_streams_at_a_low_rate_no_part_of_the_largest_object_is_done_in_time() -> None:
    """So there have to be fewer."""
    left = bytes_of_parts(50 * TERABYTE)
    assert parts_done(left, 250e6, Tuning().streams) == 0
    assert parts_done(left, 250e6, Tuning().few_streams) > Tuning().few_streams
