"""EventBridge: what PutEvents answers, what arrives at a target, within and across accounts, and refusals."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.conftest import ACCOUNT, OTHER_ACCOUNT
from tests.recorded.replay import Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

PUT = "events/put-events.json"
RULES = "events/permissions-and-rules.json"
COMMAND = "core.update-account-command"
DETAIL = {"command": "update-account", "payload": {"acc_id": "0a787ecb-4015", "sf_id": "baz"}}
REGION = "us-east-1"


@dataclass
class Side:
    """An account with buses, and queues that take what comes on them."""

    aws: LocalAws
    account: str
    fresh: Callable[[str], str]

    def __post_init__(self) -> None:
        self.events = self.aws.client("events", self.account)
        self.sqs = self.aws.client("sqs", self.account)

    def bus(self, *admitted: str) -> str:
        name = self.fresh("bus")
        self.events.create_event_bus(Name=name)
        for account in admitted:
            self.events.put_permission(
                EventBusName=name, Action="events:PutEvents", Principal=account, StatementId=f"s{account}"
            )
        return name

    def arn(self, bus: str) -> str:
        return f"arn:aws:events:{REGION}:{self.account}:event-bus/{bus}"

    def rule(self, bus: str, pattern: dict[str, Any], target: str | None = None) -> str:
        name = self.fresh("rule")
        self.events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern))
        if target:
            self.events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "t", "Arn": target}])
        return name

    def queue(self, bus: str, pattern: dict[str, Any]) -> str:
        """Make a queue that gets what comes on a bus."""
        name = self.fresh("queue")
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{self.account}:{name}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        self.rule(bus, pattern, arn)
        return str(url)

    def bodies(self, url: str) -> list[Any]:
        found = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    def put(self, *entries: dict[str, Any]) -> Any:
        return self.events.put_events(Entries=list(entries))


@pytest.fixture
def one(aws: LocalAws, fresh: Callable[[str], str]) -> Side:
    return Side(aws, ACCOUNT, fresh)


@pytest.fixture
def other(aws: LocalAws, fresh: Callable[[str], str]) -> Side:
    return Side(aws, OTHER_ACCOUNT, fresh)


def entry(**changes: Any) -> dict[str, Any]:
    made = {"Source": COMMAND, "DetailType": COMMAND, "Detail": json.dumps(DETAIL), **changes}
    return {name: value for name, value in made.items() if value is not None}


@replays(PUT, "test_put_events_nonexistent_event_bus")
def test_a_bus_that_is_not_there(replay: Replay, one: Side, fresh: Callable[[str], str]) -> None:
    source, missing = fresh("MySource"), fresh("bus")
    url = one.queue("default", {"source": [source]})
    common = {"Source": source, "DetailType": "CustomType"}
    replay.anything("MySource")
    replay(
        "put-events",
        lambda: one.put(
            {**common, "Detail": json.dumps({"message": "for the default event bus"})},
            {
                **common,
                "Detail": json.dumps({"message": "for the custom event bus"}),
                "EventBusName": missing,
            },
        ),
    )
    replay.compare("get-events", one.bodies(url))
    replay.bind("<custom-event-bus>", missing)
    replay("non-existent-bus-error", lambda: one.events.describe_event_bus(Name=missing))


@replays(PUT, "test_put_events_without_source")
def test_an_entry_without_a_source(replay: Replay, one: Side) -> None:
    replay("put-events", lambda: one.put(entry(Source=None)))


@replays(PUT, "test_put_event_without_detail")
def test_an_entry_without_a_detail(replay: Replay, one: Side) -> None:
    replay("put-events", lambda: one.put(entry(Detail=None)))


@replays(PUT, "test_put_event_without_detail_type")
def test_an_entry_without_a_detail_type(replay: Replay, one: Side) -> None:
    replay("put-events", lambda: one.put(entry(DetailType=None)))


@replays(PUT, "test_put_event_malformed_detail[MALFORMED_JSON]")
def test_a_detail_that_is_not_json(replay: Replay, one: Side) -> None:
    replay("put-events", lambda: one.put(entry(Detail='{"message": "malformed"')))


@replays(PUT, "test_put_event_malformed_detail[ARRAY]")
def test_a_detail_that_is_a_list(replay: Replay, one: Side) -> None:
    replay("put-events", lambda: one.put(entry(Detail="[1]")))


@replays(PUT, "test_put_event_with_too_big_detail")
def test_a_detail_that_is_too_large(replay: Replay, one: Side) -> None:
    detail = json.dumps({"payload": "p" * (1024 * 1024)})
    replay("put-events-too-big-detail-error", lambda: one.put(entry(Detail=detail)))


@replays(PUT, "test_put_events_bus_to_bus[standard]")
def test_from_bus_to_bus_in_one_account(replay: Replay, one: Side) -> None:
    first, second = one.bus(), one.bus()
    url = one.queue(second, {"source": [COMMAND]})
    one.rule(first, {"source": [COMMAND]}, one.arn(second))
    one.put(entry(EventBusName=first))
    replay.compare("messages", one.bodies(url))


@replays(PUT, "test_put_events_with_time_field")
def test_an_entry_with_a_time(replay: Replay, one: Side) -> None:
    bus = one.bus()
    url = one.queue(bus, {"source": ["test-source"]})
    given = {"Source": "test-source", "DetailType": "test-detail-type", "EventBusName": bus}
    moment = datetime(2022, 1, 1, tzinfo=UTC)
    replay("put-events", lambda: one.put(entry(**given, Time=moment, Detail='{"message": "test message"}')))
    (event,) = one.bodies(url)
    assert event["time"] == "2022-01-01T00:00:00Z"
    replay.compare("sqs-messages", [event])


@replays(
    "events/cross-account-region.json", "test_event_bus_to_event_bus_cross_account_region[custom-account]"
)
def test_across_accounts_in_one_region(replay: Replay, one: Side, other: Side) -> None:
    first, second = one.bus(), other.bus(ACCOUNT)
    replay.bind("<account>", ACCOUNT)
    replay.bind("<account-secondary>", OTHER_ACCOUNT)
    here = one.queue(first, {"source": ["source-primary"]})
    there = other.queue(second, {"source": ["source-primary"]})
    theirs = other.queue(second, {"source": ["source-secondary"]})
    one.rule(first, {"source": ["source-primary"]}, other.arn(second))
    one.put(entry(Source="source-primary", EventBusName=first))
    other.put(entry(Source="source-secondary", EventBusName=second))
    replay.compare("messages_primary_queue_from_primary_event_bus", one.bodies(here))
    replay.compare("messages_secondary_queue_from_primary_event_bus", other.bodies(there))
    replay.compare("messages_secondary_queue_from_secondary_event_bus", other.bodies(theirs))


@replays("events/archive-and-replay.json", "test_start_list_describe_canceled_replay[custom]")
def test_a_replayed_event_names_its_replay(replay: Replay, one: Side, fresh: Callable[[str], str]) -> None:
    bus, archive, name = one.bus(), fresh("archive"), fresh("replay")
    made = one.events.create_archive(ArchiveName=archive, EventSourceArn=one.arn(bus))["ArchiveArn"]
    url = one.queue(bus, {"source": [COMMAND]})
    one.put(entry(EventBusName=bus))
    (event,) = one.bodies(url)
    assert "replay-name" not in event
    now = datetime.now(UTC)
    one.events.start_replay(
        ReplayName=name,
        EventSourceArn=made,
        EventStartTime=now - timedelta(hours=1),
        EventEndTime=now + timedelta(hours=1),
        Destination={"Arn": one.arn(bus)},
    )
    replay.bind("<replay-name>", name)
    while not (found := one.bodies(url)):
        time.sleep(0.05)
    replay.compare("replay-messages", found)


@replays(
    RULES,
    "test_remove_permission_non_existing_sid[False-custom]",
    "test_remove_permission_non_existing_sid[True-custom]",
)
def test_an_unknown_statement(replay: Replay, one: Side) -> None:
    bus = one.bus(*([OTHER_ACCOUNT] if "[True" in replay.recording.name else []))
    replay(
        "remove-permission-non-existing-sid-error",
        lambda: one.events.remove_permission(EventBusName=bus, StatementId="not-there"),
    )


@replays(RULES, "test_describe_nonexistent_rule")
def test_an_unknown_rule(replay: Replay, one: Side, fresh: Callable[[str], str]) -> None:
    name = replay.bind("<rule-name>", fresh("rule"))
    replay("describe-not-existing-rule-error", lambda: one.events.describe_rule(Name=name))


@replays(RULES, "test_delete_rule_with_targets")
def test_a_rule_with_targets_stays(replay: Replay, one: Side) -> None:
    bus = one.bus()
    rule = one.rule(bus, {"source": ["x"]}, f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue")
    replay("delete-rule-with-targets-error", lambda: one.events.delete_rule(Name=rule, EventBusName=bus))


@replays(RULES, "test_add_exceed_fife_targets_per_rule")
def test_a_rule_has_five_targets(replay: Replay, one: Side) -> None:
    bus = one.bus()
    rule = one.rule(bus, {"source": ["x"]})
    targets = [{"Id": f"t{i}", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue-{i}"} for i in range(7)]
    replay(
        "put-targets-client-error",
        lambda: one.events.put_targets(Rule=rule, EventBusName=bus, Targets=targets),
    )


@replays(RULES, "test_put_events_with_target_delivery_failure")
def test_a_target_that_is_not_there_is_no_error_of_who_puts(replay: Replay, one: Side) -> None:
    bus = one.bus()
    one.rule(bus, {"source": [COMMAND]}, f"arn:aws:sqs:{REGION}:{ACCOUNT}:not-there")
    replay("put-events-response", lambda: one.put(entry(EventBusName=bus)))
