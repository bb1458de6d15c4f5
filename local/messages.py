"""Receiving, hiding and deleting messages of a standard queue, in moto's queues but without moto's searches.

moto looks through the whole queue several times for each message, so that ten thousand take it minutes. It
also counts the longest visibility from when a message was sent; SQS counts from when it was received.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from moto.core.utils import unix_time_millis
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid
from moto.sqs.models import Message, _filter_message_attributes

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.sqs.models import Queue

RULES: tuple[Rule, ...] = (
    Rule(
        "sqs-visibility-timeout",
        "A received message is hidden from all others until its visibility timeout ends.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html",
    ),
    Rule(
        "sqs-longest-visibility",
        "A message can be hidden for 43,200 seconds, counted from its receipt.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html",
    ),
    Rule(
        "sqs-gone-message",
        "To hide a message that was deleted is an InvalidParameterValue.",
        Evidence.REPORTED,
        "https://github.com/localstack/localstack/blob/8b9a79f05846835cf4dff63ab7eefdde9df83783/tests/aws/services/sqs/test_sqs.py",
    ),
)

LONGEST_VISIBILITY = 43_200
"""Seconds. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html"""


def waiting(queue: Queue) -> Iterator[Message]:
    """Give the messages that can be received now, oldest first."""
    now = unix_time_millis()
    oldest = now - float(queue.message_retention_period) * 1000
    for message in queue._messages:
        if message.visible_at < now and message.delayed_until <= now and message.sent_timestamp > oldest:
            yield message


def receive(queue: Queue, count: int, visibility_timeout: int, attributes: list[str]) -> list[Message]:
    """Receive messages and hide them. Whoever calls holds the queue's lock."""
    found = []
    for message in waiting(queue):
        message.mark_received(visibility_timeout=visibility_timeout)
        _receipts(queue)[message.receipt_handle] = message
        given = copy.copy(message)
        _filter_message_attributes(given, attributes)
        found.append(given)
        if len(found) == count:
            break
    return found


def delete(queue: Queue, receipt_handle: str) -> None:
    """Delete the message that was received with a handle; one that is gone already is no error."""
    with queue._messages_lock:
        message = received(queue, receipt_handle)
        if message in queue._messages:
            queue._messages.remove(message)


def change_visibility(queue: Queue, receipt_handle: str, seconds: int) -> None:
    """Hide a message for so long from now on; 0 makes it visible."""
    if not 0 <= seconds <= LONGEST_VISIBILITY:
        raise InvalidParameterValue(
            f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: must be between 0 and "
            f"{LONGEST_VISIBILITY}."
        )
    with queue._messages_lock:
        message = received(queue, receipt_handle)
        if message not in queue._messages:
            raise InvalidParameterValue(
                f"Value {receipt_handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is "
                "not available for visibility timeout change."
            )
        message.visible_at = 0.0 if seconds == 0 else unix_time_millis() + seconds * 1000
        queue._messages_lock.notify_all()


def received(queue: Queue, receipt_handle: str) -> Message:
    """Give the message that was received with a handle."""
    message = _receipts(queue).get(receipt_handle)
    if message is None:
        raise ReceiptHandleIsInvalid
    return message


def _receipts(queue: Queue) -> dict[str, Message]:
    """Give the messages of a queue by every handle that they were received with."""
    found: dict[str, Message] = vars(queue).setdefault("messages_by_receipt", {})
    return found
