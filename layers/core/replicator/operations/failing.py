"""Ends a run that failed: ledger, dead-letter queue, event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from replicator.errors import ErrorCode, PermanentError, read_coded
from replicator.events import ModelPackageEvent, ReplicationDetail
from replicator.identifiers import ModelPackageArn
from replicator.ledger import SupersededError
from replicator.model import Frozen
from replicator.operations import dead_letters
from replicator.redaction import redacted
from replicator.steps import Action, PlanAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs.client import SQSClient

    from replicator.aws.bus import Bus
    from replicator.aws.ledger import Ledger
    from replicator.aws.slots import Slots
    from replicator.ledger import Entry


class FailureRequest(Frozen):
    """Input of the record_failure function."""

    source_arn: str
    attempt: int
    plan: PlanAnswer | None = None
    error: dict[str, Any]
    """``Error`` and ``Cause``, as Step Functions gives them to a catcher."""


class FailureAnswer(Frozen):
    """Output of the record_failure function."""

    again: bool
    """An event came meanwhile: go round again instead of failing."""
    status: Literal["Failed", "Refused", "Again", "Superseded", "Recorded"]
    """How the run ended: by an error, by the plan's decision, or not yet, or in the hands of a later attempt; or that
    an earlier call has recorded it."""
    code: ErrorCode
    reason: str


def read_failure(request: FailureRequest) -> tuple[ErrorCode, str]:
    """Say what failed, and why, from what Step Functions caught.

    The cause of a failed Lambda task is the function's error as JSON; of a refusal, ``CODE: reason``.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    name, cause = str(request.error.get("Error", "")), str(request.error.get("Cause", ""))
    try:
        message = str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError, RecursionError):
        message = cause
    # What the dead letter may say, the ledger and the event take as well. An error that is not one of ours still
    # says whatever its library put into it.
    message = dead_letters.sendable(redacted(message))
    code, reason = read_coded(message)
    if code is not ErrorCode.UNEXPECTED:
        return code, reason
    if "timed out" in message.lower() or name in {"States.Timeout", "Sandbox.Timedout"}:
        return ErrorCode.TIMED_OUT, f"a step of the run took too long ({name}): {message}. Redrive it."
    return ErrorCode.UNEXPECTED, f"{name}: {message}"


def _look_again(source_arn: str) -> str:
    return ModelPackageEvent.about(ModelPackageArn.parse(source_arn)).to_message()


@dataclass(frozen=True, slots=True)
class Ending:
    """What a failed attempt leaves for others to know: dead letter, event; then the item is settled.

    In this order, and every part may be repeated: what dies in between leaves an unsettled item, and the sweep does
    it again. That the letter was sent is noted, so that an event that cannot be published for days makes no further
    letters. One that dies right before that is noted sends a second one, which does no harm.
    """

    ledger: Ledger
    slots: Slots
    sqs: SQSClient
    bus: Bus
    dead_letter_queue_url: str

    def run(self, entry: Entry, code: ErrorCode, reason: str, now: datetime, status: str = "Failed") -> bool:
        """End an attempt that the ledger has as failed; tell whether its letter was sent only now.

        Parameters
        ----------
        entry
            The item as it is now; its attempt is the one that ends.
        status
            For the event: ``Failed`` or ``Refused``.
        """
        due = entry.lettered != entry.attempt
        if due:
            self.send(entry.source_arn, entry.event, code, reason, now, entry.attempt)
            self.ledger.lettered(entry.source_arn, entry.attempt)
        self.slots.release(entry.source_arn)
        detail = ReplicationDetail(
            status=status, source_arn=entry.source_arn, hub_arn=entry.hub_arn, code=code, reason=reason
        )
        self.bus.publish(detail, now)
        self.ledger.settle(entry.source_arn, entry.attempt)
        return due

    def send(
        self, source_arn: str, event: str | None, code: ErrorCode, reason: str, now: datetime, attempt: int
    ) -> None:
        """Send the dead letter of an attempt; without its event, one that asks for a look at the version."""
        dead_letters.send(
            self.sqs,
            self.dead_letter_queue_url,
            event or _look_again(source_arn),
            code=code,
            reason=reason,
            source_arn=source_arn,
            now=now,
            attempt=attempt,
        )


@dataclass(frozen=True, slots=True)
class Failing:
    """Ends failed runs."""

    ledger: Ledger
    ending: Ending

    def run(self, request: FailureRequest, now: datetime) -> FailureAnswer:
        """End a run. May be repeated."""
        code, reason = read_failure(request)
        try:
            over = self.ledger.fail(request.source_arn, request.attempt, code, reason, now)
            entry = self.ledger.get(request.source_arn) if over else None
        except SupersededError:
            return FailureAnswer(again=False, status="Superseded", code=code, reason=reason)
        except PermanentError as error:
            if error.code is not ErrorCode.LEDGER_VERSION:
                raise
            # The item is not ours to write any more, but its letter must not get lost, and its run is over.
            self.ending.send(request.source_arn, None, error.code, error.message, now, request.attempt)
            self.ending.slots.release(request.source_arn)
            return FailureAnswer(again=False, status="Failed", code=error.code, reason=error.message)
        if not over:
            return FailureAnswer(again=True, status="Again", code=code, reason=reason)
        if entry is None or entry.attempt != request.attempt:
            # Another attempt has begun since, and answers for the version.
            return FailureAnswer(again=False, status="Superseded", code=code, reason=reason)
        if not entry.unsettled:
            # An earlier call did all that is to do, and its answer was lost: no second letter, no second count.
            return FailureAnswer(again=False, status="Recorded", code=code, reason=reason)
        refused = request.plan is not None and request.plan.action is Action.REFUSE
        status: Literal["Failed", "Refused"] = "Refused" if refused else "Failed"
        self.ending.run(entry, code, reason, now, status)
        return FailureAnswer(again=False, status=status, code=code, reason=reason)
