"""A prefix that takes several invocations: none looks again at what another has finished."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.faults import Fault
from replicator.errors import ErrorCode, PermanentError
from replicator.steps import CopyResult, Progress
from tests.integration.artifact_world import KIB, SMALL, SPOKE_BUCKET, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.faults import LoggedRequest
    from replicator.aws.artifact_facts import Tuning

COUNT = 24
URI = f"s3://{SPOKE_BUCKET}/many/"
LARGE = hashlib.shake_256(b"weights").digest(300 * KIB)
"""Five parts."""
REQUESTS = COUNT + 2 * 5
HURRIED = replace(SMALL, margin=50.0, streams=4)


@pytest.fixture(params=["one page", "many pages"])
def aws(aws: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """Hold 24 small objects and two large ones, which S3 lists at once or seven at a time."""
    if request.param == "many pages":
        aws.rules.longest_page = 7
        monkeypatch.setattr("replicator.aws.artifact_listing.PAGE", 7)
    for number in range(COUNT):
        aws.put(f"many/{number:03}", b"%02d" % number)
    aws.put("many/007.large", LARGE)
    aws.put("many/ü/large + %2F", LARGE)
    aws.faults.clear()
    return aws


def until(aws: World, requests: int) -> Callable[[], float]:
    """Give a clock that has no time left once so many objects and parts have been asked for."""
    before = arrived(aws)
    return lambda: 100.0 if arrived(aws) - before < requests else 40.0


def arrived(aws: World) -> int:
    return aws.faults.count("CopyObject") + aws.faults.count("UploadPartCopy")


def in_rounds(
    aws: World, requests: int, tuning: Tuning = HURRIED, marks: list[int] | None = None
) -> tuple[CopyResult, list[Progress]]:
    """Copy as the state machine does, each invocation with time for so many requests.

    After each, the length of the server's log is added to ``marks``.
    """
    said: list[Progress] = []
    while True:
        answer = aws.copy(
            URI,
            kind="prefix",
            progress=said[-1] if said else None,
            seconds_left=until(aws, requests),
            tuning=tuning,
        )
        if answer.result:
            return answer.result, said
        assert answer.progress is not None
        said.append(Progress.model_validate_json(answer.progress.model_dump_json()))
        if marks is not None:
            marks.append(len(aws.faults.log))


EXPECTED = {
    **{f"{number:03}": b"%02d" % number for number in range(COUNT)},
    "007.large": LARGE,
    "ü/large + %2F": LARGE,
}


@pytest.mark.parametrize("requests", [3, 10, 25])
def test_a_cut_after_any_number_of_requests_is_gone_on_with(aws: World, requests: int) -> None:
    marks: list[int] = []
    result, said = in_rounds(aws, requests, marks=marks)
    assert aws.copies(result.destination) == EXPECTED
    assert (result.objects, result.bytes) == (len(EXPECTED), sum(map(len, EXPECTED.values())))
    assert arrived(aws) == REQUESTS
    for mark, progress in zip(marks, said, strict=True):
        assert progress.cursor is not None
        later = [
            r.path for r in aws.faults.log[mark:] if r.operation == "HeadObject" and SPOKE_BUCKET in r.path
        ]
        assert all(path > f"/{SPOKE_BUCKET}/{progress.cursor.after}" for path in later)
    cursors = [progress.cursor for progress in said if progress.cursor]
    assert [c.after for c in cursors] == sorted(c.after for c in cursors)
    assert {progress.total for progress in said} == {result.bytes}
    assert aws.open_uploads() == 0


def test_the_checksum_is_a_chain_over_the_keys_in_order_however_it_was_cut(aws: World) -> None:
    cut, _ = in_rounds(aws, 7)
    chain = b""
    for key, body in sorted(EXPECTED.items()):
        head = aws.spoke.head_object(Bucket=SPOKE_BUCKET, Key=f"many/{key}", ChecksumMode="ENABLED")
        link = f"{key}\0{len(body)}\0CRC64NVME:{head['ChecksumCRC64NVME']}\0"
        chain = hashlib.sha256(chain + link.encode()).digest()
    assert cut.checksum == f"SHA-256:{chain.hex()}"
    whole = aws.copied(URI, kind="prefix")
    assert whole.model_copy(update={"method": cut.method}) == cut


def test_the_same_progress_again_comes_to_the_same(aws: World) -> None:
    """An invocation that fell over is called again with what it was given."""
    first = aws.copy(URI, kind="prefix", seconds_left=until(aws, 5), tuning=HURRIED).progress
    aws.copy(URI, kind="prefix", progress=first, seconds_left=until(aws, 20), tuning=HURRIED)
    result = aws.copied(URI, kind="prefix", progress=first)
    assert aws.copies(result.destination) == EXPECTED
    assert result.checksum == aws.copied(URI, kind="prefix").checksum
    assert arrived(aws) == REQUESTS


def test_the_progress_of_an_older_release_is_understood(aws: World) -> None:
    aws.copy(URI, kind="prefix", seconds_left=until(aws, 20), tuning=HURRIED)
    older = Progress.model_validate({"moved": 10**6, "total": 10**6 + 1, "objects": 41})
    answer = aws.copy(URI, kind="prefix", progress=older, seconds_left=until(aws, 3), tuning=HURRIED)
    assert not answer.done
    assert aws.copied(URI, kind="prefix", progress=answer.progress).objects == len(EXPECTED)


@pytest.mark.parametrize("change", ["written", "deleted", "added"])
@pytest.mark.parametrize("key", ["000", "023"], ids=["finished", "to come"])
def test_a_change_between_two_invocations_is_seen_by_the_next(aws: World, change: str, key: str) -> None:
    progress = aws.copy(URI, kind="prefix", seconds_left=until(aws, 12), tuning=HURRIED).progress
    assert progress is not None
    assert progress.cursor is not None
    assert "many/000" <= progress.cursor.after < "many/023"
    assert aws.open_uploads() == 1
    if change == "deleted":
        aws.spoke.delete_object(Bucket=SPOKE_BUCKET, Key=f"many/{key}")
    else:
        aws.put(f"many/{key}{'+' if change == 'added' else ''}", b"changed")
    before = arrived(aws)
    with pytest.raises(PermanentError) as caught:
        aws.copy(URI, kind="prefix", progress=progress)
    assert caught.value.code == ErrorCode.SOURCE_CHANGED
    assert arrived(aws) == before
    assert aws.open_uploads() == 0


def test_no_time_for_the_last_look_leaves_only_that_for_the_next_invocation(aws: World) -> None:
    left = lambda: 100.0 if aws.faults.count("CompleteMultipartUpload") < 2 else 40.0  # noqa: E731
    answer = aws.copy(URI, kind="prefix", seconds_left=left, tuning=HURRIED)
    assert not answer.done
    aws.faults.clear()
    assert aws.copied(URI, kind="prefix", progress=answer.progress).objects == len(EXPECTED)
    assert {r.operation for r in aws.faults.log if r.path != "/"} == {"ListObjectsV2"}


def test_no_time_to_list_is_no_progress_the_second_time(aws: World) -> None:
    answer = aws.copy(URI, kind="prefix", seconds_left=lambda: 40.0, tuning=HURRIED)
    with pytest.raises(PermanentError) as caught:
        aws.copy(URI, kind="prefix", progress=answer.progress, seconds_left=lambda: 40.0, tuning=HURRIED)
    assert caught.value.code == ErrorCode.NO_PROGRESS


def test_what_is_throttled_goes_on_after_the_cursor(aws: World) -> None:
    said: Progress | None = None
    for _ in range(10):  # more than the tries of the state machine
        aws.faults.clear()
        aws.faults.add(Fault(operation="CopyObject", after=2, status=503, code="SlowDown", times=None))
        before = said
        said = aws.copy(URI, kind="prefix", progress=before, tuning=replace(SMALL, streams=1)).progress
        assert said is not None
        assert said.cursor is not None
        assert said.stopped is not None
        assert said.cursor.after > (before.cursor.after if before and before.cursor else "")
    aws.faults.clear()
    result = aws.copied(URI, kind="prefix", progress=said)
    assert aws.copies(result.destination) == EXPECTED
    assert result.checksum == aws.copied(URI, kind="prefix").checksum


def test_a_slow_object_holds_up_no_more_than_the_window(aws: World) -> None:
    """The others go on while it takes its time, until so many are finished that memory would grow."""
    window, released = 12, threading.Event()
    begun: set[str] = set()
    meanwhile: list[int] = []

    def hold(_: LoggedRequest) -> None:
        released.wait(60)
        meanwhile.append(len(begun))

    def note(request: LoggedRequest) -> None:
        begun.add(request.path)
        if len(begun) == window:
            threading.Timer(0.5, released.set).start()

    aws.faults.add(Fault(operation="CopyObject", path="/000[?]", hook=hold))
    aws.faults.add(Fault(operation="HeadObject", path=f"{SPOKE_BUCKET}/many/", times=None, hook=note))
    result = aws.copied(URI, kind="prefix", tuning=replace(SMALL, window=window))
    assert meanwhile == [window]
    assert aws.copies(result.destination) == EXPECTED
