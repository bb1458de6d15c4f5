"""Message move tasks, which the redrive button of the SQS console starts, behave as documented.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import policy, receive_all, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ACCOUNT = "333333333341"


class Pair:
    """A queue with a dead-letter queue."""

    def __init__(self, aws: LocalAws, fresh: Callable[[str], str]) -> None:
        self.aws, self.sqs = aws, aws.client("sqs", ACCOUNT)
        self.dead_url = self.sqs.create_queue(QueueName=fresh("dead"))["QueueUrl"]
        self.dead = self.arn(self.dead_url)
        redrive = json.dumps({"deadLetterTargetArn": self.dead, "maxReceiveCount": 2})
        self.url = self.sqs.create_queue(QueueName=fresh("queue"), Attributes={"RedrivePolicy": redrive})[
            "QueueUrl"
        ]

    def arn(self, url: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def stuck(self, *bodies: str) -> list[str]:
        """Make dead letters as SQS does, by receiving too often; give their ids."""
        colour = {"colour": {"DataType": "String", "StringValue": "green"}}
        ids = [
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body, MessageAttributes=colour)["MessageId"]
            for body in bodies
        ]
        for _ in range(2):
            for message in self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)["Messages"]:
                self.sqs.change_message_visibility(
                    QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )
        assert "Messages" not in self.sqs.receive_message(QueueUrl=self.url)
        return ids

    def sent(self, *bodies: str) -> None:
        """Send dead letters as we do, straight to the queue."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.dead_url, MessageBody=body)

    def task(self) -> dict[str, Any]:
        """Wait for the end of the newest task, and give it."""

        def over() -> dict[str, Any] | None:
            (task,) = self.sqs.list_message_move_tasks(SourceArn=self.dead)["Results"]
            return dict(task) if task["Status"] not in ("RUNNING", "CANCELLING") else None

        return wait_for(over, what="the end of the task") or {}

    def bodies(self, url: str) -> list[str]:
        return [message["Body"] for message in receive_all(self.aws, ACCOUNT, url)]


@pytest.fixture
def pair(local_aws: LocalAws, fresh: Callable[[str], str]) -> Pair:
    return Pair(local_aws, fresh)


def test_to_where_they_came_from(pair: Pair) -> None:
    (old,) = pair.stuck("stuck")
    (letter,) = pair.sqs.receive_message(
        QueueUrl=pair.dead_url, VisibilityTimeout=0, MessageSystemAttributeNames=["DeadLetterQueueSourceArn"]
    )["Messages"]
    assert letter["Attributes"] == {"DeadLetterQueueSourceArn": pair.arn(pair.url)}
    before = time.time()
    pair.sqs.start_message_move_task(SourceArn=pair.dead)
    task = pair.task()
    assert abs(task.pop("StartedTimestamp") / 1000 - before) < 5
    assert task.pop("SourceArn") == pair.dead
    assert task == {
        "Status": "COMPLETED",
        "ApproximateNumberOfMessagesMoved": 1,
        "ApproximateNumberOfMessagesToMove": 1,
    }
    (message,) = receive_all(pair.aws, ACCOUNT, pair.url)
    assert message["Body"] == "stuck"
    assert message["MessageId"] != old, "a moved message is a new one"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert message["MessageAttributes"]["colour"]["StringValue"] == "green"
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]


def test_what_was_sent_straight_to_the_queue_came_from_nowhere(pair: Pair) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html"""
    pair.sent("ours")
    pair.sqs.start_message_move_task(SourceArn=pair.dead)
    task = pair.task()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert task["ApproximateNumberOfMessagesMoved"] == 0
    assert pair.bodies(pair.dead_url) == ["ours"]


def test_to_a_queue_of_ones_choice_whatever_they_came_from(pair: Pair) -> None:
    pair.stuck("stuck")
    pair.sent("ours")
    pair.sqs.start_message_move_task(SourceArn=pair.dead, DestinationArn=pair.arn(pair.url))
    task = pair.task()
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 2)
    assert task["DestinationArn"] == pair.arn(pair.url)
    assert sorted(pair.bodies(pair.url)) == ["ours", "stuck"]
    assert pair.bodies(pair.dead_url) == []


def test_what_is_hidden_stays(pair: Pair) -> None:
    pair.sent("seen", "unseen")
    pair.sqs.receive_message(QueueUrl=pair.dead_url, VisibilityTimeout=600)
    pair.sqs.start_message_move_task(SourceArn=pair.dead, DestinationArn=pair.arn(pair.url))
    assert pair.task()["ApproximateNumberOfMessagesToMove"] == 1
    pair.aws.make_visible(ACCOUNT, pair.dead_url)
    assert pair.bodies(pair.dead_url) == ["seen"]


def test_a_slow_task_is_the_only_one_and_can_be_cancelled(pair: Pair) -> None:
    pair.sent(*"abcdef")
    start = {"SourceArn": pair.dead, "DestinationArn": pair.arn(pair.url)}
    handle = pair.sqs.start_message_move_task(MaxNumberOfMessagesPerSecond=2, **start)["TaskHandle"]
    (task,) = pair.sqs.list_message_move_tasks(SourceArn=pair.dead)["Results"]
    assert (task["Status"], task["TaskHandle"]) == ("RUNNING", handle)
    assert task["MaxNumberOfMessagesPerSecond"] == 2
    with pytest.raises(ClientError, match="already a task running"):
        pair.sqs.start_message_move_task(**start)
    answer = pair.sqs.cancel_message_move_task(TaskHandle=handle)
    assert answer["ApproximateNumberOfMessagesMoved"] < 6
    task = pair.task()
    assert task["Status"] == "CANCELLED"
    assert "TaskHandle" not in task, "only a running task has one"
    left = pair.bodies(pair.dead_url)
    assert len(left) == 6 - task["ApproximateNumberOfMessagesMoved"] > 0
    with pytest.raises(ClientError, match="Only active tasks"):
        pair.sqs.cancel_message_move_task(TaskHandle=handle)
    with pytest.raises(ClientError, match="Value for parameter TaskHandle is invalid"):
        pair.sqs.cancel_message_move_task(TaskHandle="of nobody")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"MaxNumberOfMessagesPerSecond": 501}, "between 1 and 500"),
        ({"DestinationArn": "arn:aws:sqs:eu-west-1:333333333341:nowhere"}, "doesn't exist"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(pair: Pair, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        pair.sqs.start_message_move_task(**{"SourceArn": pair.dead, **wrong})


def test_only_from_a_dead_letter_queue(pair: Pair) -> None:
    with pytest.raises(ClientError, match="must be configured as a Dead Letter Queue"):
        pair.sqs.start_message_move_task(SourceArn=pair.arn(pair.url))


@pytest.mark.parametrize(
    "missing",
    ["StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "SendMessage"],
)
def test_each_documented_permission_is_needed(pair: Pair, fresh: Callable[[str], str], missing: str) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/troubleshooting-dlq-redrive.html"""
    needed = {"StartMessageMoveTask", "ReceiveMessage", "DeleteMessage", "GetQueueAttributes", "SendMessage"}
    iam, name = pair.aws.client("iam", ACCOUNT), fresh("role")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))

    def allow(actions: set[str]) -> None:
        allowed = {"Effect": "Allow", "Action": [f"sqs:{each}" for each in actions], "Resource": "*"}
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=policy(allowed))

    sqs = pair.aws.client("sqs", ACCOUNT, name)
    start = {"SourceArn": pair.dead, "DestinationArn": pair.arn(pair.url)}
    allow(needed - {missing})
    with pytest.raises(ClientError, match=f"sqs:{missing}"):
        sqs.start_message_move_task(**start)
    allow(needed)
    sqs.start_message_move_task(**start)
