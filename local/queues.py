"""SQS as documented where moto is not: event source mappings, safe receiving, moving messages back.

moto keeps the queues. Its own delivery to functions, synchronous and one message at a time, is switched off;
each mapping has a poller instead. `sending` sends, `messages` receives and deletes, `moves` adds the message move
tasks.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from moto.awslambda_simple.models import lambda_simple_backends
from moto.core import serialize
from moto.core.errors import ErrorShape
from moto.sqs.exceptions import SQSException
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends

from local import messages, moves, sending
from local.evidence import Evidence, Rule
from local.pollers import Poller

if TYPE_CHECKING:
    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "sqs-dead-letter",
        "A message that was received maxReceiveCount times goes to the dead-letter queue with its id.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html",
    ),
    Rule(
        "sqs-dead-letter-source",
        "A message that SQS moved to a dead-letter queue says by DeadLetterQueueSourceArn where it came from.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html",
    ),
    Rule(
        "sqs-names-of-errors",
        "A value that is refused is an InvalidParameterValueException of the JSON protocol; an unknown queue or task "
        "of a move answers 404.",
        Evidence.RECORDED,
        "sqs/move-tasks.json",
    ),
    Rule(
        "sqs-batches-of-handles",
        "DeleteMessageBatch and ChangeMessageVisibilityBatch have the limits of SendMessageBatch.",
        Evidence.RECORDED,
        "sqs/batches-and-limits.json",
    ),
)

_original_receive = SQSBackend.receive_message
_original_change_visibility = SQSBackend.change_message_visibility
_original_delete_batch = SQSBackend.delete_message_batch
_original_delete = Queue.delete_message
_error_model = serialize.get_error_model
# By the code of the former protocol, which botocore shows as Code: the name in JSON (QueryErrorCode), and the status.
_ERRORS = {
    "InvalidParameterValue": ("InvalidParameterValueException", 400),
    "ResourceNotFoundException": ("ResourceNotFoundException", 404),
}
_STEP = 0.05  # seconds between two looks at an empty queue, and at the list of mappings


class Queues:
    """The queues of all accounts and the pollers that feed functions from them."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._pollers: dict[str, Poller] = {}
        self._ended = threading.Event()
        self._running = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="event-source-mappings", daemon=True)

    def install(self) -> None:
        """Take over sending, receiving and deleting, and start to serve event source mappings."""
        # moto hands messages to the mappings that it finds here; nothing is ever found.
        nothing = property(lambda queue: {}, lambda queue, value: None)
        self._aws.patch(Queue, "lambda_event_source_mappings", nothing)
        self._aws.patch(SQSBackend, "send_message", sending.send)
        self._aws.patch(SQSBackend, "send_message_batch", sending.send_batch)
        self._aws.patch(SQSBackend, "delete_message_batch", _delete_batch)
        self._aws.patch(SQSBackend, "change_message_visibility_batch", _change_visibility_batch)
        self._aws.patch(SQSBackend, "receive_message", _receive)
        self._aws.patch(SQSBackend, "change_message_visibility", _change_visibility)
        self._aws.patch(Queue, "delete_message", _delete)
        self._aws.patch(serialize, "get_error_model", _recorded_error)
        moves.install(self._aws)
        self._running.set()
        self._watcher.start()

    def close(self) -> None:
        """End all pollers."""
        self._ended.set()
        self.pause()
        if self._watcher.is_alive():
            self._watcher.join(timeout=5)

    def pause(self) -> None:
        """Stop to take messages from queues; a test that wants to look at one does this."""
        self._running.clear()
        for poller in self._pollers.values():
            poller.stop()
        for poller in self._pollers.values():
            poller.join()
        self._pollers.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        self._running.set()

    def make_visible(self, account: str, queue: str) -> int:
        """Let every hidden message of a queue be received now, and give how many there were.

        For tests only: it does what waiting for the visibility timeout (or a delay) does. A message that a
        function is working on right now becomes visible too, and is then received twice, as when the function
        takes longer than the visibility timeout.

        Parameters
        ----------
        queue
            Name or URL.
        """
        found = sqs_backends[account][self._aws.region].get_queue(queue.rsplit("/", 1)[-1])
        with found._messages_lock:
            hidden = [message for message in found._messages if not message.visible or message.delayed]
            for message in hidden:
                message.visible_at = message.delayed_until = 0.0
            found._messages_lock.notify_all()
        return len(hidden)

    def end_delays(self, account: str, queue: str) -> int:
        """Let every message that waits for its ``DelaySeconds`` be received now, and give how many there were.

        For tests only. What a function is working on stays hidden, other than with `make_visible`.
        """
        found = sqs_backends[account][self._aws.region].get_queue(queue.rsplit("/", 1)[-1])
        with found._messages_lock:
            waiting = [message for message in found._messages if message.delayed]
            for message in waiting:
                message.delayed_until = 0.0
            found._messages_lock.notify_all()
        return len(waiting)

    def _watch(self) -> None:
        while not self._ended.wait(_STEP):
            if self._running.is_set():
                self._look_at_mappings()

    def _look_at_mappings(self) -> None:
        wanted: dict[str, Any] = {}
        for account in list(lambda_simple_backends.values()):
            for backend in list(account.values()):
                for mapping in list(backend._event_source_mappings.values()):
                    if mapping.enabled and ":sqs:" in mapping.event_source_arn:
                        wanted[mapping.uuid] = mapping
        for uuid in self._pollers.keys() - wanted.keys():
            self._pollers.pop(uuid).stop()
        for uuid in wanted.keys() - self._pollers.keys():
            self._pollers[uuid] = Poller(self._aws, wanted[uuid])


def _receive(
    backend: SQSBackend,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> list[Message]:
    """Receive, but no message twice at once, and remember where a dead letter came from."""
    queue = backend.get_queue(queue_name)
    until = time.monotonic() + float(wait_seconds_timeout or 0)
    names = message_attribute_names or []
    while True:
        with queue._messages_lock:
            _move_dead_letters(queue)
            if queue.fifo_queue:
                found = _original_receive(backend, queue_name, count, 0, visibility_timeout, names)
            else:
                found = messages.receive(queue, count, visibility_timeout, names)
        left = until - time.monotonic()
        if found or left <= 0:
            return list(found)
        with queue._messages_lock:
            queue._messages_lock.wait(min(left, _STEP * 4))


def _move_dead_letters(queue: Queue) -> None:
    """Move what was received ``maxReceiveCount`` times, with the attribute that names the queue.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html,
    ``DeadLetterQueueSourceArn``
    """
    if queue.dead_letter_queue is None or not queue.redrive_policy:
        return
    limit = int(queue.redrive_policy["maxReceiveCount"])
    for message in [m for m in messages.waiting(queue) if m.approximate_receive_count >= limit]:
        queue._messages.remove(message)
        queue.pending_messages.discard(message)
        moves.came_from(message, queue.queue_arn)
        queue.dead_letter_queue.add_message(message)


def _delete(queue: Queue, receipt_handle: str) -> None:
    """Delete without losing what is sent meanwhile."""
    with queue._messages_lock:
        (_original_delete if queue.fifo_queue else messages.delete)(queue, receipt_handle)


def _delete_batch(
    backend: SQSBackend, queue_name: str, receipts: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, str]]]:
    sending.check_batch([entry["Id"] for entry in receipts])
    answer: tuple[list[str], list[dict[str, str]]] = _original_delete_batch(backend, queue_name, receipts)
    return answer


def _change_visibility_batch(
    backend: SQSBackend, queue_name: str, entries: list[dict[str, Any]]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Hide each message that can be hidden, and say why no other one can."""
    sending.check_batch([entry["Id"] for entry in entries])
    changed, failed = [], []
    for entry in entries:
        try:
            backend.change_message_visibility(
                queue_name=queue_name,
                receipt_handle=entry["ReceiptHandle"],
                visibility_timeout=int(entry["VisibilityTimeout"]),
            )
        except SQSException as error:
            said = {"Code": error.code, "Message": error.message}
            failed.append({"Id": entry["Id"], "SenderFault": True, **said})
        else:
            changed.append(entry["Id"])
    return changed, failed


def _change_visibility(
    backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int
) -> None:
    queue = backend.get_queue(queue_name)
    if queue.fifo_queue:
        _original_change_visibility(backend, queue_name, receipt_handle, visibility_timeout)
    else:
        messages.change_visibility(queue, receipt_handle, int(visibility_timeout))


def _recorded_error(error: Exception, service: Any) -> Any:
    """Describe an error as moto does, with name and status of SQS where moto has others."""
    code = getattr(error, "code", "")
    shape: Any = _error_model(error, service)
    if not isinstance(error, SQSException) or code not in _ERRORS:
        return shape
    name, status = _ERRORS[code]
    described = {"code": code, "httpStatusCode": status, "senderFault": True}
    return ErrorShape(name, {**shape._shape_model, "error": described}, shape._shape_resolver)
