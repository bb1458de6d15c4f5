"""Messages in the dead-letter queue: written with their reason, and read again whoever wrote them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from replicator.aws.failures import in_hub
from replicator.errors import ErrorCode, PermanentError
from replicator.events import ModelPackageEvent
from replicator.identifiers import InvalidIdentifierError, ModelPackageArn
from replicator.redaction import redacted
from replicator.visible import shortened

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef, MessageTypeDef

INTAKE_FAILED = "INTAKE_FAILED"
"""Code of a letter that SQS moved, because intake gave it back six times. It has no reason of ours."""
UNKNOWN = "UNKNOWN"
"""Code of a letter that says nothing: of an older release, or of somebody's own making."""

# SQS takes these characters and no others, in bodies and in attributes:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_REFUSED = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REASON_MAX = 1024
_CODE_MAX = 64
_ARN_MAX = 256


def sendable(text: str) -> str:
    """Spell out each character that SQS refuses as JSON does: inside JSON it stays the same text.

    Names of S3 objects and values of environments may have such characters, and they get into reasons.
    """
    return _REFUSED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
        As intake takes it again. An execution reads the package itself, so it misses no secret of the message.
    code, reason
        What happened and what to do.
    source_arn
        The package, as far as it is known.
    """
    attributes = {
        "code": code,
        "reason": shortened(redacted(reason), _REASON_MAX),
        "failed_at": now.isoformat(),
        "source_arn": source_arn and redacted(source_arn)[:_ARN_MAX],
        "attempt": str(attempt) if attempt else None,
    }
    typed: dict[str, MessageAttributeValueTypeDef] = {
        name: {"DataType": "String", "StringValue": sendable(value)}
        for name, value in attributes.items()
        if value
    }
    with in_hub(f"sending {source_arn or 'a message'} to {queue_url}"):
        sqs.send_message(QueueUrl=queue_url, MessageBody=sendable(redacted(body)), MessageAttributes=typed)


@dataclass(frozen=True, slots=True)
class Letter:
    """What a message in the dead-letter queue says.

    Parameters
    ----------
    code, reason
        What happened and what to do; `INTAKE_FAILED` and `UNKNOWN` when nobody said.
    source_arn
        The model package, as far as the message names one.
    account
        Whose event it is, as far as the message says.
    sent
        When SQS took the message in. One that SQS moved keeps the time at which it reached the intake queue:
        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
    """

    message_id: str
    receipt_handle: str
    body: str
    code: str
    reason: str
    source_arn: str | None
    account: str | None
    sent: datetime

    @classmethod
    def read(cls, message: MessageTypeDef) -> Letter:
        """Read a message that was received with all its attributes, from whichever release it is.

        Ours have ``code``, ``reason`` and ``source_arn``. What EventBridge could not deliver has attributes of
        its own: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html. One that SQS moved
        has none, but names the queue that it was moved from.
        """
        code, reason = _told(message)
        source_arn, account = _about(message)
        return cls(
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=redacted(message["Body"]),
            code=code[:_CODE_MAX],
            reason=shortened(redacted(reason), _REASON_MAX),
            source_arn=source_arn and redacted(source_arn)[:_ARN_MAX],
            account=account and account[:_CODE_MAX],
            sent=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        )

    def body_again(self) -> str:
        """Give the body to send to intake: as it is, or, when intake could not read it, a request to look.

        Former releases wrote bodies that intake does not take. Where such a letter names a version, the same is
        asked for in today's words; a run reads all it needs from the source.
        """
        try:
            ModelPackageEvent.from_message(self.body)
        except PermanentError as error:
            if error.code is ErrorCode.MALFORMED_EVENT and self.source_arn:
                return self._mended(self.source_arn)
        return self.body

    def _mended(self, source_arn: str) -> str:
        try:
            arn = ModelPackageArn.parse(source_arn)
        except InvalidIdentifierError:
            return self.body
        # What one account says about another's package is not for us to put right.
        return ModelPackageEvent.about(arn).to_message() if arn.account == self.account else self.body


def _told(message: MessageTypeDef) -> tuple[str, str]:
    if code := _attribute(message, "code"):
        return code, _attribute(message, "reason") or ""
    if code := _attribute(message, "ERROR_CODE"):
        target, said = (
            _attribute(message, "TARGET_ARN"),
            _attribute(message, "ERROR_MESSAGE") or "no reason given",
        )
        return code, f"EventBridge could not deliver the event to {target or 'its target'}: {said}"
    if origin := message["Attributes"].get("DeadLetterQueueSourceArn"):
        return (
            INTAKE_FAILED,
            f"received from {origin} again and again, and never taken in. Look at intake's log.",
        )
    return UNKNOWN, "the message has no code: it is of another release, or somebody else sent it."


def _about(message: MessageTypeDef) -> tuple[str | None, str | None]:
    """Give the ARN and the account that a message names, in any form that a release of ours has written."""
    found = _attribute(message, "source_arn")
    account = None
    try:
        body = json.loads(message["Body"])
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        detail = body.get("detail")
        named = [detail.get("ModelPackageArn") if isinstance(detail, dict) else None, body.get("source_arn")]
        found = found or next((name for name in named if isinstance(name, str)), None)
        account = body.get("account")
    if not isinstance(account, str):
        parts = (found or "").split(":")
        account = parts[4] if len(parts) > 4 else None
    return found, account


def _attribute(message: MessageTypeDef, name: str) -> str | None:
    attribute = message.get("MessageAttributes", {}).get(name)
    return attribute.get("StringValue") if attribute else None
