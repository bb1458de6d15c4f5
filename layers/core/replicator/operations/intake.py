"""Takes an event in: checks it, counts it in the ledger, starts the run that it asks for."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from replicator.aws.failures import in_hub
from replicator.aws.ledger import Outcome
from replicator.errors import ErrorCode, ReplicationError, RetryableError
from replicator.events import ModelPackageEvent, admit
from replicator.ledger import execution_name, seen_after, told
from replicator.operations import dead_letters
from replicator.policy import REJECTED
from replicator.redaction import redacted
from replicator.steps import RunInput

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_stepfunctions.client import SFNClient

    from replicator.aws.ledger import Ledger
    from replicator.aws.slots import Slots
    from replicator.ledger import Entry
    from replicator.settings import IntakeSettings

DEFERRED = "deferred"
"""Message attribute: how often an event has been put off because its spoke had no slot left."""
_FIRST_DELAY = 10
# SQS takes up to 900 (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
# With that, slots stand empty while most of a flood waits: 400 events, 25 slots and runs of half a minute take 2.4
# times as long as they could; with 300 s 1.7 times, with 120 s 1.3, with 60 s 1.1 (as in
# tests/unit/test_deferring.py).
# What shorter delays cost: with 120 s, a waiting event comes 40 times an hour. That is 120 requests to SQS at most, 40
# reads, 40 refused writes of its spoke's item (3 KB with 25 slots, so 3 units each) and 4 to 40 invocations: about
# 0.00015 dollars, 15 cents for 1,000 events that wait an hour (0.40 for a million requests to SQS, 0.625 for a million
# write units). The limit is not the money: 10,000 that wait ask 110 times a second, which is what intake can take. With
# 60 s they would hold up the events of other spokes.
_LONGEST_DELAY = 120


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message."""

    source_arn: str | None
    outcome: str
    """``started``; ``counted``: a run is on, and will go round again; ``seen``: the source was read after the
    change that the event is about; ``deferred``: its spoke has as many runs as it may have, so it comes again; or
    ``rejected``."""
    code: ErrorCode | None = None
    reason: str | None = None


def longest_delay(deferred: int) -> int:
    """Give the seconds that an event waits at most when it is put off once more.

    Parameters
    ----------
    deferred
        How often it was put off before.
    """
    return int(min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(deferred, 10)))


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes messages in."""

    settings: IntakeSettings
    region: str
    ledger: Ledger
    slots: Slots
    sqs: SQSClient
    states: SFNClient

    def take(self, body: str, now: datetime, deferred: int = 0, *, last: bool = False) -> Taken:
        """Take one message in.

        A message that can never be replicated, or that trying again cannot help, goes to the dead-letter queue at
        once, with its reason. Raises `RetryableError` when the message has to come again.

        Parameters
        ----------
        deferred
            How often it was put off before.
        last
            Whether it will not come again: SQS would move it to the dead-letter queue without a word.
        """
        source_arn = None
        try:
            event = ModelPackageEvent.from_message(body)
            source_arn = redacted(event.detail.arn)
            admit(
                event,
                hub_account=self.settings.hub_account,
                region=self.region,
                spokes=self.settings.spoke_accounts,
            )
            with in_hub(f"taking in {source_arn}"):
                return self._count(event, body, now, deferred, last=last)
        except ReplicationError as error:
            if isinstance(error, RetryableError) and not last:
                raise
            self._reject(body, source_arn, error, now)
            return Taken(source_arn, "rejected", error.code, error.message)

    def _reject(self, body: str, source_arn: str | None, error: ReplicationError, now: datetime) -> None:
        dead_letters.send(
            self.sqs,
            self.settings.dead_letter_queue_url,
            body,
            code=error.code,
            reason=error.message,
            source_arn=source_arn,
            now=now,
        )

    def _count(
        self, event: ModelPackageEvent, body: str, now: datetime, deferred: int, *, last: bool
    ) -> Taken:
        source_arn, after = event.detail.arn, seen_after(event.changed)
        entry = self.ledger.get(source_arn)
        asks = (entry is None or entry.wants_run(after)) and event.detail.approval_status != REJECTED
        # A slot comes before the claim: one that nobody uses is found by the sweep, a claim that waits is not.
        if asks and not self.slots.acquire(source_arn, self.settings.runs_per_spoke):
            self._defer(body, deferred)
            return Taken(source_arn, "deferred")
        claim = self.ledger.claim(
            source_arn, event.to_message(), now, after, told(event.detail.approval_status, event.changed)
        )
        if claim.outcome is not Outcome.CLAIMED:
            return Taken(source_arn, claim.outcome.lower())
        # In the spelling of the event that claimed the attempt: the input of an execution is part of its identity.
        source_arn = claim.entry.source_arn
        attempt: int | None = claim.entry.attempt
        while attempt is not None:
            try:
                execution = self._execution(source_arn, attempt)
            except ReplicationError as error:
                if isinstance(error, RetryableError) and not last:
                    raise
                return self._give_up(claim.entry, attempt, body, error, now)
            if execution is not None:
                self.ledger.started(source_arn, attempt, execution)
                break
            # It was started, is over, and nobody noted it: its name is used up.
            attempt = self.ledger.restarted(source_arn, attempt)
        return Taken(source_arn, "started")

    def _give_up(
        self, entry: Entry, attempt: int, body: str, error: ReplicationError, now: datetime
    ) -> Taken:
        """End an attempt that cannot be started, since nobody else will; a run that began after all goes on."""
        source_arn = entry.source_arn
        if self.ledger.abandon(source_arn, attempt, error.code, error.message, now, started=False) is None:
            return Taken(source_arn, "started")
        self._reject(body, source_arn, error, now)
        self.slots.release(source_arn)
        self.ledger.settle(source_arn, attempt)
        return Taken(source_arn, "rejected", error.code, error.message)

    def _defer(self, body: str, deferred: int) -> None:
        """Send the message again, for later: a message of its own, so that none of its receives is used up."""
        longest = longest_delay(deferred)
        self.sqs.send_message(
            QueueUrl=self.settings.intake_queue_url,
            MessageBody=body,
            # Half of it by chance, so that those of one flood do not come back together.
            DelaySeconds=random.randint(longest // 2, longest),  # noqa: S311  (no secret)
            MessageAttributes={DEFERRED: {"DataType": "Number", "StringValue": str(deferred + 1)}},
        )

    def _execution(self, source_arn: str, attempt: int) -> str | None:
        """Start the execution of an attempt and give its ARN; None when it is over already."""
        with in_hub(f"starting the run of {source_arn}"):
            try:
                answer = self.states.start_execution(
                    stateMachineArn=self.settings.state_machine_arn,
                    name=execution_name(source_arn, attempt),
                    input=RunInput(source_arn=source_arn, attempt=attempt).model_dump_json(),
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                    raise
                return None
        return answer["executionArn"]
