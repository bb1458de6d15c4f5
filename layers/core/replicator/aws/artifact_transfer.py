"""Copies one object after the other's request: which calls, in which order, and what their answers mean.

Each object goes ``begin`` -> one request, or parts and their completion -> compared. Server side is tried
first; where S3 does not let the hub's copy role read, the same object goes through the function.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Never

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_calls import Archived, Conflict, Denied, Missing, S3Answer, Unmet
from replicator.aws.artifact_facts import (
    MULTIPART_ALGORITHMS,
    ObjectFacts,
    Tuning,
    algorithm_for,
    may_be_copy,
    pinned_by,
    streamed_algorithm_for,
)
from replicator.aws.artifact_tally import (
    ALREADY_THERE,
    SERVER_SIDE,
    STREAMED,
    Budget,
    Countdown,
    Item,
    Tally,
)
from replicator.aws.artifact_uploads import Upload, UploadGoneError, Uploads
from replicator.aws.artifact_verify import Verifier
from replicator.errors import KMS, ErrorCode, ReplicationError, RetryableError
from replicator.parts import PartPlan, TooLargeError, plan_parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.aws.artifact_hub import Hub
    from replicator.aws.artifact_pool import Job
    from replicator.aws.artifact_source import Source
    from replicator.parts import Part

_READ_ATTEMPTS = 3


@dataclass
class _Running:
    """A multipart upload that threads are working on."""

    item: Item
    source: ObjectFacts
    plan: PartPlan
    upload: Upload
    method: str
    countdown: Countdown
    again: bool
    """Whether another upload of the same object met a conflict in this invocation."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    denied: bool = False
    gone: bool = False


class Transfer:
    """Makes the jobs of a copy.

    Parameters
    ----------
    prefix
        Key prefix in the hub under which every copy of this transfer lies, for finding open uploads.
    """

    def __init__(self, source: Source, hub: Hub, tuning: Tuning, tally: Tally, prefix: str) -> None:
        self._source = source
        self._hub = hub
        self._uploads = Uploads(hub)
        self._verifier = Verifier(source, hub, tuning, tally)
        self._tuning = tuning
        self._tally = tally
        self._prefix = prefix
        self._memory = Budget(tuning.streamed_memory)
        self._lock = threading.Lock()
        self._listed: dict[str, list[str]] | None = None

    def begin(self, item: Item) -> Iterable[Job] | None:
        """Look at source and destination of one object and start what is to be done."""
        source = item.found or self._source.head(item.key, item.etag)
        copy = item.copy or (self._hub.head(item.destination) if item.present else None)
        if copy:
            return self._take(item, source, copy)
        if not source.direct:
            return self._stream(item, source)
        if source.size <= self._single_copy_limit(source):
            return self._copy(item, source)
        return self._parts(item, source, SERVER_SIDE)

    def _take(self, item: Item, source: ObjectFacts, copy: ObjectFacts) -> Iterable[Job] | None:
        """Compare what is there already. It is never overwritten: a mirror that was approved may name it."""
        if may_be_copy(source, copy, self._tuning.read_limit):
            return self._verifier.verify(item, source, copy.checksums, ALREADY_THERE, pinned_by(source, copy))
        raise refusals.taken(self._source.uri(item.key), self._hub.uri(item.destination))

    def _single_copy_limit(self, source: ObjectFacts) -> int:
        only_whole = source.checksums and algorithm_for(source) not in MULTIPART_ALGORITHMS
        return self._tuning.largest_single_copy if only_whole else self._tuning.single_copy

    def _copy(self, item: Item, source: ObjectFacts) -> Iterable[Job] | None:
        pinned = self._source.copy_source(source)
        try:
            copied = self._hub.copy(source, pinned, item.destination)
        except Denied:
            return self._stream(item, source)
        except Unmet as answer:
            return self._settle(item, source, answer)
        except Conflict as answer:
            raise self._overtaken(item, answer) from answer
        except S3Answer as answer:
            self._judge(item, source, answer)
        self._tally.add(source.size)
        return self._verifier.verify(item, source, copied, SERVER_SIDE)

    def _stream(self, item: Item, source: ObjectFacts) -> Iterable[Job] | None:
        if source.size > self._tuning.streamed_part_size:
            return self._parts(item, source, STREAMED)
        with self._memory.hold(source.size):
            body = self._read(source, None)
            tags = self._source.tags(source)
            try:
                copied = self._hub.put(source, body, item.destination, tags)
            except Unmet as answer:
                return self._settle(item, source, answer)
            except Conflict as answer:
                raise self._overtaken(item, answer) from answer
            except S3Answer as answer:
                self._verifier.judge_writing(item, answer)
        self._tally.add(source.size)
        return self._verifier.verify(item, source, copied, STREAMED)

    def _read(self, source: ObjectFacts, part: Part | None) -> bytearray:
        """Read a range with the spoke's role. A body that breaks off is not tried again by botocore."""
        size = part.size if part else source.size
        attempt = 1
        while True:
            body = bytearray()
            try:
                for chunk in self._source.read(source, part):
                    body += chunk
                if len(body) == size:
                    return body
                raise RetryableError(
                    ErrorCode.SERVICE_UNAVAILABLE,
                    f"{self._source.uri(source.key)} broke off after {len(body)} of {size} bytes",
                )
            except RetryableError:
                if attempt == _READ_ATTEMPTS:
                    raise
                attempt += 1

    def _parts(
        self, item: Item, source: ObjectFacts, method: str, *, again: bool = False
    ) -> Iterable[Job] | None:
        plan = self._plan(source, method)
        streamed = method == STREAMED
        algorithm = (
            streamed_algorithm_for(source) if streamed else algorithm_for(source, MULTIPART_ALGORITHMS)
        )
        upload = self._open(item, source, plan, algorithm)
        there = frozenset(upload.parts)
        self._tally.found(sum(plan.part(number).size for number in there))
        left = plan.count - len(there)
        running = _Running(item, source, plan, upload, method, Countdown(left), again)
        if not left:
            return self._complete(running)
        return (partial(self._part, running, part) for part in plan if part.number not in there)

    def _plan(self, source: ObjectFacts, method: str) -> PartPlan:
        preferred = self._tuning.streamed_part_size if method == STREAMED else self._tuning.part_size
        try:
            plan = plan_parts(source.size, preferred, self._tuning.limits)
        except TooLargeError as error:
            raise refusals.too_large(self._source.uri(source.key), str(error)) from error
        if method == STREAMED and plan.part_size > self._tuning.streamed_memory:
            largest = self._tuning.streamed_memory * self._tuning.limits.count
            raise refusals.too_large_to_stream(self._source.uri(source.key), largest)
        return plan

    def _open(self, item: Item, source: ObjectFacts, plan: PartPlan, algorithm: str | None) -> Upload:
        """Go on with the upload that has the most parts of this plan, or begin one."""
        best: Upload | None = None
        for upload_id in self.open_uploads(item.destination):
            parts = self._uploads.parts(upload_id, item.destination, plan, algorithm)
            if parts is not None and (best is None or len(parts) > len(best.parts)):
                best = Upload(item.destination, upload_id, algorithm, parts)
        if best:
            return best
        tags = self._source.tags(source)
        upload = self._uploads.create(source, item.destination, tags, algorithm)
        with self._lock:
            self._known().setdefault(item.destination, []).append(upload.id)
        return upload

    def open_uploads(self, key: str) -> list[str]:
        """Give the uploads for exactly this key that were open at the start, and our own."""
        with self._lock:
            return list(self._known().get(key, ()))

    def _known(self) -> dict[str, list[str]]:
        if self._listed is None:
            self._listed = self._uploads.open(self._prefix)
        return self._listed

    def _part(self, running: _Running, part: Part) -> Iterable[Job] | None:
        if not (running.denied or running.gone):
            try:
                etag = self._move(running, part)
            except Denied:
                running.denied = True
            except UploadGoneError:
                running.gone = True
            except S3Answer as answer:
                self._judge(running.item, running.source, answer)
            else:
                with running.lock:
                    running.upload.parts[part.number] = etag
                self._tally.add(part.size)
        return [partial(self._complete, running)] if running.countdown.is_last() else None

    def _move(self, running: _Running, part: Part) -> str:
        if running.method == SERVER_SIDE:
            return self._uploads.copy(running.upload, part, self._source.copy_source(running.source))
        with self._memory.hold(part.size):
            return self._uploads.put(running.upload, part, self._read(running.source, part))

    def _complete(self, running: _Running) -> Iterable[Job] | None:
        item, upload = running.item, running.upload
        if running.denied:
            self._uploads.abort(item.destination, upload.id)
            self._forget(item.destination, upload.id)
            return self._stream(item, running.source)
        try:
            if running.gone:
                raise UploadGoneError("a part was refused")
            copied = self._uploads.complete(upload, running.source)
        except (UploadGoneError, Unmet) as answer:
            return self._settle(item, running.source, answer)
        except Conflict as answer:
            return self._begin_anew(running, answer)
        except S3Answer as answer:
            if answer.code == "InvalidPart":
                raise RetryableError(
                    ErrorCode.SERVICE_UNAVAILABLE,
                    f"another run wrote a part of {self._hub.uri(item.destination)} at the same time",
                ) from answer
            self._verifier.judge_writing(item, answer)
        self._forget(item.destination, upload.id)
        self.abandon(item.destination)
        return self._verifier.verify(item, running.source, copied, running.method)

    def _settle(self, item: Item, source: ObjectFacts, answer: Exception) -> Iterable[Job] | None:
        """Find out what a refusal meant: another run was first, or the source has changed."""
        copy = self._hub.head(item.destination)
        if copy:
            self.abandon(item.destination)
            return self._take(item, source, copy)
        if isinstance(answer, Unmet):
            self._source.changed(item.key, answer)
        raise RetryableError(
            ErrorCode.SERVICE_UNAVAILABLE,
            f"another run ended the upload of {self._hub.uri(item.destination)} before it was complete",
        ) from answer

    def _begin_anew(self, running: _Running, answer: Conflict) -> Iterable[Job] | None:
        """Replace an upload that can never be completed: its key was written or deleted after it began.

        S3 gives such an upload the same answer each time; one that begins later is completed:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html. Once in an
        invocation, so that a key which is written all the time does not keep it for good.
        """
        item, source = running.item, running.source
        self.abandon(item.destination)
        copy = self._hub.head(item.destination)
        if copy:
            return self._take(item, source, copy)
        if running.again:
            raise self._overtaken(item, answer) from answer
        self._tally.found(-source.size)
        return self._parts(item, source, running.method, again=True)

    def _overtaken(self, item: Item, answer: Conflict) -> RetryableError:
        return RetryableError(
            ErrorCode.THROTTLED,
            f"{self._hub.uri(item.destination)} was written or deleted by another request during the copy: {answer}",
        )

    def abandon(self, key: str) -> None:
        """Abort what is open for a key: superfluous once it is complete, wrong once its source has changed."""
        for upload_id in self.open_uploads(key):
            with suppress(ReplicationError):  # the sweep comes by
                self._uploads.abort(key, upload_id)
            self._forget(key, upload_id)

    def abandon_all(self) -> None:
        """Abort every upload that this transfer, or one before it, began."""
        with suppress(ReplicationError):  # what brought us here is the better message
            with self._lock:
                keys = list(self._known())
            for key in keys:
                self.abandon(key)

    def _forget(self, key: str, upload_id: str) -> None:
        with self._lock, suppress(KeyError, ValueError):
            self._known()[key].remove(upload_id)
            if not self._known()[key]:
                del self._known()[key]

    def _judge(self, item: Item, source: ObjectFacts, answer: S3Answer) -> Never:
        """Say what a refused server-side copy means: this call names both the source and the hub."""
        uri, copy = self._source.uri(item.key), self._hub.uri(item.destination)
        if isinstance(answer, Archived):
            raise refusals.archived(uri, str(answer), self._source.account) from answer
        if isinstance(answer, (Missing, Unmet)):
            self._source.changed(item.key, answer)
        if answer.code == "NoSuchBucket" and answer.bucket == self._source.bucket:
            raise refusals.missing(uri) from answer
        # S3 may answer for the range or for a key before it answers for the pin: is it still the same object?
        self._source.head(item.key, source.etag, source.version_id)
        if answer.code.startswith(KMS) and self._hub.key_arn not in str(answer):
            raise refusals.keyless(uri, copy, str(answer), self._source.account) from answer
        raise self._hub.refused(item.destination, answer) from answer
