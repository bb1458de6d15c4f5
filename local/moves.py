"""SQS message move tasks, which moto lacks: dead letters go back to where they came from, or elsewhere.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html and, for how
a task fails,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html

A task moves what waits in the queue when it starts, oldest first, and ends at the first message that it cannot
move. What comes into the queue meanwhile is left alone; what the real service does with that is not documented.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue, sqs_backends
from moto.sqs.responses import SQSResponse

from local import messages
from local.evidence import Evidence, Rule
from local.iam.operations import moved_from

if TYPE_CHECKING:
    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "sqs-move-task",
        "A move task takes messages to a named queue, or each to the queue that it came from.",
        Evidence.RECORDED,
        "sqs/move-tasks.json",
    ),
    Rule(
        "sqs-one-move-task",
        "A queue has one move task at a time; a second one is an InvalidParameterValue.",
        Evidence.RECORDED,
        "sqs/move-tasks.json",
    ),
    Rule(
        "sqs-move-task-handle",
        "A handle that is none is an InvalidParameterValue; an unknown queue or task is not found.",
        Evidence.RECORDED,
        "sqs/move-tasks.json",
    ),
    Rule(
        "sqs-move-without-origin",
        "A task without a destination fails at a message that no queue gave up: CouldNotDetermineMessageSource.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html",
    ),
    Rule(
        "sqs-moved-message",
        "A moved message has a new id and a new time.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html",
    ),
    Rule(
        "sqs-move-task-extent",
        "A task moves what waits when it starts, and no message that comes later.",
        Evidence.INFERRED,
        "Nothing documents it; otherwise messages that fail again at once would be moved for ever.",
    ),
)

_ORIGIN = "DeadLetterQueueSourceArn"
_NO_ORIGIN = "CouldNotDetermineMessageSource"
_NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"
_original_receive = SQSResponse.receive_message
_tasks: dict[str, list[Task]] = {}


def came_from(message: Message, queue_arn: str) -> None:
    """Remember the queue that a message was moved out of into its dead-letter queue."""
    message.dead_letter_source_arn = queue_arn


def install(aws: LocalAws) -> None:
    """Add the three operations to moto's SQS, and the attribute that says where a message came from."""
    _tasks.clear()
    for name, operation in (
        ("start_message_move_task", _start),
        ("list_message_move_tasks", _list),
        ("cancel_message_move_task", _cancel),
        ("receive_message", _receive),
    ):
        aws.patch(SQSResponse, name, operation)


@dataclass
class Task:
    """One move task."""

    source: Queue
    destination: Queue | None
    rate: int | None
    to_move: list[Message]
    moved: int = 0
    status: str = "RUNNING"
    failure: str | None = None
    started: int = field(default_factory=lambda: int(time.time() * 1000))

    def __post_init__(self) -> None:
        content = {"taskId": str(uuid.uuid4()), "sourceArn": self.source.queue_arn}
        self.handle = base64.b64encode(json.dumps(content).encode()).decode()
        self.asked_to_end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="message-move-task", daemon=True)

    @property
    def active(self) -> bool:
        """Whether it still moves messages."""
        return self.status in ("RUNNING", "CANCELLING")

    def start(self) -> None:
        """Begin to move."""
        self._thread.start()

    def _run(self) -> None:
        for message in self.to_move:
            if self.asked_to_end.wait(1 / self.rate if self.rate else 0):
                self.status = "CANCELLED"
                return
            self.failure = self._move(message)
            if self.failure:
                self.status = "FAILED"
                return
        self.status = "COMPLETED"

    def _move(self, message: Message) -> str | None:
        """Move one message, unless somebody has received or deleted it; give why that is impossible."""
        target = self.destination
        if target is None:
            origin = getattr(message, "dead_letter_source_arn", None)
            if origin is None:
                return _NO_ORIGIN
            target = _found(origin)
        if target is None or target.name not in sqs_backends[target.account_id][target.region].queues:
            return _NO_QUEUE
        with self.source._messages_lock:
            if message not in self.source._messages or not message.visible:
                return None
            self.source._messages.remove(message)
        target.add_message(_renewed(message, target))
        self.moved += 1
        return None

    def described(self) -> dict[str, Any]:
        """Give the task as ListMessageMoveTasks does: members without a value are absent."""
        known = {
            "TaskHandle": self.handle if self.status == "RUNNING" else None,
            "Status": self.status,
            "SourceArn": self.source.queue_arn,
            "DestinationArn": self.destination.queue_arn if self.destination else None,
            "MaxNumberOfMessagesPerSecond": self.rate,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": len(self.to_move),
            "FailureReason": self.failure,
            "StartedTimestamp": self.started,
        }
        return {name: value for name, value in known.items() if value is not None}


def _start(response: SQSResponse) -> ActionResult:
    source = _queue(response._get_param("SourceArn"), "SourceArn")
    wanted, rate = response._get_param("DestinationArn"), response._get_param("MaxNumberOfMessagesPerSecond")
    destination = _queue(wanted, "DestinationArn") if wanted else None
    backend = sqs_backends[source.account_id][source.region]
    if not any(queue.dead_letter_queue is source for queue in backend.queues.values()):
        raise SQSException("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
    if destination is source:
        raise SQSException(
            "InvalidParameterValue", "Source queue arn and destination queue arn cannot be the same."
        )
    if rate is not None and not 1 <= int(rate) <= 500:
        raise SQSException("InvalidParameterValue", f"Value {rate} for parameter MaxNumberOfMessagesPerSecond "
                           "is invalid. Reason: must be between 1 and 500.")  # fmt: skip
    tasks = _tasks.setdefault(source.queue_arn, [])
    if any(task.active for task in tasks):
        raise SQSException("InvalidParameterValue", "There is already a task running. Only "
                           "one active task is allowed for a source queue arn at a given time.")  # fmt: skip
    with source._messages_lock:
        task = Task(source, destination, int(rate) if rate else None, list(messages.waiting(source)))
    tasks.insert(0, task)
    task.start()
    return ActionResult({"TaskHandle": task.handle})


def _list(response: SQSResponse) -> ActionResult:
    arn = _queue(response._get_param("SourceArn"), "SourceArn").queue_arn
    most = int(response._get_param("MaxResults") or 1)
    if not 1 <= most <= 10:
        raise SQSException("InvalidParameterValue", f"Value {most} for parameter MaxResults is invalid. "
                           "Reason: must be between 1 and 10.")  # fmt: skip
    return ActionResult({"Results": [task.described() for task in _tasks.get(arn, [])[:most]]})


def _cancel(response: SQSResponse) -> ActionResult:
    handle = response._get_param("TaskHandle")
    if (arn := moved_from(handle)) == "*":
        raise SQSException("InvalidParameterValue", "Value for parameter TaskHandle is invalid.")
    source = _queue(arn, "SourceArn")
    task = next((t for t in _tasks.get(source.queue_arn, []) if t.handle == handle), None)
    if task is None:
        raise SQSException("ResourceNotFoundException", "Task does not exist.")
    if task.status != "RUNNING":
        raise SQSException(
            "AWS.SimpleQueueService.UnsupportedOperation", "Only active tasks can be cancelled."
        )
    task.status = "CANCELLING"
    task.asked_to_end.set()
    return ActionResult({"ApproximateNumberOfMessagesMoved": task.moved})


def _receive(response: SQSResponse) -> ActionResult:
    """Receive as moto does, with the attribute that names the queue a dead letter was moved out of."""
    answer: ActionResult = _original_receive(response)
    asked = {
        *(response._get_param("AttributeNames") or []),
        *(response._get_param("MessageSystemAttributeNames") or []),
    }
    if asked & {"All", _ORIGIN}:
        queue = response.sqs_backend.get_queue(response._get_queue_name())
        for given in answer.result.get("Messages", []):
            origin = getattr(messages.received(queue, given["ReceiptHandle"]), "dead_letter_source_arn", None)
            if origin:
                given.setdefault("Attributes", {})[_ORIGIN] = origin
    return answer


def _found(arn: str) -> Queue | None:
    _, _, _, region, account, name = arn.split(":", 5)
    return sqs_backends[account][region].queues.get(name)


def _queue(arn: str, parameter: str) -> Queue:
    queue = _found(arn) if arn.count(":") == 5 else None
    if queue is None:
        raise SQSException(
            "ResourceNotFoundException",
            f"The resource that you specified for the {parameter} parameter doesn't exist.",
        )
    return queue


def _renewed(message: Message, queue: Queue) -> Message:
    """Make the message that arrives: redriven messages have a new id and enqueue time.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
    """
    new = Message(str(uuid.uuid4()), message.body, message.system_attributes)
    new.message_attributes = message.message_attributes
    new.group_id = message.group_id
    new.mark_sent(delay_seconds=queue.delay_seconds)
    return new
