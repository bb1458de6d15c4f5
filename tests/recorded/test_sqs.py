"""Messages of SQS: what is taken, alone and in a batch, and what is refused."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = "sqs/batches-and-limits.json"
MOVES = "sqs/move-tasks.json"
LARGEST = 1_048_576
STARTED = Differing("*/StartedTimestamp", "a number, which the recording replaced by a word")


@pytest.fixture
def sqs(client: Callable[[str], Any]) -> Any:
    return client("sqs")


@pytest.fixture
def queue(sqs: Any, fresh: Callable[[str], str]) -> str:
    return str(sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"])


@pytest.fixture
def narrow(sqs: Any, fresh: Callable[[str], str]) -> str:
    """Make a queue whose messages may have 1,024 bytes."""
    attributes = {"MaximumMessageSize": "1024"}
    return str(sqs.create_queue(QueueName=fresh("queue"), Attributes=attributes)["QueueUrl"])


@replays(LIMITS, "test_send_batch_message_size")
def test_an_entry_that_is_too_large_fails_alone(replay: Replay, sqs: Any, narrow: str) -> None:
    bad, good = str(uuid.uuid4()), str(uuid.uuid4())
    replay.bind("<uuid:1>", bad)
    replay.bind("<uuid:2>", good)
    entries = [{"Id": bad, "MessageBody": "a" * 1_025}, {"Id": good, "MessageBody": "a" * 1_024}]
    replay("send-message-batch-result", lambda: sqs.send_message_batch(QueueUrl=narrow, Entries=entries))


@replays("sqs/batch-with-bad-entry.json", "test_batch_send_with_invalid_char_should_succeed")
def test_an_entry_with_a_character_that_sqs_refuses_fails_alone(replay: Replay, sqs: Any, queue: str) -> None:
    entries = [{"Id": str(i), "MessageBody": f"{i}\a" if i == 1 else str(i)} for i in range(3)]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    failed = [{name: each[name] for name in ("Code", "SenderFault")} for each in answer["Failed"]]
    replay.compare("Failed", failed)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [each["Id"] for each in answer["Successful"]] == ["0", "2"]


@replays(LIMITS, "test_send_message_batch_with_oversized_contents[sqs]")
def test_a_batch_that_is_too_large(replay: Replay, sqs: Any, queue: str) -> None:
    attributes = {"k": {"DataType": "String", "StringValue": "x"}}
    entries: list[dict[str, Any]] = [
        {"Id": "1", "MessageBody": "a" * (LARGEST - 8), "MessageAttributes": attributes},
        {"Id": "2", "MessageBody": "a"},
    ]
    replay("send_oversized_message_batch", lambda: sqs.send_message_batch(QueueUrl=queue, Entries=entries))


@replays(LIMITS, "test_send_oversized_message[sqs]")
def test_attributes_count_into_the_size(replay: Replay, sqs: Any, queue: str) -> None:
    attributes = {"k": {"DataType": "String", "StringValue": "x"}}
    body = "a" * (LARGEST - 7)
    replay(
        "send_oversized_message",
        lambda: sqs.send_message(QueueUrl=queue, MessageBody=body, MessageAttributes=attributes),
    )
    sqs.send_message(QueueUrl=queue, MessageBody=body[1:], MessageAttributes=attributes)


@replays(LIMITS, "test_send_message_with_updated_maximum_message_size[sqs]")
def test_a_message_that_is_too_large_for_its_queue(replay: Replay, sqs: Any, narrow: str) -> None:
    replay("send_oversized_message", lambda: sqs.send_message(QueueUrl=narrow, MessageBody="é" * 513))
    sqs.send_message(QueueUrl=narrow, MessageBody="é" * 512)


@replays(LIMITS, "test_send_empty_message[sqs]")
def test_a_message_without_a_body(replay: Replay, sqs: Any, queue: str) -> None:
    replay("send_empty_message", lambda: sqs.send_message(QueueUrl=queue, MessageBody=""))


@replays(LIMITS, "test_send_message_with_empty_string_attribute[sqs]")
def test_an_attribute_without_a_value(replay: Replay, sqs: Any, queue: str) -> None:
    attributes = {"ErrorDetails": {"DataType": "String", "StringValue": ""}}
    replay(
        "empty-string-attr",
        lambda: sqs.send_message(QueueUrl=queue, MessageBody="test", MessageAttributes=attributes),
    )


@replays(LIMITS, "test_too_many_entries_in_batch_request[sqs]")
def test_too_many_messages_to_send(replay: Replay, sqs: Any, queue: str) -> None:
    entries = [{"Id": str(i), "MessageBody": str(i)} for i in range(20)]
    replay(
        "test_too_many_entries_in_batch_request",
        lambda: sqs.send_message_batch(QueueUrl=queue, Entries=entries),
    )


@replays(LIMITS, "test_delete_message_batch_with_too_large_batch[sqs]")
def test_too_many_messages_to_delete(replay: Replay, sqs: Any, queue: str) -> None:
    entries = [{"Id": str(i), "ReceiptHandle": f"handle-{i}"} for i in range(20)]
    replay("error_response", lambda: sqs.delete_message_batch(QueueUrl=queue, Entries=entries))


@replays(LIMITS, "test_change_message_visibility_batch_with_too_large_batch[sqs]")
def test_too_many_messages_to_hide(replay: Replay, sqs: Any, queue: str) -> None:
    entries = [{"Id": str(i), "ReceiptHandle": "handle", "VisibilityTimeout": 0} for i in range(20)]
    replay("error_response", lambda: sqs.change_message_visibility_batch(QueueUrl=queue, Entries=entries))


@replays(LIMITS, "test_invalid_batch_id[sqs]")
def test_an_id_that_is_none(replay: Replay, sqs: Any, queue: str) -> None:
    entries = [{"Id": "message:id", "MessageBody": "1"}]
    replay("test_invalid_batch_id", lambda: sqs.send_message_batch(QueueUrl=queue, Entries=entries))


@replays(LIMITS, "test_delete_message_batch_invalid_msg_id[sqs-invalid:id]")
def test_an_id_that_is_none_to_delete(replay: Replay, sqs: Any, queue: str) -> None:
    entries = [{"Id": "invalid:id", "ReceiptHandle": "handle"}]
    replay("error_response", lambda: sqs.delete_message_batch(QueueUrl=queue, Entries=entries))


@replays(LIMITS, "test_non_existent_queue")
def test_a_queue_that_is_not_there(replay: Replay, sqs: Any, queue: str, fresh: Callable[[str], str]) -> None:
    name = fresh("queue")
    replay("queue-does-not-exist", lambda: sqs.get_queue_url(QueueName=name))
    url = queue.replace(queue.rpartition("/")[2], name)
    replay("queue-does-not-exist-url", lambda: sqs.get_queue_attributes(QueueUrl=url))


@replays(LIMITS, "test_receive_empty_queue[sqs]")
def test_a_queue_without_messages(replay: Replay, sqs: Any, queue: str) -> None:
    replay("empty_short_poll_resp_no_param", lambda: sqs.receive_message(QueueUrl=queue))
    replay("empty_short_poll_resp", lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=0))
    replay("empty_long_poll_resp", lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1))


@dataclass
class Pair:
    """A queue and its dead-letter queue."""

    sqs: Any
    url: str
    arn: str
    dead_url: str
    dead: str

    def move(self, **destination: Any) -> Any:
        return self.sqs.start_message_move_task(SourceArn=self.dead, **destination)

    def stuck(self, count: int) -> None:
        """Let SQS move messages to the dead-letter queue, by receiving them too often."""
        for number in range(count):
            self.sqs.send_message(QueueUrl=self.url, MessageBody=f"message-{number}")
        for _ in range(2):
            self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, VisibilityTimeout=0)

    def ended(self) -> Any:
        """Wait for the end of the task and give the list."""
        while True:
            found = self.sqs.list_message_move_tasks(SourceArn=self.dead)
            if found["Results"][0]["Status"] != "RUNNING":
                return found


@pytest.fixture
def pair(sqs: Any, fresh: Callable[[str], str]) -> Pair:
    def arn(url: str) -> str:
        names = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
        return str(sqs.get_queue_attributes(**names)["Attributes"]["QueueArn"])

    dead_url = sqs.create_queue(QueueName=fresh("dead"))["QueueUrl"]
    redrive = json.dumps({"deadLetterTargetArn": arn(dead_url), "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName=fresh("queue"), Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    return Pair(sqs, url, arn(url), dead_url, arn(dead_url))


@replays(MOVES, "test_basic_move_task_workflow", differing=[STARTED])
def test_a_move_to_a_named_queue(replay: Replay, pair: Pair) -> None:
    pair.stuck(2)
    replay("start-message-move-task-response", lambda: pair.move(DestinationArn=pair.arn))
    replay("list-message-move-task-response", pair.ended)


@replays(MOVES, "test_move_task_workflow_with_default_destination", differing=[STARTED])
def test_a_move_to_where_the_messages_came_from(replay: Replay, pair: Pair) -> None:
    pair.stuck(2)
    replay("start-message-move-task-response", pair.move)
    replay("list-message-move-task-response", pair.ended)


@replays(MOVES, "test_start_multiple_move_tasks")
def test_a_second_move_while_one_runs(replay: Replay, pair: Pair) -> None:
    pair.stuck(5)
    pair.move(DestinationArn=pair.arn, MaxNumberOfMessagesPerSecond=1)
    replay("error", lambda: pair.move(DestinationArn=pair.arn))


@replays(MOVES, "test_source_needs_redrive_policy")
def test_a_move_from_a_queue_that_is_nobodys_dead_letter_queue(replay: Replay, sqs: Any, pair: Pair) -> None:
    replay("error", lambda: sqs.start_message_move_task(SourceArn=pair.arn))


@replays(MOVES, "test_destination_needs_to_exist")
def test_a_move_to_a_queue_that_is_not_there(replay: Replay, pair: Pair) -> None:
    replay("error", lambda: pair.move(DestinationArn=f"{pair.arn}-not-there"))


def handle(source_arn: str) -> str:
    content = {"taskId": str(uuid.uuid4()), "sourceArn": source_arn}
    return base64.b64encode(json.dumps(content).encode()).decode()


@replays(MOVES, "test_cancel_with_invalid_task_handle")
def test_a_handle_that_is_none(replay: Replay, sqs: Any) -> None:
    replay("error", lambda: sqs.cancel_message_move_task(TaskHandle="foobar"))


@replays(MOVES, "test_cancel_with_invalid_source_arn_in_task_handle")
def test_a_handle_of_a_queue_that_is_not_there(replay: Replay, sqs: Any, pair: Pair) -> None:
    replay("error", lambda: sqs.cancel_message_move_task(TaskHandle=handle(f"{pair.dead}-not-there")))


@replays(MOVES, "test_cancel_with_invalid_task_id_in_task_handle")
def test_a_handle_of_a_task_that_is_not_there(replay: Replay, sqs: Any, pair: Pair) -> None:
    replay("error", lambda: sqs.cancel_message_move_task(TaskHandle=handle(pair.dead)))


@replays(MOVES, "test_move_task_workflow_with_multiple_sources_as_default_destination", differing=[STARTED])
def test_a_move_to_each_messages_own_source(
    replay: Replay, sqs: Any, pair: Pair, fresh: Callable[[str], str]
) -> None:
    redrive = json.dumps({"deadLetterTargetArn": pair.dead, "maxReceiveCount": 1})
    name = fresh("queue")
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    other = Pair(sqs, url, f"{pair.arn.rpartition(':')[0]}:{name}", pair.dead_url, pair.dead)
    for key, arn in {
        "source-arn": pair.dead,
        "original-source-1": pair.arn,
        "original-source-2": other.arn,
    }.items():
        replay.compare(key, arn)
    pair.stuck(2)
    other.stuck(2)
    replay("start-message-move-task-response", pair.move)
    replay("list-message-move-task-response", pair.ended)
    for each in (pair, other):
        assert len(sqs.receive_message(QueueUrl=each.url, MaxNumberOfMessages=10)["Messages"]) == 2


MOVED = Differing("list/Results/0/ApproximateNumberOfMessagesMoved", "it depends on when the queue went")


@replays(MOVES, "test_move_task_delete_destination_queue_while_running", differing=[STARTED, MOVED])
def test_a_move_whose_destination_goes(replay: Replay, sqs: Any, pair: Pair, queue: str) -> None:
    pair.stuck(10)
    pair.move(
        DestinationArn=f"{pair.arn.rpartition(':')[0]}:{queue.rpartition('/')[2]}",
        MaxNumberOfMessagesPerSecond=1,
    )
    sqs.delete_queue(QueueUrl=queue)
    replay("list", pair.ended)


def as_recorded(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the times as the recording does; it has no SenderId."""
    return [
        {
            **message,
            "Attributes": {
                name: "timestamp" if name.endswith("Timestamp") else value
                for name, value in message["Attributes"].items()
                if name != "SenderId"
            },
        }
        for message in sorted(messages, key=lambda each: str(each["Body"]))
    ]


@replays("sqs/dead-letters.json", "test_dead_letter_queue_message_attributes")
def test_what_a_dead_letter_keeps(replay: Replay, sqs: Any, pair: Pair) -> None:
    """Its id, its attributes and its count of receipts, which goes on."""
    replay.compare("dlq-arn", pair.dead)
    replay.compare("sourcen-arn", pair.arn)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    sqs.send_message(
        QueueUrl=pair.url,
        MessageBody="message-1",
        MessageAttributes={"MyAttribute": {"StringValue": "foobar", "DataType": "String"}},
        MessageSystemAttributes={"AWSTraceHeader": {"StringValue": trace, "DataType": "String"}},
    )
    sqs.send_message(QueueUrl=pair.url, MessageBody="message-2")
    asked: Any = {"MessageAttributeNames": ["All"], "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}
    asked["MessageSystemAttributeNames"] = ["All"]
    replay.compare("rec-pre-dlq", as_recorded(sqs.receive_message(QueueUrl=pair.url, **asked)["Messages"]))
    assert "Messages" not in sqs.receive_message(QueueUrl=pair.url, **asked)
    dead = sqs.receive_message(QueueUrl=pair.dead_url, **asked)["Messages"]
    replay.compare("dlq-messages", as_recorded(dead))


TIMES = Differing("*Timestamp", "numbers, which the recording replaced by a word")


@replays(
    "sqs/dead-letters.json",
    "test_receive_message_message_system_attribute_names_filters[sqs]",
    differing=[TIMES],
)
def test_system_attributes_by_their_names(replay: Replay, sqs: Any, queue: str) -> None:
    attributes = {"Foo": {"DataType": "String", "StringValue": "Bar"}}
    sqs.send_message(QueueUrl=queue, MessageBody="msg", MessageAttributes=attributes)
    names = "MessageSystemAttributeNames"
    for key, asked in {
        "all_attributes": {names: ["All"]},
        "all_system_and_message_attributes": {names: ["All"], "MessageAttributeNames": ["All"]},
        "single_attribute": {names: ["SenderId"]},
        "multiple_attributes": {names: ["SenderId", "SequenceNumber"]},
    }.items():
        replay(key, partial(sqs.receive_message, QueueUrl=queue, VisibilityTimeout=0, **asked))
