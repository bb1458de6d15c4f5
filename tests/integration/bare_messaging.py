"""Asks bare moto where `local` replaces its SQS, EventBridge, Step Functions and CloudWatch; writes JSON.

It is run in a process of its own, because the tests' process has the replaced moto.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.events.models import events_backends

if TYPE_CHECKING:
    from collections.abc import Callable

REGION, ACCOUNT = "eu-west-1", "123456789012"
EVENT = {"Source": "mine", "DetailType": "Test", "Detail": "{}"}


def said(call: Callable[[], Any]) -> str:
    """Make a call and give its error's code and text, or that there was none."""
    try:
        call()
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return "taken"


def client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, REGION, aws_access_key_id="test", aws_secret_access_key="test")


def _queue(sqs: Any, name: str, **attributes: str) -> str:
    return str(sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


def _sqs() -> dict[str, Any]:
    sqs = client("sqs")
    url = _queue(sqs, "queue")
    entries = [{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "x" * 1_025}]
    narrow = _queue(sqs, "narrow", MaximumMessageSize="1024")
    answers: dict[str, Any] = {
        "send_message": said(lambda: sqs.send_message(QueueUrl=url, MessageBody="\a")),
        "send_message_batch": said(lambda: sqs.send_message_batch(QueueUrl=narrow, Entries=entries)),
    }
    try:
        sqs.send_message(QueueUrl=narrow, MessageBody="a" * 1_025)
    except ClientError as error:
        refused: dict[str, Any] = dict(error.response["Error"])
        answers["get_error_model"] = refused["QueryErrorCode"]
    many = [{"Id": str(i), "ReceiptHandle": f"handle-{i}"} for i in range(11)]
    answers["delete_message_batch"] = said(lambda: sqs.delete_message_batch(QueueUrl=url, Entries=many))
    hidden = [{**each, "VisibilityTimeout": 0} for each in many]
    answers["change_message_visibility_batch"] = said(
        lambda: sqs.change_message_visibility_batch(QueueUrl=url, Entries=hidden)
    )
    sqs.purge_queue(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)
    answers["change_message_visibility"] = said(
        lambda: sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    )
    names = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
    arn = sqs.get_queue_attributes(**names)["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    source = _queue(sqs, "source", RedrivePolicy=redrive)
    sqs.send_message(QueueUrl=source, MessageBody="dead")
    for _ in range(3):
        sqs.receive_message(QueueUrl=source, VisibilityTimeout=0)
    (dead,) = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"])["Messages"]
    answers["receive_message"] = "DeadLetterQueueSourceArn" in dead["Attributes"]
    return answers


def _events() -> dict[str, Any]:
    events = client("events")
    answers: dict[str, Any] = {
        "put_events": said(lambda: events.put_events(Entries=[{**EVENT, "EventBusName": "missing"}])),
        "describe_rule": said(lambda: events.describe_rule(Name="missing")),
        "remove_permission": said(lambda: events.remove_permission(StatementId="missing")),
    }
    pattern = json.dumps({"source": ["mine"], "detail": {"x": ["b"]}})
    events.put_rule(Name="rule", EventPattern=pattern)
    other = f"arn:aws:events:{REGION}:999999999999:event-bus/other"
    target = [{"Id": "bus", "Arn": other}]
    answers["put_targets"] = [
        said(lambda: events.put_targets(Rule="rule", Targets=target)),
        said(
            lambda: events.put_targets(
                Rule="rule",
                Targets=[{"Id": str(i), "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q{i}"} for i in range(6)],
            )
        ),
    ]
    rule = events_backends[ACCOUNT][REGION].event_buses["default"].rules["rule"]
    answers["matches_event"] = rule.event_pattern.matches_event({"source": "mine", "detail": {"x": [["b"]]}})
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    for sid in ("one", "two"):
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "events:PutEvents",
            "Resource": arn,
            "Sid": sid,
        }
        events.put_permission(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    answers["add_policy"] = len(json.loads(events.describe_event_bus()["Policy"])["Statement"])
    return answers


def _metrics() -> dict[str, Any]:
    cloudwatch, now = client("cloudwatch"), datetime.now(UTC)
    datum: dict[str, Any] = {
        "MetricName": "m",
        "Value": 1.0,
        "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}],
    }
    cloudwatch.put_metric_data(Namespace="n", MetricData=[datum])
    found = cloudwatch.get_metric_statistics(
        Namespace="n",
        MetricName="m",
        Dimensions=datum["Dimensions"][:1],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=60,
        Statistics=["Sum"],
    )
    return {"filter": len(found["Datapoints"])}


def _states() -> dict[str, Any]:
    states = client("stepfunctions")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client("iam").create_role(RoleName="role", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    definition = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "End": True}}})
    machine = states.create_state_machine(name="m", definition=definition, roleArn=role)["stateMachineArn"]
    refused = said(lambda: states.start_execution(stateMachineArn=machine, input="no json"))
    return {"start_execution": refused.partition(":")[0]}


def main() -> None:
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        answers = {**_sqs(), **_events(), **_metrics(), **_states()}
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
