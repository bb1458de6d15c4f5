"""Ends a run that failed: ledger, dead-letter queue, event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from replicator.errors import ErrorCode, read_coded
from replicator.events import ModelPackageEvent, ReplicationDetail
from replicator.identifiers import ModelPackageArn
from replicator.ledger import SupersededError
from replicator.model import Frozen
from replicator.operations import dead_letters
from replicator.steps import Action, PlanAnswer

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs.client import SQSClient

    from replicator.aws.bus import Bus
    from replicator.aws.ledger import Ledger


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
    status: Literal["Failed", "Refused", "Again", "Superseded"]
    """How the run ended: by an error, by the plan's decision, or not yet, or in the hands of a later attempt."""
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
    except (ValueError, KeyError, TypeError):
        message = cause
    code, reason = read_coded(message)
    if code is not ErrorCode.UNEXPECTED:
        return code, reason
    if "timed out" in message.lower() or name in {"States.Timeout", "Sandbox.Timedout"}:
        return ErrorCode.TIMED_OUT, f"a step of the run took too long ({name}): {message}. Redrive it."
    return ErrorCode.UNEXPECTED, f"{name}: {message}"


def _look_again(source_arn: str) -> str:
    return ModelPackageEvent.about(ModelPackageArn.parse(source_arn)).to_message()


@dataclass(frozen=True, slots=True)
class Failing:
    """Ends failed runs."""

    ledger: Ledger
    sqs: SQSClient
    bus: Bus
    dead_letter_queue_url: str

    def run(self, request: FailureRequest, now: datetime) -> FailureAnswer:
        """End a run. May be repeated."""
        code, reason = read_failure(request)
        try:
            over = self.ledger.fail(request.source_arn, request.attempt, code, reason, now)
        except SupersededError:
            return FailureAnswer(again=False, status="Superseded", code=code, reason=reason)
        if not over:
            return FailureAnswer(again=True, status="Again", code=code, reason=reason)
        entry = self.ledger.get(request.source_arn)
        body = entry.event if entry and entry.event else _look_again(request.source_arn)
        dead_letters.send(
            self.sqs,
            self.dead_letter_queue_url,
            body,
            code=code,
            reason=reason,
            source_arn=request.source_arn,
            now=now,
            attempt=request.attempt,
        )
        refused = request.plan is not None and request.plan.action is Action.REFUSE
        status: Literal["Failed", "Refused"] = "Refused" if refused else "Failed"
        self.bus.publish(
            ReplicationDetail(
                status=status,
                source_arn=request.source_arn,
                hub_arn=entry.hub_arn if entry else None,
                code=code,
                reason=reason,
            ),
            now,
        )
        return FailureAnswer(again=False, status=status, code=code, reason=reason)
