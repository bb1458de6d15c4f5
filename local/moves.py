"""SQS message move tasks, which moto lacks: dead letters go back to where they came from.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
A task is done when ``StartMessageMoveTask`` answers, so there is nothing left to cancel.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue, sqs_backends
from moto.sqs.responses import SQSResponse

if TYPE_CHECKING:
    from local.server import LocalAws

_SOURCE = "DeadLetterQueueSourceArn"
_tasks: dict[str, list[dict[str, Any]]] = {}


def came_from(message: Message, queue_arn: str) -> None:
    """Remember the queue that a message was moved out of into its dead-letter queue."""
    message.dead_letter_source_arn = queue_arn


def install(aws: LocalAws) -> None:
    """Add the three operations to moto's SQS."""
    _tasks.clear()
    for name, operation in (
        ("start_message_move_task", _start),
        ("list_message_move_tasks", _list),
        ("cancel_message_move_task", _cancel),
    ):
        aws.patch(SQSResponse, name, operation)


def _start(response: SQSResponse) -> ActionResult:
    source = _queue(response._get_param("SourceArn"))
    wanted = response._get_param("DestinationArn")
    destination = _queue(wanted) if wanted else None
    backend = sqs_backends[source.account_id][source.region]
    if not any(queue.dead_letter_queue is source for queue in backend.queues.values()):
        raise SQSException("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
    moved = 0
    with source._messages_lock:
        waiting = [message for message in source._messages if message.visible and not message.delayed]
        for message in waiting:
            origin = getattr(message, "dead_letter_source_arn", None)
            target = destination or (_queue(origin) if origin else None)
            if target is None:
                continue
            source._messages.remove(message)
            target.add_message(_renewed(message))
            moved += 1
    task: dict[str, Any] = {
        "Status": "COMPLETED" if moved == len(waiting) else "FAILED",
        "SourceArn": source.queue_arn,
        "ApproximateNumberOfMessagesMoved": moved,
        "ApproximateNumberOfMessagesToMove": len(waiting),
        "StartedTimestamp": int(time.time() * 1000),
    }
    if wanted:
        task["DestinationArn"] = wanted
    if moved != len(waiting):
        task["FailureReason"] = "CouldNotDetermineMessageSource"
    _tasks.setdefault(source.queue_arn, []).insert(0, task)
    return ActionResult({"TaskHandle": uuid.uuid4().hex})


def _list(response: SQSResponse) -> ActionResult:
    arn = _queue(response._get_param("SourceArn")).queue_arn
    return ActionResult({"Results": _tasks.get(arn, [])[: int(response._get_param("MaxResults") or 1)]})


def _cancel(response: SQSResponse) -> ActionResult:
    raise SQSException("ResourceNotFoundException", "The task is not running any more.")


def _queue(arn: str) -> Queue:
    _, _, _, region, account, name = arn.split(":", 5)
    queue = sqs_backends[account][region].queues.get(name)
    if queue is None:
        raise SQSException("ResourceNotFoundException", "The resource that you specified for the SourceArn "
                           f"or DestinationArn parameter doesn't exist: {arn}")  # fmt: skip
    return queue


def _renewed(message: Message) -> Message:
    """Make the message that arrives: redriven messages have a new id and enqueue time.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
    """
    new = Message(str(uuid.uuid4()), message.body, message.system_attributes)
    new.message_attributes = message.message_attributes
    new.group_id = message.group_id
    new.mark_sent()
    return new
