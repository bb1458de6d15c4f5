"""A copy that is killed, stops at its deadline, or runs twice at the same time."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from local.faults import Fault
from replicator.errors import ErrorCode, PermanentError, RetryableError
from tests.integration.artifact_world import HUB_BUCKET, KIB, SMALL, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.steps import CopyAnswer, Progress

PARTS = 16
BODY = hashlib.shake_256(b"a large model").digest(PARTS * 64 * KIB - 100)
HURRIED = replace(SMALL, streams=4, margin=50.0)


@pytest.mark.parametrize("k", [0, 1, 5, 11, 15])
def test_killed_after_the_kth_part_no_finished_part_is_copied_again(aws: World, k: int) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(Fault(operation="UploadPartCopy", after=k, status=503, code="SlowDown", times=None))
    with nullcontext() if k else pytest.raises(RetryableError):
        assert not aws.copy(uri).done
    aws.faults.clear()
    result = aws.copied(uri)
    assert aws.faults.count("UploadPartCopy") == PARTS - k
    assert aws.bytes_at(result.destination) == BODY
    assert aws.open_uploads() == 0


def test_killed_before_completion_only_completion_is_left(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(Fault(operation="CompleteMultipartUpload", status=503, code="SlowDown", times=None))
    assert not aws.copy(uri).done
    aws.faults.clear()
    result = aws.copied(uri)
    assert aws.faults.count("UploadPartCopy") == 0
    assert aws.bytes_at(result.destination) == BODY


def test_an_answer_to_completion_that_got_lost(aws: World) -> None:
    """The object was made, the connection broke: trying again finds it there."""
    uri = aws.put("model.tar.gz", BODY)
    lost = LostAnswer(aws.faults._app)
    aws.faults._app = lost
    try:
        result = aws.copied(uri)
    finally:
        aws.faults._app = lost.app
    assert lost.lost == 1
    assert aws.bytes_at(result.destination) == BODY
    assert aws.open_uploads() == 0


def test_it_stops_ahead_of_the_deadline_and_goes_on(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    answers = list(rounds(aws, uri, per_round=5))
    assert len(answers) >= 3
    moved = [answer.progress.moved for answer in answers if answer.progress]
    assert moved == sorted(set(moved))
    assert all(answer.progress.total == len(BODY) for answer in answers if answer.progress)
    assert answers[-1].result is not None
    assert aws.bytes_at(answers[-1].result.destination) == BODY
    assert aws.faults.count("UploadPartCopy") == PARTS


def rounds(aws: World, uri: str, per_round: int) -> Iterator[CopyAnswer]:
    progress: Progress | None = None
    while True:
        left = deadline_after(aws, per_round)
        answer = aws.copy(uri, progress=progress, tuning=HURRIED, seconds_left=left)
        yield answer
        if answer.done:
            return
        progress = answer.progress


def deadline_after(aws: World, parts: int) -> Callable[[], float]:
    """Give a clock that has no time left once so many parts have been asked for."""
    before = aws.faults.count("UploadPartCopy")
    return lambda: 100.0 if aws.faults.count("UploadPartCopy") - before < parts else 40.0


def test_an_invocation_without_progress_is_an_error(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    before = aws.copy(uri, tuning=HURRIED, seconds_left=deadline_after(aws, 3)).progress
    assert before is not None
    assert before.moved > 0
    with pytest.raises(PermanentError, match="stands still at") as caught:
        aws.copy(uri, tuning=HURRIED, progress=before, seconds_left=lambda: 40.0)
    assert caught.value.code == ErrorCode.NO_PROGRESS
    assert aws.copied(uri).bytes == len(BODY)  # and a redrive goes on from there


def test_what_is_throttled_goes_on_as_long_as_it_comes_further(aws: World) -> None:
    """More often than the state machine tries again after an error."""
    uri = aws.put("model.tar.gz", BODY)
    progress: Progress | None = None
    for arrived in range(1, PARTS):
        aws.faults.clear()
        aws.faults.add(Fault(operation="UploadPartCopy", after=1, status=503, code="SlowDown", times=None))
        progress = aws.copy(uri, tuning=replace(SMALL, streams=1), progress=progress).progress
        assert progress is not None
        assert progress.moved == arrived * 64 * KIB
        assert progress.stopped is not None
        assert "SlowDown" in progress.stopped
    aws.faults.clear()
    aws.faults.add(Fault(operation="UploadPartCopy", status=503, code="SlowDown", times=None))
    with pytest.raises(RetryableError):
        aws.copy(uri, progress=progress)
    aws.faults.clear()
    assert aws.bytes_at(aws.copied(uri, progress=progress).destination) == BODY


def test_after_nothing_arrived_few_requests_are_in_flight_before_it_is_given_up(aws: World) -> None:
    """The largest parts may have shared the bandwidth until none of them was done in time."""
    uri = aws.put("model.tar.gz", BODY)
    tuning = replace(HURRIED, streams=8, few_streams=2)
    progress = aws.copy(uri, tuning=tuning, seconds_left=lambda: 40.0).progress
    assert progress is not None
    assert progress.streams == 2
    in_flight, most, lock = 0, 0, threading.Lock()

    def count(_: object) -> None:
        nonlocal in_flight, most
        with lock:
            in_flight += 1
            most = max(most, in_flight)
        time.sleep(0.05)
        with lock:
            in_flight -= 1

    aws.faults.add(Fault(operation="UploadPartCopy", hook=count, times=None))
    further = aws.copy(uri, tuning=tuning, progress=progress, seconds_left=deadline_after(aws, 5)).progress
    assert further is not None
    assert (most, further.streams) == (2, 2)
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, tuning=tuning, progress=further, seconds_left=lambda: 40.0)
    assert caught.value.code == ErrorCode.NO_PROGRESS


def test_one_idle_invocation_is_no_end_while_fewer_streams_may_help(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    tuning = replace(HURRIED, streams=8, few_streams=2)
    before = aws.copy(uri, tuning=tuning, seconds_left=deadline_after(aws, 3)).progress
    idle = aws.copy(uri, tuning=tuning, progress=before, seconds_left=lambda: 40.0).progress
    assert before is not None
    assert idle is not None
    assert (before.streams, idle.streams) == (None, 2)


def test_an_upload_of_another_plan_is_not_gone_on_with(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.copy(uri, tuning=replace(HURRIED, part_size=50 * KIB), seconds_left=deadline_after(aws, 3))
    assert aws.open_uploads() == 1
    result = aws.copied(uri)
    assert aws.bytes_at(result.destination) == BODY
    assert aws.open_uploads() == 0


def test_a_changed_source_aborts_the_upload_of_what_was_registered(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    etag = hashlib.md5(BODY).hexdigest()  # noqa: S324 - the ETag of S3
    stopped = aws.copy(uri, etag=etag, tuning=HURRIED, seconds_left=deadline_after(aws, 3))
    assert not stopped.done
    assert aws.open_uploads() == 1
    aws.put("model.tar.gz", b"trained again")
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, etag=etag, progress=stopped.progress)
    assert caught.value.code == ErrorCode.SOURCE_CHANGED
    assert aws.open_uploads() == 0
    assert aws.listed() == []


def test_two_runs_at_the_same_time_make_one_right_object(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    with ThreadPoolExecutor(2) as two:
        results = [future.result() for future in [two.submit(patient, aws, uri) for _ in range(2)]]
    assert results[0] == results[1]
    assert aws.bytes_at(f"s3://{HUB_BUCKET}/{aws.listed()[0]}") == BODY
    assert len(aws.listed()) == 1


def patient(aws: World, uri: str) -> str:
    """Copy, and again when another run was in the way, as the state machine does."""
    for _ in range(5):
        with suppress(RetryableError):
            if result := aws.copy(uri).result:
                return result.destination
    raise AssertionError("never came through")


@pytest.mark.parametrize("size", [1000, len(BODY)], ids=["small", "large"])
def test_another_run_that_was_first_is_found_and_compared(aws: World, size: int) -> None:
    """The other run finishes just before this one does: S3 answers 412 to IfNoneMatch."""
    uri = aws.put("model.tar.gz", BODY[:size])
    operation = "CopyObject" if size < len(BODY) else "CompleteMultipartUpload"
    inner = threading.Lock()

    def overtake(_: object) -> None:
        if inner.acquire(blocking=False):
            aws.faults._faults.clear()
            aws.copied(uri, tuning=replace(SMALL, part_size=50 * KIB))  # an upload of its own

    aws.faults.add(Fault(operation=operation, hook=overtake))
    result = aws.copied(uri)
    assert (result.verified, result.method) == ("CRC64NVME", "already there")
    assert aws.bytes_at(result.destination) == BODY[:size]
    assert aws.open_uploads() == 0


def test_an_upload_that_the_sweep_aborted_is_begun_again_by_the_next_try(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)

    def sweep(_: object) -> None:
        for upload in aws.hub.list_multipart_uploads(Bucket=HUB_BUCKET).get("Uploads", []):
            aws.hub.abort_multipart_upload(Bucket=HUB_BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])

    aws.faults.add(Fault(operation="UploadPartCopy", after=4, hook=sweep))
    progress = aws.copy(uri).progress
    assert progress is not None
    assert progress.stopped is not None
    assert "another run ended the upload" in progress.stopped
    assert aws.bytes_at(aws.copied(uri).destination) == BODY


class LostAnswer:
    """Lets a CompleteMultipartUpload happen and answers 500 instead of its success, once."""

    def __init__(self, app: object) -> None:
        self.app = app
        self.lost = 0

    def __call__(self, environ: dict[str, str], start_response: object) -> object:
        completes = environ["REQUEST_METHOD"] == "POST" and "uploadId" in environ["QUERY_STRING"]
        if completes and not self.lost:
            self.lost += 1
            list(self.app(environ, lambda *_: None))  # type: ignore[operator]
            start_response("500 Fault", [("Content-Length", "0")])  # type: ignore[operator]
            return []
        return self.app(environ, start_response)  # type: ignore[operator]
