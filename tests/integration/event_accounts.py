"""Accounts with buses, rules and queues, for the tests of the local EventBridge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.integration.conftest import policy, receive_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

SENDER, RECEIVER, THIRD = "333333333311", "333333333312", "333333333313"
REGION = "eu-west-1"
DETAIL = {"ModelApprovalStatus": "Approved"}


def bus_arn(account: str, bus: str) -> str:
    return f"arn:aws:events:{REGION}:{account}:event-bus/{bus}"


class Account:
    """Buses, rules and queues of one account."""

    def __init__(self, aws: LocalAws, number: str, fresh: Callable[[str], str]) -> None:
        self.aws, self.number, self.fresh = aws, number, fresh
        self.events, self.sqs = aws.client("events", number), aws.client("sqs", number)

    def bus(self, *statements: dict[str, Any]) -> str:
        name = self.fresh("bus")
        self.events.create_event_bus(Name=name)
        self.permit(name, *statements)
        return name

    def permit(self, bus: str, *statements: dict[str, Any]) -> None:
        """Give a bus this policy in place of the one that it has."""
        if "Policy" in self.events.describe_event_bus(Name=bus):
            self.events.remove_permission(EventBusName=bus, RemoveAllPermissions=True)
        if statements:
            arn = bus_arn(self.number, bus)
            full = [{"Sid": f"s{i}", "Resource": arn, **s} for i, s in enumerate(statements)]
            self.events.put_permission(EventBusName=bus, Policy=policy(*full))

    def queue(self, *, admits: str | None = "*") -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=self.fresh("queue"))["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{self.number}:{url.rpartition('/')[2]}"
        if admits:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnLike": {"aws:SourceArn": admits}},
            }
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
        return url, arn

    def rule(self, bus: str, target: str, pattern: dict[str, Any], **more: Any) -> str:
        name = self.fresh("rule")
        made = self.events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
        self.events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "t", "Arn": target, **more}])
        return str(made["RuleArn"])

    def put(self, source: str, bus: str = "default", **more: Any) -> dict[str, Any]:
        entry = {"Source": source, "DetailType": "Test", "Detail": "{}", "EventBusName": bus, **more}
        result: dict[str, Any] = self.events.put_events(Entries=[entry])["Entries"][0]
        return result

    def bodies(self, url: str) -> list[dict[str, Any]]:
        return [json.loads(message["Body"]) for message in receive_all(self.aws, self.number, url)]


def admit(account: str, **condition: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": account},
        "Action": "events:PutEvents",
        **({"Condition": condition} if condition else {}),
    }
