"""EventBridge of the local AWS behaves as documented; each test names where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import make_function, make_role, receive_all, wait_for
from tests.integration.event_accounts import DETAIL, RECEIVER, REGION, SENDER, THIRD, Account, admit, bus_arn

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws


@pytest.fixture
def sender(local_aws: LocalAws, fresh: Callable[[str], str]) -> Account:
    return Account(local_aws, SENDER, fresh)


@pytest.fixture
def receiver(local_aws: LocalAws, fresh: Callable[[str], str]) -> Account:
    return Account(local_aws, RECEIVER, fresh)


def test_the_envelope(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html"""
    bus, (url, queue) = sender.bus(), sender.queue()
    sender.rule(bus, queue, {"source": ["mine"]})
    result = sender.put("mine", bus, Detail=json.dumps(DETAIL), Resources=["arn:aws:s3:::b"], Time=1700000000)
    (event,) = sender.bodies(url)
    assert event == {
        "version": "0",
        "id": result["EventId"],
        "detail-type": "Test",
        "source": "mine",
        "account": SENDER,
        "time": "2023-11-14T22:13:20Z",
        "region": REGION,
        "resources": ["arn:aws:s3:::b"],
        "detail": DETAIL,
    }


@pytest.mark.parametrize("with_role", [False, True])
def test_across_accounts_the_envelope_is_the_senders(
    sender: Account, receiver: Account, with_role: bool
) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html"""
    bus, (url, queue) = receiver.bus(admit(SENDER)), receiver.queue()
    receiver.rule(bus, queue, {"account": [SENDER], "source": ["aws.sagemaker"]})
    source = sender.fresh("g")
    role = make_role(sender.aws, SENDER, "events.amazonaws.com", ["events:PutEvents"])
    more = {"RoleArn": role} if with_role else {}
    sender.rule("default", bus_arn(RECEIVER, bus), {"detail": {"group": [source]}}, **more)
    given = sender.aws.emit(
        SENDER, "aws.sagemaker", "SageMaker Model Package State Change", {"group": source}, ["arn:x"]
    )
    (event,) = receiver.bodies(url)
    assert (event["id"], event["account"], event["resources"]) == (given, SENDER, ["arn:x"])
    assert event["source"] == "aws.sagemaker"


def forwarded(
    sender: Account, receiver: Account, *statements: dict[str, Any], **more: Any
) -> tuple[Any, Any]:
    """Forward one event to a bus with this policy; give what arrived and what the dead-letter queue got."""
    bus, (url, queue) = receiver.bus(admit(SENDER)), receiver.queue()
    receiver.rule(bus, queue, {"source": [{"prefix": ""}]})
    dead_url, dead = sender.queue()
    source = sender.fresh("source")
    sender.rule(
        "default", bus_arn(RECEIVER, bus), {"source": [source]}, DeadLetterConfig={"Arn": dead}, **more
    )
    # The rule could not have been made otherwise.
    receiver.permit(bus, *statements)
    sender.put(source)
    return receiver.bodies(url), receive_all(sender.aws, SENDER, dead_url)


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [admit(THIRD)],
        [admit(SENDER, StringEquals={"events:source": "aws.sagemaker"})],
        [admit("*", StringEquals={"aws:PrincipalOrgID": "o-somebodyelse"})],
    ],
)
def test_a_bus_refuses_whom_its_policy_does_not_admit(
    sender: Account, receiver: Account, statements: list[dict[str, Any]]
) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-permissions.html, and
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html for the attributes
    """
    arrived, dead = forwarded(sender, receiver, *statements)
    assert arrived == []
    (message,) = dead
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["RULE_ARN"].startswith(f"arn:aws:events:{REGION}:{SENDER}:rule/")
    assert attributes["TARGET_ARN"].startswith(f"arn:aws:events:{REGION}:{RECEIVER}:event-bus/")
    assert attributes["ERROR_MESSAGE"]
    assert json.loads(message["Body"])["account"] == SENDER


@pytest.mark.parametrize(
    ("statements", "refused"),
    [
        ([], True),
        ([admit(THIRD)], True),
        ([admit("*", StringEquals={"aws:PrincipalOrgID": "o-another"})], True),
        ([admit(SENDER)], False),
        ([admit(SENDER, **{"ForAllValues:StringEquals": {"events:source": "aws.sagemaker"}})], False),
    ],
)
def test_a_bus_is_no_target_before_its_policy_admits_the_account(
    sender: Account, receiver: Account, statements: list[dict[str, Any]], refused: bool
) -> None:
    """https://github.com/aws/aws-cdk/pull/3323, and
    https://github.com/ministryofjustice/modernisation-platform-environments/pull/19002 for the code
    """
    bus = receiver.bus(*statements)
    if refused:
        with pytest.raises(ClientError, match="AccessDeniedException"):
            sender.rule("default", bus_arn(RECEIVER, bus), {"source": ["mine"]})
    else:
        sender.rule("default", bus_arn(RECEIVER, bus), {"source": ["mine"]})


def test_a_bus_of_another_account_that_is_not_there_is_no_target(sender: Account) -> None:
    with pytest.raises(ClientError, match="AccessDeniedException"):
        sender.rule("default", bus_arn(RECEIVER, sender.fresh("no-bus")), {"source": ["mine"]})


def test_a_bus_admits_an_organization(sender: Account, receiver: Account) -> None:
    organization = sender.aws.organization
    arrived, dead = forwarded(sender, receiver, admit("*", StringEquals={"aws:PrincipalOrgID": organization}))
    assert (len(arrived), dead) == (1, [])


def test_a_role_without_the_right_to_put_events(sender: Account, receiver: Account) -> None:
    role = make_role(sender.aws, SENDER, "events.amazonaws.com", [])
    arrived, dead = forwarded(sender, receiver, admit(SENDER), RoleArn=role)
    assert (arrived, len(dead)) == ([], 1)


def test_a_role_that_eventbridge_cannot_assume(sender: Account, receiver: Account) -> None:
    role = make_role(sender.aws, SENDER, "lambda.amazonaws.com", ["events:PutEvents"])
    arrived, dead = forwarded(sender, receiver, admit(SENDER), RoleArn=role)
    assert arrived == []
    assert dead[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "FAILED_TO_ASSUME_ROLE"


def test_an_event_crosses_accounts_once(local_aws: LocalAws, sender: Account, receiver: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html"""
    third = Account(local_aws, THIRD, sender.fresh)
    last, (url, queue) = third.bus(admit(RECEIVER)), third.queue()
    third.rule(last, queue, {"source": [{"prefix": ""}]})
    middle = receiver.bus(admit(SENDER))
    dead_url, dead = receiver.queue()
    receiver.rule(middle, bus_arn(THIRD, last), {"source": [{"prefix": ""}]}, DeadLetterConfig={"Arn": dead})
    source = sender.fresh("source")
    sender.rule("default", bus_arn(RECEIVER, middle), {"source": [source]})
    sender.put(source)
    assert third.bodies(url) == []
    (message,) = receive_all(local_aws, RECEIVER, dead_url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "THIRD_ACCOUNT_HOP_DETECTED"


def test_a_disabled_rule_delivers_nothing(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DisableRule.html"""
    bus, (url, queue) = sender.bus(), sender.queue()
    rule = sender.rule(bus, queue, {"source": ["mine"]}).rpartition("/")[2]
    sender.events.disable_rule(Name=rule, EventBusName=bus)
    sender.put("mine", bus)
    assert sender.bodies(url) == []
    sender.events.enable_rule(Name=rule, EventBusName=bus)
    sender.put("mine", bus)
    assert len(sender.bodies(url)) == 1


def test_a_schedule_fires_when_it_is_told_to(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html"""
    (url, queue), name = sender.queue(), sender.fresh("schedule")
    made = sender.events.put_rule(Name=name, ScheduleExpression="rate(15 minutes)")
    sender.events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": queue}])
    assert sender.aws.events.tick(SENDER, name) == [name]
    (event,) = sender.bodies(url)
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
    assert (event["account"], event["resources"]) == (SENDER, [made["RuleArn"]])
    sender.events.disable_rule(Name=name)
    assert sender.aws.events.tick(SENDER, name) == []
    assert sender.bodies(url) == []


@pytest.mark.parametrize("admits", [None, f"arn:aws:events:{REGION}:{SENDER}:rule/somebody-elses"])
def test_a_queue_has_to_admit_the_rule(sender: Account, admits: str | None) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions"""
    bus, (url, queue), (dead_url, dead) = sender.bus(), sender.queue(admits=admits), sender.queue()
    sender.rule(bus, queue, {"source": ["mine"]}, DeadLetterConfig={"Arn": dead})
    sender.put("mine", bus)
    assert sender.bodies(url) == []
    (message,) = receive_all(sender.aws, SENDER, dead_url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_a_target_that_does_not_exist(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
    bus, (dead_url, dead) = sender.bus(), sender.queue()
    gone = f"arn:aws:sqs:{REGION}:{SENDER}:{sender.fresh('gone')}"
    sender.rule(bus, gone, {"source": ["mine"]}, DeadLetterConfig={"Arn": dead})
    assert "EventId" in sender.put("mine", bus)
    (message,) = receive_all(sender.aws, SENDER, dead_url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == gone


def test_a_dead_letter_queue_needs_a_policy_too(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html#eb-dlq-perms"""
    bus, (dead_url, dead) = sender.bus(), sender.queue(admits=None)
    gone = f"arn:aws:sqs:{REGION}:{SENDER}:{sender.fresh('gone')}"
    sender.rule(bus, gone, {"source": ["mine"]}, DeadLetterConfig={"Arn": dead})
    assert "EventId" in sender.put("mine", bus)
    assert receive_all(sender.aws, SENDER, dead_url) == []


def test_a_function_as_target(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions"""
    code = "def handler(event, context):\n    print('got', event['id'])\n"
    name = make_function(sender.aws, SENDER, code)
    arn = f"arn:aws:lambda:{REGION}:{SENDER}:function:{name}"
    bus, (dead_url, dead) = sender.bus(), sender.queue()
    rule = sender.rule(bus, arn, {"source": ["mine"]}, DeadLetterConfig={"Arn": dead})
    sender.put("mine", bus)
    (message,) = receive_all(sender.aws, SENDER, dead_url)
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    sender.aws.client("lambda", SENDER).add_permission(
        FunctionName=name,
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    event_id = sender.put("mine", bus)["EventId"]
    log = sender.aws.functions.log(name)
    wait_for(lambda: log.exists() and f"got {event_id}" in log.read_text(), what="the function's log")


def test_an_archive_is_replayed(sender: Account) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html"""
    bus, (url, queue) = sender.bus(), sender.queue()
    archive = sender.events.create_archive(
        ArchiveName=sender.fresh("a"), EventSourceArn=bus_arn(SENDER, bus)
    )["ArchiveArn"]
    sender.put("mine", bus)
    sender.rule(bus, queue, {"source": ["mine"]})
    sender.events.start_replay(
        ReplayName=sender.fresh("r"),
        EventSourceArn=archive,
        EventStartTime=0,
        EventEndTime=4000000000,
        Destination={"Arn": bus_arn(SENDER, bus)},
    )
    (event,) = sender.bodies(url)
    assert event["source"] == "mine"
    assert event["replay-name"].startswith("r-")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"Input": '{"a": 1}'}, {"a": 1}),
        ({"InputPath": "$.detail"}, DETAIL),
        (
            {"InputTransformer": {"InputPathsMap": {"s": "$.source"}, "InputTemplate": '{"from": "<s>"}'}},
            {"from": "mine"},
        ),
    ],
)
def test_what_a_target_gets(sender: Account, shape: dict[str, Any], expected: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html"""
    bus, (url, queue) = sender.bus(), sender.queue()
    sender.rule(bus, queue, {"source": ["mine"]}, **shape)
    sender.put("mine", bus, Detail=json.dumps(DETAIL))
    assert sender.bodies(url) == [expected]


@pytest.mark.parametrize(
    ("detail", "pattern", "matches"),
    [
        ({"x": ["a", "b"]}, {"x": ["b"]}, True),
        ({"x": [["a"], ["b", ["c"]]]}, {"x": ["c"]}, True),
        ({"x": [["a"], ["b"]]}, {"x": [{"prefix": "b"}]}, True),
        ({"x": [["a"], ["b"]]}, {"x": ["c"]}, False),
        ({"x": [["a"]]}, {"x": [{"exists": True}]}, True),
        ({"x": [{"y": "a", "z": "1"}, {"y": "b", "z": "2"}]}, {"x": {"y": ["b"]}}, True),
        ({"x": [[{"y": "a"}], [{"y": "b"}]]}, {"x": {"y": ["b"]}}, True),
        ({"x": [{"y": "a", "z": "1"}, {"y": "b", "z": "2"}]}, {"x": {"y": ["b"], "z": ["2"]}}, True),
        ({"x": [{"y": "a", "z": "1"}, {"y": "b", "z": "2"}]}, {"x": {"y": ["b"], "z": ["1"]}}, False),
        ({"x": {"y": "a"}}, {"x": {"y": [{"exists": False}]}}, False),
        ({"x": {"y": "a"}}, {"x": [{"exists": True}]}, False),
        ({"x": {}}, {"x": {"y": [{"exists": False}]}}, True),
        ({}, {"x": {"y": [{"exists": False}]}}, True),
        ({}, {"x": {"y": ["a"]}}, False),
        ({"x": [["a"]]}, {"$or": [{"x": ["b"]}, {"x": ["a"]}]}, True),
    ],
)
def test_lists_in_events_match_as_one_list(
    sender: Account, detail: dict[str, Any], pattern: dict[str, Any], matches: bool
) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns-arrays.html, and
    https://github.com/aws/event-ruler#json-array-matching for lists in lists and objects in lists
    """
    bus, (url, queue) = sender.bus(), sender.queue()
    sender.rule(bus, queue, {"source": ["mine"], "detail": pattern})
    sender.put("mine", bus, Detail=json.dumps(detail))
    assert len(sender.bodies(url)) == matches
