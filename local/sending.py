"""What SQS takes as a message, alone or in a batch: moto takes characters that SQS refuses, and no batch in part."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.sqs.exceptions import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    InvalidBatchEntryId,
    InvalidParameterValue,
    MissingParameter,
    SQSException,
    TooManyEntriesInBatchRequest,
)
from moto.sqs.models import MAXIMUM_MESSAGE_LENGTH, SQSBackend

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from moto.sqs.models import Message, Queue

RULES: tuple[Rule, ...] = (
    Rule(
        "sqs-batch-bad-entry",
        "SendMessageBatch with an entry that SQS does not take is a 200: that entry is in Failed, the others are sent.",
        Evidence.RECORDED,
        "sqs/batches-and-limits.json",
    ),
    Rule(
        "sqs-batch-limits",
        "A batch has at most ten entries, each with an id of its own, and 1,048,576 bytes.",
        Evidence.RECORDED,
        "sqs/batches-and-limits.json",
    ),
    Rule(
        "sqs-message-size",
        "The bytes of the body and of the attributes count into the size of a message.",
        Evidence.RECORDED,
        "sqs/batches-and-limits.json",
    ),
    Rule(
        "sqs-empty-message",
        "A message has a body, and no attribute without a value.",
        Evidence.RECORDED,
        "sqs/batches-and-limits.json",
    ),
    Rule(
        "sqs-characters",
        "SQS takes the characters of XML 1.0 in a body and in an attribute, and refuses others.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html",
    ),
    Rule(
        "sqs-characters-of-attribute",
        "The code for such a character in an attribute is InvalidParameterValue, other than for one in a body.",
        Evidence.INFERRED,
        "SendMessage documents InvalidMessageContents for a body only; nobody has recorded the code for an attribute.",
    ),
)

_original_send = SQSBackend.send_message
_SENDABLE = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_BATCH_MOST = 10
# The codes with which a single entry was recorded to fail.
_OF_AN_ENTRY = {"InvalidMessageContents", "InvalidParameterValue"}
_CANNOT = "One or more parameters cannot be validated."
_INVALID = "One or more parameters are invalid."


def send(
    backend: SQSBackend,
    queue_name: str,
    message_body: str,
    message_attributes: dict[str, Any] | None = None,
    **others: Any,
) -> Message:
    """Send a message, unless SQS would refuse it."""
    _check(backend.get_queue(queue_name), message_body, message_attributes or {})
    return _original_send(backend, queue_name, message_body, message_attributes, **others)


def send_batch(
    backend: SQSBackend, queue_name: str, entries: dict[str, dict[str, Any]]
) -> tuple[list[Message], list[dict[str, Any]]]:
    """Send the entries that SQS takes, and say why it takes no other one."""
    check_batch([entry["Id"] for entry in entries.values()])
    size = sum(_size(entry["MessageBody"], entry["MessageAttributes"]) for entry in entries.values())
    if size > MAXIMUM_MESSAGE_LENGTH:
        raise BatchRequestTooLong(size)
    sent, failed = [], []
    for entry in entries.values():
        try:
            message = backend.send_message(
                queue_name,
                entry["MessageBody"],
                message_attributes=entry["MessageAttributes"],
                delay_seconds=entry["DelaySeconds"],
                group_id=entry.get("MessageGroupId"),
                deduplication_id=entry.get("MessageDeduplicationId"),
            )
        except SQSException as error:
            if error.code not in _OF_AN_ENTRY:
                raise
            said = {"Code": error.code, "Message": error.message.replace(_INVALID, _CANNOT)}
            failed.append({"Id": entry["Id"], "SenderFault": True, **said})
        else:
            message.user_id = entry["Id"]
            sent.append(message)
    return sent, failed


def check_batch(ids: list[str]) -> None:
    """Refuse a batch of any operation for its ids or their number."""
    if len(ids) > _BATCH_MOST:
        raise TooManyEntriesInBatchRequest(len(ids))
    if not all(re.fullmatch(r"[\w-]{1,80}", each, re.ASCII) for each in ids):
        raise InvalidBatchEntryId
    for position, each in enumerate(ids):
        if each in ids[:position]:
            raise BatchEntryIdsNotDistinct(each)


def _check(queue: Queue, body: str, attributes: dict[str, Any]) -> None:
    if not body:
        raise MissingParameter("MessageBody")
    if not _SENDABLE.fullmatch(body):
        raise SQSException("InvalidMessageContents", "Invalid characters found.")
    for name, attribute in attributes.items():
        kind = attribute.get("DataType") or ""
        if kind.startswith("String") and not attribute.get("StringValue"):
            raise InvalidParameterValue(
                f"Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
            )
        if not _SENDABLE.fullmatch(attribute.get("StringValue") or ""):
            raise InvalidParameterValue(f"Invalid characters found in the message attribute '{name}'.")
    most = int(queue.maximum_message_size)
    if _size(body, attributes) > most:
        raise InvalidParameterValue(f"{_INVALID} Reason: Message must be shorter than {most} bytes.")


def _size(body: str, attributes: dict[str, Any]) -> int:
    size = len(body.encode())
    for name, attribute in attributes.items():
        value = attribute.get("StringValue") or attribute.get("BinaryValue") or ""
        size += len(name.encode()) + len(attribute["DataType"].encode())
        size += len(value.encode() if isinstance(value, str) else value)
    return size
