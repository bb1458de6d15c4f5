"""Takes an event in: checks it, counts it in the ledger, starts the run that it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from replicator.aws.failures import translated
from replicator.aws.ledger import Outcome
from replicator.errors import ErrorCode, PermanentError
from replicator.events import ModelPackageEvent, admit
from replicator.ledger import execution_name, seen_after
from replicator.operations import dead_letters
from replicator.steps import RunInput

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_stepfunctions.client import SFNClient

    from replicator.aws.ledger import Ledger
    from replicator.settings import IntakeSettings


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message."""

    source_arn: str | None
    outcome: str
    """``started``; ``counted``: a run is on, and will go round again; ``seen``: the source was read after the
    change that the event is about; or ``rejected``."""
    code: ErrorCode | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes messages in."""

    settings: IntakeSettings
    region: str
    ledger: Ledger
    sqs: SQSClient
    states: SFNClient

    def take(self, body: str, now: datetime) -> Taken:
        """Take one message in.

        A message that can never be replicated goes to the dead-letter queue at once, with its reason. Raises
        `RetryableError`, or what AWS raised, when the message has to come again.
        """
        source_arn = None
        try:
            event = ModelPackageEvent.from_message(body)
            source_arn = event.detail.arn
            admit(
                event,
                hub_account=self.settings.hub_account,
                region=self.region,
                spokes=self.settings.spoke_accounts,
            )
        except PermanentError as error:
            dead_letters.send(
                self.sqs,
                self.settings.dead_letter_queue_url,
                body,
                code=error.code,
                reason=error.message,
                source_arn=source_arn,
                now=now,
            )
            return Taken(source_arn, "rejected", error.code, error.message)
        return self._start(event, now)

    def _start(self, event: ModelPackageEvent, now: datetime) -> Taken:
        source_arn = event.detail.arn
        with translated(
            f"taking in {source_arn}", denied=ErrorCode.HUB_ACCESS_DENIED, otherwise=ErrorCode.HUB_REFUSED
        ):
            after = seen_after(event.changed)
            claim = self.ledger.claim(source_arn, event.to_message(), now, after)
            if claim.outcome is not Outcome.CLAIMED:
                return Taken(source_arn, claim.outcome.lower())
            attempt: int | None = claim.entry.attempt
            while attempt is not None:
                execution = self._execution(source_arn, attempt)
                if execution is not None:
                    self.ledger.started(source_arn, attempt, execution)
                    break
                # It was started, is over, and nobody noted it: its name is used up.
                attempt = self.ledger.restarted(source_arn, attempt)
        return Taken(source_arn, "started")

    def _execution(self, source_arn: str, attempt: int) -> str | None:
        """Start the execution of an attempt and give its ARN; None when it is over already."""
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
