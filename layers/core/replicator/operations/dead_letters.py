"""Messages in the dead-letter queue: written with their reason, and sent back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.failures import translated
from replicator.errors import ErrorCode
from replicator.model import Strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, MessageTypeDef

_REASON_MAX = 1024
# Long enough to go through the whole queue before a message that stays is seen again.
_SCAN_SECONDS = 300
_EMPTY_RECEIVES = 2


def send(
    sqs: SQSClient,
    queue_url: str,
    body: str,
    *,
    code: str,
    reason: str,
    source_arn: str | None,
    now: datetime,
    attempt: int | None = None,
) -> None:
    """Put a message into the dead-letter queue, its reason in the attributes.

    Parameters
    ----------
    body
        Exactly as intake takes it again.
    code, reason
        What happened and what to do.
    source_arn
        The package, as far as it is known.
    """
    attributes = {
        "code": code,
        "reason": reason[:_REASON_MAX],
        "failed_at": now.isoformat(),
        "source_arn": source_arn,
        "attempt": str(attempt) if attempt else None,
    }
    typed: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
    }
    with translated(
        f"sending {source_arn or 'a message'} to {queue_url}",
        denied=ErrorCode.HUB_ACCESS_DENIED,
        otherwise=ErrorCode.HUB_REFUSED,
    ):
        sqs.send_message(QueueUrl=queue_url, MessageBody=body, MessageAttributes=typed)


class RedriveRequest(Strict):
    """Which messages to send back; without any choice, all."""

    code: str | None = None
    """Only those with this error code; ``UNKNOWN`` for those without one."""
    account: str | None = None
    """Only those of this spoke."""
    source_arn: str | None = None
    """Only those of this model package."""
    limit: int = 10_000
    dry_run: bool = False
    """List, and send nothing."""


class DeadLetter(Strict):
    """A message in the dead-letter queue, for people to read."""

    code: str
    reason: str
    source_arn: str | None
    age_seconds: int
    redriven: bool


class RedriveAnswer(Strict):
    """What a redrive did."""

    redriven: int
    kept: int
    letters: list[DeadLetter]


@dataclass(frozen=True, slots=True)
class Redrive:
    """Sends dead letters back to the intake queue.

    Each message is sent before it is deleted, so a redrive that is killed half way loses none; what it
    sent twice is harmless, because a run looks at the source and converges.
    """

    sqs: SQSClient
    dead_letter_queue_url: str
    intake_queue_url: str

    def run(self, request: RedriveRequest, now: datetime, seconds_left: Any = None) -> RedriveAnswer:
        """Go through the queue once.

        Parameters
        ----------
        request
            Which messages.
        now
            For their age.
        seconds_left
            Called before each batch; below 20 the redrive ends early, and a further one goes on.
        """
        letters: list[DeadLetter] = []
        stay: list[MessageTypeDef] = []
        for message in self._messages(seconds_left):
            # One that came back during the scan has failed again; to send it again would go on for ever.
            fresh = _sent(message) > now
            wanted = (
                not fresh and _matches(message, request) and sum(x.redriven for x in letters) < request.limit
            )
            redriven = wanted and not request.dry_run
            if redriven:
                self.sqs.send_message(QueueUrl=self.intake_queue_url, MessageBody=message["Body"])
                self.sqs.delete_message(
                    QueueUrl=self.dead_letter_queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
            else:
                stay.append(message)
            letters.append(_letter(message, now, redriven=redriven))
        for message in stay:
            self.sqs.change_message_visibility(
                QueueUrl=self.dead_letter_queue_url,
                ReceiptHandle=message["ReceiptHandle"],
                VisibilityTimeout=0,
            )
        return RedriveAnswer(redriven=sum(x.redriven for x in letters), kept=len(stay), letters=letters)

    def _messages(self, seconds_left: Any) -> Iterator[MessageTypeDef]:
        empty, seen = 0, set[str]()
        while empty < _EMPTY_RECEIVES and (seconds_left is None or seconds_left() > 20):
            answer = self.sqs.receive_message(
                QueueUrl=self.dead_letter_queue_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=_SCAN_SECONDS,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            messages = [m for m in answer.get("Messages", []) if m["MessageId"] not in seen]
            seen |= {m["MessageId"] for m in messages}
            empty = 0 if messages else empty + 1
            yield from messages


def _attribute(message: MessageTypeDef, name: str) -> str | None:
    attribute = message.get("MessageAttributes", {}).get(name)
    return attribute.get("StringValue") if attribute else None


def _source_arn(message: MessageTypeDef) -> str | None:
    if given := _attribute(message, "source_arn"):
        return given
    try:
        found = json.loads(message["Body"])["detail"]["ModelPackageArn"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _code(message: MessageTypeDef) -> str:
    # What EventBridge could not deliver has its own attribute.
    return _attribute(message, "code") or _attribute(message, "ERROR_CODE") or "UNKNOWN"


def _matches(message: MessageTypeDef, request: RedriveRequest) -> bool:
    source_arn = _source_arn(message)
    return (
        (request.code is None or request.code == _code(message))
        and (request.source_arn is None or request.source_arn == source_arn)
        and (request.account is None or f":{request.account}:" in (source_arn or ""))
    )


def _sent(message: MessageTypeDef) -> datetime:
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)


def _letter(message: MessageTypeDef, now: datetime, *, redriven: bool) -> DeadLetter:
    return DeadLetter(
        code=_code(message),
        reason=_attribute(message, "reason") or _attribute(message, "ERROR_MESSAGE") or "",
        source_arn=_source_arn(message),
        age_seconds=max(0, round((now - _sent(message)).total_seconds())),
        redriven=redriven,
    )
