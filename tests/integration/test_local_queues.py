"""SQS, and functions fed from it, behave in the local AWS as documented."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import make_function, receive_all, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ACCOUNT = "333333333321"
POLLING = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
# Says what it was given; fails the messages whose body is "bad", all for "worse", answers nonsense for "odd".
CODE = """
import json
def handler(event, context):
    records = event["Records"]
    print("BATCH " + json.dumps(records))
    bodies = [record["body"] for record in records]
    if "worse" in bodies:
        raise RuntimeError("worse")
    if "odd" in bodies:
        return {"batchItemFailures": [{"itemIdentifier": "nobody"}]}
    bad = [{"itemIdentifier": r["messageId"]} for r in records if r["body"] == "bad"]
    return {"batchItemFailures": bad} if bad else None
"""


class Fed:
    """A queue with a dead-letter queue, and a function that is fed from it."""

    def __init__(self, aws: LocalAws, fresh: Callable[[str], str], **mapping: Any) -> None:
        self.aws, self.sqs = aws, aws.client("sqs", ACCOUNT)
        self.dead_url = self.sqs.create_queue(QueueName=fresh("dead"))["QueueUrl"]
        self.dead_arn = self.arn(self.dead_url)
        redrive = json.dumps({"deadLetterTargetArn": self.dead_arn, "maxReceiveCount": 2})
        attributes = {"RedrivePolicy": redrive, "VisibilityTimeout": "600"}
        self.url = self.sqs.create_queue(QueueName=fresh("queue"), Attributes=attributes)["QueueUrl"]
        self.function = make_function(aws, ACCOUNT, CODE, actions=POLLING)
        self.mapping = aws.client("lambda", ACCOUNT).create_event_source_mapping(
            EventSourceArn=self.arn(self.url),
            FunctionName=self.function,
            Enabled=False,
            BatchSize=10,
            **mapping,
        )["UUID"]

    def arn(self, url: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def send(self, *bodies: str) -> None:
        for body in bodies:
            attributes = {"colour": {"DataType": "String", "StringValue": "green"}}
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=attributes)

    def start(self) -> None:
        self.aws.client("lambda", ACCOUNT).update_event_source_mapping(UUID=self.mapping, Enabled=True)

    def batches(self) -> list[list[dict[str, Any]]]:
        log = self.aws.functions.log(self.function)
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line.removeprefix("BATCH ")) for line in lines if line.startswith("BATCH ")]

    def counts(self) -> tuple[int, int]:
        """Give how many messages are visible and how many are hidden."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture
def fed(local_aws: LocalAws, fresh: Callable[[str], str]) -> Fed:
    return Fed(local_aws, fresh, FunctionResponseTypes=["ReportBatchItemFailures"])


def test_a_batch_is_what_waits_in_the_queue(fed: Fed) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    fed.send(*(f"m{i}" for i in range(12)))
    fed.start()
    wait_for(lambda: fed.counts() == (0, 0), what="an empty queue")
    batches = fed.batches()
    assert sorted(map(len, batches)) == [2, 10]
    assert {record["body"] for batch in batches for record in batch} == {f"m{i}" for i in range(12)}


def test_the_record(fed: Fed) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event"""
    fed.send("hello")
    fed.start()
    wait_for(fed.batches, what="the batch")
    ((record,),) = fed.batches()
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"].keys() == {
        "ApproximateReceiveCount", "SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"
    }  # fmt: skip
    assert record["messageAttributes"]["colour"]["stringValue"] == "green"
    assert record["md5OfBody"] == "5d41402abc4b2a76b9719d911017c592"
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == fed.arn(fed.url)
    assert record["awsRegion"] == fed.aws.region


def test_only_the_messages_that_failed_come_again(fed: Fed) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting"""
    fed.send("good", "bad", "good")
    fed.start()
    wait_for(lambda: fed.counts() == (0, 1), what="one hidden message")
    assert fed.aws.make_visible(ACCOUNT, fed.url) == 1
    wait_for(lambda: len(fed.batches()) == 2, what="the second batch")
    (record,) = fed.batches()[1]
    assert (record["body"], record["attributes"]["ApproximateReceiveCount"]) == ("bad", "2")


def wait_for_batches(fed: Fed, number: int) -> None:
    wait_for(lambda: len(fed.batches()) == number, what=f"batch {number}")


def test_a_message_that_fails_too_often_becomes_a_dead_letter(fed: Fed) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html"""
    fed.send("bad")
    fed.start()
    for attempts in (1, 2):
        wait_for_batches(fed, attempts)
        wait_for(lambda: fed.counts() == (0, 1), what="a hidden message")
        fed.aws.make_visible(ACCOUNT, fed.url)
    (message,) = wait_for(lambda: receive_all(fed.aws, ACCOUNT, fed.dead_url), what="the dead letter")
    assert message["Body"] == "bad"
    assert message["MessageAttributes"]["colour"]["StringValue"] == "green"
    assert len(fed.batches()) == 2


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_has_no_room_for_are_refused(fed: Fed, character: str) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""
    text = f"a{character}b"
    with pytest.raises(ClientError, match="Invalid characters") as caught:
        fed.sqs.send_message(QueueUrl=fed.url, MessageBody=text)
    assert "InvalidMessageContents" in caught.value.response["Error"]["Code"]
    attributes = {"reason": {"DataType": "String", "StringValue": text}}
    with pytest.raises(ClientError, match="'reason'"):
        fed.sqs.send_message(QueueUrl=fed.url, MessageBody="hello", MessageAttributes=attributes)
    assert fed.counts() == (0, 0)


def test_every_other_character_is_taken(fed: Fed) -> None:
    text = "\t\n\r ~\x7fé\ud7ff\ue000\ufffd\U00010000\U0010ffff"
    attributes = {"reason": {"DataType": "String", "StringValue": text}}
    fed.sqs.send_message(QueueUrl=fed.url, MessageBody=text, MessageAttributes=attributes)
    (message,) = receive_all(fed.aws, ACCOUNT, fed.url)
    assert (message["Body"], message["MessageAttributes"]) == (text, attributes)


@pytest.mark.parametrize("body", ["worse", "odd"])
def test_an_error_or_an_answer_that_makes_no_sense_keeps_the_batch(fed: Fed, body: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
    fed.send("good", body)
    fed.start()
    wait_for(fed.batches, what="the batch")
    wait_for(lambda: fed.counts() == (0, 2), what="two hidden messages")


def test_without_partial_responses_an_answer_deletes_the_batch(
    local_aws: LocalAws, fresh: Callable[[str], str]
) -> None:
    plain = Fed(local_aws, fresh)
    plain.send("good", "bad")
    plain.start()
    wait_for(lambda: plain.counts() == (0, 0), what="an empty queue")


def test_a_function_whose_role_may_not_receive_is_not_fed(
    local_aws: LocalAws, fresh: Callable[[str], str]
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions"""
    fed = Fed(local_aws, fresh)
    role = local_aws.client("lambda", ACCOUNT).get_function(FunctionName=fed.function)["Configuration"][
        "Role"
    ]
    local_aws.client("iam", ACCOUNT).delete_role_policy(RoleName=role.rpartition("/")[2], PolicyName="test")
    denials = len(local_aws.authority.denials)
    fed.send("good")
    fed.start()
    wait_for(lambda: len(local_aws.authority.denials) > denials, what="the refusal")
    assert fed.counts() == (1, 0)
    assert fed.batches() == []


def test_receivers_side_by_side_do_not_get_the_same_message(
    local_aws: LocalAws, fresh: Callable[[str], str]
) -> None:
    """A message is hidden while its visibility timeout runs:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
    """
    sqs = local_aws.client("sqs", ACCOUNT)
    url = sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    for number in range(40):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    got: list[str] = []

    def receive() -> None:
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=3).get("Messages"):
            got.extend(message["Body"] for message in messages)

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, got)) == list(range(40))


def test_a_message_that_is_gone_cannot_be_hidden(local_aws: LocalAws, fresh: Callable[[str], str]) -> None:
    """https://github.com/localstack/localstack/blob/main/tests/aws/services/sqs/test_sqs.py, of a deleted message"""
    sqs = local_aws.client("sqs", ACCOUNT)
    url = sqs.create_queue(QueueName=fresh("queue"))["QueueUrl"]
    for body in ("gone", "there"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    handles = {message["Body"]: message["ReceiptHandle"] for message in received}
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handles["gone"])
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handles["gone"], VisibilityTimeout=0)
    entries = [
        {"Id": body, "ReceiptHandle": handle, "VisibilityTimeout": 0} for body, handle in handles.items()
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["there"]
    assert [(each["Id"], each["Code"]) for each in answer["Failed"]] == [("gone", "InvalidParameterValue")]
