"""Feeds a function from a queue, as a Lambda event source mapping does.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html and, for partial batch responses,
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from moto.awslambda_simple.models import lambda_simple_backends
from moto.sqs.models import sqs_backends

from local.accounts import account_of
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from moto.awslambda.models import EventSourceMapping
    from moto.sqs.models import Message, Queue

    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "lambda-sqs-record",
        "The record of a message has its attributes and, if it has any of its own, their digest.",
        Evidence.RECORDED,
        "lambda/sqs-event-source.json",
    ),
    Rule(
        "lambda-sqs-error",
        "A function that fails keeps the whole batch.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html",
    ),
    Rule(
        "lambda-sqs-failures",
        "With ReportBatchItemFailures the named messages stay; an answer without sense keeps all.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html",
    ),
    Rule(
        "lambda-sqs-permissions",
        "Lambda polls with the function's role, which needs three permissions on the queue.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html",
    ),
)

_LOG = logging.getLogger(__name__)
_DEFAULT_CONCURRENCY = 4  # batches at a time; Lambda begins with five and goes far beyond


class Poller:
    """One enabled mapping. It starts at once and takes up to ``BatchSize`` messages at a time."""

    def __init__(self, aws: LocalAws, mapping: EventSourceMapping) -> None:
        self._aws = aws
        self._mapping = mapping
        self._stopped = threading.Event()
        wanted = (mapping.scaling_config or {}).get("MaximumConcurrency") or _DEFAULT_CONCURRENCY
        self._concurrency = min(int(wanted), _DEFAULT_CONCURRENCY)
        self._slots = threading.Semaphore(self._concurrency)
        self._batches = ThreadPoolExecutor(self._concurrency, thread_name_prefix="batch")
        self._thread = threading.Thread(target=self._poll, name=f"poller-{mapping.uuid}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more messages. Batches that are being worked on are finished."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until no message is being taken."""
        self._thread.join(timeout=5)

    def _poll(self) -> None:
        if not self._may_poll():
            return
        _, _, _, region, account, name = self._mapping.event_source_arn.split(":", 5)
        size = min(int(self._mapping.batch_size), 10)  # one ReceiveMessage gives ten at most
        while not self._stopped.is_set():
            queue = sqs_backends[account][region].queues.get(name)
            if queue is None:
                self._stopped.wait(0.2)
                continue
            if not self._slots.acquire(timeout=0.2):
                continue
            messages = self._receive(queue, size)
            if not messages:
                self._slots.release()
                continue
            self._batches.submit(self._work, queue, messages)
        self._batches.shutdown(wait=False)

    def _may_poll(self) -> bool:
        """Tell whether the function's role has the permissions that Lambda polls with.

        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        """
        function = self._function()
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            asked = self._aws.authority.authorize_role(function.role, action, self._mapping.event_source_arn)
            if not asked.allowed:
                _LOG.warning("%s is not fed: %s", function.function_arn, asked.reason)
                return False
        return True

    def _function(self) -> Any:
        arn = self._mapping.function_arn
        return lambda_simple_backends[account_of(arn)][arn.split(":")[3]].get_function(arn)

    def _receive(self, queue: Queue, size: int) -> list[Message]:
        backend = sqs_backends[queue.account_id][queue.region]
        try:
            taken: list[Message] = backend.receive_message(
                queue.name, size, 0, queue.visibility_timeout, ["All"]
            )
        except Exception:  # the queue was deleted, or everything was reset
            taken = []
        if not taken:
            with queue._messages_lock:
                queue._messages_lock.wait(0.1)
        return taken

    def _work(self, queue: Queue, messages: list[Message]) -> None:
        try:
            function = self._function()
            event = {"Records": [_record(message, queue) for message in messages]}
            result = self._aws.functions.run(function, json.dumps(event).encode())
            kept = {m.id for m in messages} if result.failed else self._failures(result.payload, messages)
            backend = sqs_backends[queue.account_id][queue.region]
            for message in messages:
                if message.id not in kept:
                    backend.delete_message(queue.name, message.receipt_handle)
        finally:
            self._slots.release()

    def _failures(self, payload: bytes, messages: list[Message]) -> set[str]:
        """Give the ids of the messages that stay in the queue.

        Without ``ReportBatchItemFailures`` none; with it those that the function names. An answer that
        cannot be understood, or names a message that was not in the batch, keeps the whole batch.
        """
        if "ReportBatchItemFailures" not in (self._mapping.function_response_types or ()):
            return set()
        ids = {message.id for message in messages}
        answer = json.loads(payload or b"null")
        if answer in (None, {}) or (isinstance(answer, dict) and not answer.get("batchItemFailures")):
            return set()
        try:
            named = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        except (KeyError, TypeError):
            return ids
        return named if named <= ids else ids


def _record(message: Message, queue: Queue) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    for name, value in (
        ("MessageGroupId", message.group_id),
        ("MessageDeduplicationId", message.deduplication_id),
        ("SequenceNumber", message.sequence_number),
    ):
        if value:
            attributes[name] = value
    # An event has the member only for a message with attributes.
    digest = {"md5OfMessageAttributes": message.attribute_md5} if message.message_attributes else {}
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        **digest,
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": queue.region,
    }


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    """Write a message attribute as the event has it: camel case, with the empty lists."""
    given = {"stringValue": value.get("StringValue"), "binaryValue": value.get("BinaryValue")}
    return {
        **{name: content for name, content in given.items() if content is not None},
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value["DataType"],
    }
