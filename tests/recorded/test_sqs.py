"""Batches and limits of SQS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "sqs/batches-and-limits.json"
MOST = 1_048_576
QUERY_CODE = Differing(
    "*/Error/QueryErrorCode", "moto has one name for the code of both protocols; the product reads Code"
)
TWENTY = [str(number) for number in range(20)]


@pytest.fixture
def sqs(client: Callable[[str], Any]) -> Any:
    return client("sqs")


@pytest.fixture
def url(sqs: Any, fresh: Callable[[str], str]) -> str:
    return str(sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"])


@replays(FILE, "test_send_batch_message_size")
def test_one_entry_that_is_too_large(replay: Replay, sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
    large, small = replay.bind("<uuid:1>", "one"), replay.bind("<uuid:2>", "two")
    entries = [{"Id": large, "MessageBody": "a" * 1025}, {"Id": small, "MessageBody": "a" * 1024}]
    replay("send-message-batch-result", lambda: sqs.send_message_batch(QueueUrl=url, Entries=entries))


@replays(FILE, "test_send_message_batch_with_oversized_contents[sqs]")
def test_a_batch_that_is_too_large(replay: Replay, sqs: Any, url: str) -> None:
    entries = [{"Id": "1", "MessageBody": "a" * MOST}, {"Id": "2", "MessageBody": "a"}]
    replay("send_oversized_message_batch", lambda: sqs.send_message_batch(QueueUrl=url, Entries=entries))


@replays(FILE, "test_send_message_with_updated_maximum_message_size[sqs]", differing=[QUERY_CODE])
def test_a_message_that_is_too_large(replay: Replay, sqs: Any, url: str) -> None:
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": "1024"})
    replay("send_oversized_message", lambda: sqs.send_message(QueueUrl=url, MessageBody="a" * 1025))


@replays(FILE, "test_send_empty_message[sqs]")
def test_no_body(replay: Replay, sqs: Any, url: str) -> None:
    replay("send_empty_message", lambda: sqs.send_message(QueueUrl=url, MessageBody=""))


@replays(FILE, "test_send_message_with_empty_string_attribute[sqs]", differing=[QUERY_CODE])
def test_an_empty_attribute(replay: Replay, sqs: Any, url: str) -> None:
    empty = {"ErrorDetails": {"StringValue": "", "DataType": "String"}}
    replay(
        "empty-string-attr",
        lambda: sqs.send_message(QueueUrl=url, MessageBody="body", MessageAttributes=empty),
    )


@replays(FILE, "test_too_many_entries_in_batch_request[sqs]")
def test_twenty_to_send(replay: Replay, sqs: Any, url: str) -> None:
    entries = [{"Id": each, "MessageBody": "a"} for each in TWENTY]
    key = "test_too_many_entries_in_batch_request"
    replay(key, lambda: sqs.send_message_batch(QueueUrl=url, Entries=entries))


@replays(FILE, "test_delete_message_batch_with_too_large_batch[sqs]")
def test_twenty_to_delete(replay: Replay, sqs: Any, url: str) -> None:
    entries = [{"Id": each, "ReceiptHandle": each} for each in TWENTY]
    replay("error_response", lambda: sqs.delete_message_batch(QueueUrl=url, Entries=entries))


@replays(FILE, "test_change_message_visibility_batch_with_too_large_batch[sqs]")
def test_twenty_to_hide(replay: Replay, sqs: Any, url: str) -> None:
    entries = [{"Id": each, "ReceiptHandle": each, "VisibilityTimeout": 0} for each in TWENTY]
    replay("error_response", lambda: sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries))


@replays(FILE, "test_invalid_batch_id[sqs]")
def test_an_id_to_send(replay: Replay, sqs: Any, url: str) -> None:
    entries = [{"Id": "message:1", "MessageBody": "a"}]
    replay("test_invalid_batch_id", lambda: sqs.send_message_batch(QueueUrl=url, Entries=entries))


@replays(FILE, "test_delete_message_batch_invalid_msg_id[sqs-invalid:id]")
def test_an_id_to_delete(replay: Replay, sqs: Any, url: str) -> None:
    entries = [{"Id": "invalid:id", "ReceiptHandle": "handle"}]
    replay("error_response", lambda: sqs.delete_message_batch(QueueUrl=url, Entries=entries))
