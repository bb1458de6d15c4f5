"""Goes through the dead-letter queue: lists it, sends letters back to the intake queue, deletes a hopeless one.

SQS gives no letter by its name, and none twice at a time: to look at the queue is to receive all of it. What
stays is hidden meanwhile, and given back at the end; if that does not happen, it comes back by itself.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from replicator.aws.intake_queue import refusal
from replicator.identifiers import version_key
from replicator.model import Strict
from replicator.operations.dead_letters import Letter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_sqs.client import SQSClient

HIDDEN_SECONDS = 300
"""How long a received letter stays hidden: as long as the function may take, so that none comes twice."""
MOST_HELD = 100_000
"""Letters that may be hidden at once. SQS gives no more than about 120,000, and does not say when it stops:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html"""
WAIT_SECONDS = 1
"""For a letter to come. With any at all SQS asks all of its servers, so that an empty answer means something."""
LISTED_BYTES = 2_000_000
"""Of the letters in an answer, so that it stays far below the 6 MB that Lambda gives back."""

_CODES = 100
_BATCH = 10
# Of all messages in a batch. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_BATCH_BYTES = 1_048_576
_EXCERPT, _DELETED_BODY = 300, 100_000
# Letters that are given back in a second, at least, when an invocation comes to its end.
_GIVEN_BACK_PER_SECOND = 1000


class RedriveRequest(Strict):
    """Which letters to send back; without any choice, all."""

    code: str | None = None
    """Only those with this error code."""
    account: str | None = None
    """Only those of this spoke."""
    source_arn: str | None = None
    """Only those of this model package."""
    message_id: str | None = None
    """Only this one."""
    limit: int = Field(10_000, ge=1)
    """Send back at most so many in this invocation."""
    began: datetime | None = None
    """From the first answer, for the invocations that go on: letters that came later are left alone."""
    dry_run: bool = False
    """List, and send nothing."""
    delete: bool = False
    """Delete the one letter that ``message_id`` names, in place of sending it back."""

    @model_validator(mode="after")
    def _deletes_one(self) -> Self:
        if self.delete and (self.message_id is None or self.dry_run):
            raise ValueError("only one letter is deleted at a time: give its message_id, and no dry_run")
        return self

    def chooses(self, letter: Letter) -> bool:
        """Tell whether a letter is among those that are asked for."""
        return (
            self.code in (None, letter.code)
            and self.account in (None, letter.account)
            and (
                self.source_arn is None
                or version_key(self.source_arn) == version_key(letter.source_arn or "")
            )
            and self.message_id in (None, letter.message_id)
        )


class ListedLetter(Strict):
    """A message in the dead-letter queue, for people to read."""

    message_id: str
    code: str
    reason: str
    source_arn: str | None
    account: str | None
    age_seconds: int
    redriven: bool
    deleted: bool
    refused: str | None = None
    """Why the intake queue did not take it, so that it stays, although it was to be sent back."""
    body: str | None
    """The beginning of a letter that names no model package; more of one that was deleted."""


class Total(Strict):
    """How many letters have a code."""

    found: int
    redriven: int


class RedriveAnswer(Strict):
    """What a redrive did."""

    began: datetime
    """For the next invocation, when there is more."""
    more: bool
    """There may be letters that this invocation did not come to."""
    redriven: int
    deleted: int
    kept: int
    """Found and left in the queue, the new ones among them."""
    new: int
    """Came after the redrive began: most often they were sent back and have failed again."""
    codes: dict[str, Total]
    """Of all letters that were found, by code; the rarest beyond a hundred codes as ``OTHER``."""
    letters: list[ListedLetter]
    unlisted: int
    """Letters that ``letters`` has no room for."""


@dataclass(slots=True)
class _Tally:
    """What one invocation has found and done."""

    began: datetime
    now: datetime
    redriven: int = 0
    deleted: int = 0
    new: int = 0
    unlisted: int = 0
    listed_bytes: int = 0
    found: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    letters: list[ListedLetter] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    """Receipt handles of the letters that are hidden, by message id."""
    seen: set[str] = field(default_factory=set)

    def takes(self, letter: Letter) -> bool:
        """Hold a received letter, and tell whether it is the first time: SQS may give one twice."""
        first = letter.message_id not in self.seen
        self.seen.add(letter.message_id)
        if first or letter.message_id in self.held:
            self.held[letter.message_id] = letter.receipt_handle
        return first

    def note(self, letter: Letter, *, gone: bool, deleted: bool, refused: str | None) -> None:
        """Count a letter, and list it while there is room."""
        redriven, deleted = gone and not deleted, gone and deleted
        if gone:
            del self.held[letter.message_id]
        self.found[letter.code] += 1
        self.sent[letter.code] += redriven
        self.redriven += redriven
        self.deleted += deleted
        self.new += letter.sent > self.began
        size = _DELETED_BODY if deleted else _EXCERPT
        listed = ListedLetter(
            message_id=letter.message_id,
            code=letter.code,
            reason=letter.reason,
            source_arn=letter.source_arn,
            account=letter.account,
            age_seconds=max(0, round((self.now - letter.sent).total_seconds())),
            redriven=redriven,
            deleted=deleted,
            refused=refused and refused[:_EXCERPT],
            body=letter.body[:size] if deleted or not letter.source_arn else None,
        )
        self.listed_bytes += len(json.dumps(listed.model_dump()))
        if self.listed_bytes > LISTED_BYTES:
            self.unlisted += 1
        else:
            self.letters.append(listed)

    def answer(self, *, more: bool) -> RedriveAnswer:
        """Sum up."""
        common = [code for code, _ in self.found.most_common(_CODES)]
        totals = {code: Total(found=self.found[code], redriven=self.sent[code]) for code in common}
        if rest := self.found.keys() - totals.keys():
            totals["OTHER"] = Total(
                found=sum(self.found[code] for code in rest), redriven=sum(self.sent[code] for code in rest)
            )
        return RedriveAnswer(
            began=self.began,
            more=more,
            redriven=self.redriven,
            deleted=self.deleted,
            kept=len(self.held),
            new=self.new,
            codes=totals,
            letters=self.letters,
            unlisted=self.unlisted,
        )


@dataclass(frozen=True, slots=True)
class Redrive:
    """Goes through the dead-letter queue.

    Each letter is sent before it is deleted, so a redrive that is killed half way loses none; what it
    sent twice is harmless, because a run looks at the source and converges.

    Parameters
    ----------
    streams
        Batches of ten in flight at a time.
    """

    sqs: SQSClient
    dead_letter_queue_url: str
    intake_queue_url: str
    streams: int = 8

    def run(
        self, request: RedriveRequest, now: datetime, seconds_left: Callable[[], float] = lambda: 600.0
    ) -> RedriveAnswer:
        """Go through the queue once.

        Parameters
        ----------
        now
            For the letters' age, and what is new, unless the request says when the redrive began.
        seconds_left
            Until the end of the invocation. It ends early enough to give back what stays.
        """
        tally = _Tally(request.began or now, now)
        with ThreadPoolExecutor(self.streams) as pool:
            try:
                more = self._go_through(request, tally, pool, seconds_left)
            finally:
                list(pool.map(self._give_back, _batches(list(tally.held.values()))))
        return tally.answer(more=more)

    def _go_through(
        self,
        request: RedriveRequest,
        tally: _Tally,
        pool: ThreadPoolExecutor,
        seconds_left: Callable[[], float],
    ) -> bool:
        """Receive until the queue gives nothing more, and tell whether it was left earlier."""
        while True:
            if request.message_id and tally.redriven + tally.deleted:
                return False
            reserve = 20 + len(tally.held) / _GIVEN_BACK_PER_SECOND
            if tally.redriven >= request.limit or len(tally.held) >= MOST_HELD or seconds_left() < reserve:
                return True
            batches = pool.map(self._receive, range(self.streams))
            received = [letter for batch in batches for letter in batch]
            if not received:
                return False
            fresh = [letter for letter in received if tally.takes(letter)]
            self._handle(fresh, request, tally, pool)

    def _handle(
        self, letters: Sequence[Letter], request: RedriveRequest, tally: _Tally, pool: ThreadPoolExecutor
    ) -> None:
        chosen = [letter for letter in letters if request.chooses(letter)]
        refused: dict[str, str] = {}
        if request.delete:
            self._delete(chosen)
        elif request.dry_run:
            chosen = []
        else:
            # One that came after the beginning has failed again; to send it again would go on for ever.
            old = [letter for letter in chosen if letter.sent <= tally.began]
            batches = list(_sized(old[: request.limit - tally.redriven]))
            for reasons in pool.map(self._send_back, batches):
                refused |= reasons
            chosen = [letter for batch in batches for letter, _ in batch if letter.message_id not in refused]
        gone = {letter.message_id for letter in chosen}
        for letter in letters:
            reason = refused.get(letter.message_id)
            tally.note(letter, gone=letter.message_id in gone, deleted=request.delete, refused=reason)

    def _receive(self, _: int) -> list[Letter]:
        answer = self.sqs.receive_message(
            QueueUrl=self.dead_letter_queue_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp", "DeadLetterQueueSourceArn"],
        )
        return [Letter.read(message) for message in answer.get("Messages", [])]

    def _send_back(self, batch: Sequence[tuple[Letter, str]]) -> dict[str, str]:
        """Send a batch of letters and bodies to intake, and delete what SQS took of it.

        Returns
        -------
        The reason for each that SQS did not take, by message id. SQS answers 200 for the batch in any case.
        """
        answer = self.sqs.send_message_batch(
            QueueUrl=self.intake_queue_url,
            Entries=[{"Id": str(i), "MessageBody": body} for i, (_, body) in enumerate(batch)],
        )
        taken = {int(each["Id"]) for each in answer.get("Successful", [])}
        sent = [letter for i, (letter, _) in enumerate(batch) if i in taken]
        self._delete(sent)
        reasons = {int(each["Id"]): refusal(each) for each in answer.get("Failed", [])}
        return {
            letter.message_id: reasons.get(i, "SQS said nothing about it")
            for i, (letter, _) in enumerate(batch)
            if i not in taken
        }

    def _delete(self, letters: Sequence[Letter]) -> None:
        # One that cannot be deleted comes back and is sent twice, which harms nothing.
        if letters:
            self.sqs.delete_message_batch(
                QueueUrl=self.dead_letter_queue_url,
                Entries=[
                    {"Id": str(i), "ReceiptHandle": letter.receipt_handle} for i, letter in enumerate(letters)
                ],
            )

    def _give_back(self, handles: Sequence[str]) -> None:
        self.sqs.change_message_visibility_batch(
            QueueUrl=self.dead_letter_queue_url,
            Entries=[
                {"Id": str(i), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for i, handle in enumerate(handles)
            ],
        )


def _batches[T](items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[i : i + _BATCH] for i in range(0, len(items), _BATCH))


def _sized(letters: Sequence[Letter]) -> Iterator[list[tuple[Letter, str]]]:
    """Give batches that SQS takes, by their number and their size, with the bodies to send."""
    batch: list[tuple[Letter, str]] = []
    size = 0
    for letter in letters:
        body = letter.body_again()
        size += len(body.encode())
        if batch and (len(batch) == _BATCH or size > _BATCH_BYTES):
            yield batch
            batch, size = [], len(body.encode())
        batch.append((letter, body))
    if batch:
        yield batch
