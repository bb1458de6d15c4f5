"""https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html, in the local AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.event_accounts import RECEIVER, SENDER, Account, admit, bus_arn

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws


@pytest.fixture
def sender(local_aws: LocalAws, fresh: Callable[[str], str]) -> Account:
    return Account(local_aws, SENDER, fresh)


@pytest.fixture
def receiver(local_aws: LocalAws, fresh: Callable[[str], str]) -> Account:
    return Account(local_aws, RECEIVER, fresh)


class TestPutEvents:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html"""

    def test_a_source_of_aws_is_not_for_callers(self, sender: Account) -> None:
        """ErrorCode of https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html"""
        (url, queue) = sender.queue()
        bus = sender.bus()
        sender.rule(bus, queue, {"source": [{"prefix": ""}]})
        assert sender.put("aws.sagemaker", bus)["ErrorCode"] == "NotAuthorizedForSourceException"
        assert sender.bodies(url) == []

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"Detail": "no json"}, "MalformedDetail"),
            ({"Detail": "[1]"}, "MalformedDetail"),
            ({"DetailType": ""}, "InvalidArgument"),
        ],
    )
    def test_an_entry_that_is_wrong_does_not_stop_the_others(
        self, sender: Account, change: dict[str, Any], code: str
    ) -> None:
        good = {"Source": "mine", "DetailType": "Test", "Detail": "{}"}
        answer = sender.events.put_events(Entries=[{**good, **change}, good])
        assert answer["FailedEntryCount"] == 1
        assert answer["Entries"][0]["ErrorCode"] == code
        assert "EventId" in answer["Entries"][1]

    def test_the_limit_of_size(self, sender: Account) -> None:
        """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html"""
        room = 1024 * 1024 - len("mine") - len("Test") - len('{"x":""}')
        assert "EventId" in sender.put(
            "mine", Detail=json.dumps({"x": "a" * (room - 1)}, separators=(",", ":"))
        )
        with pytest.raises(ClientError, match="Total size of the entries in the request is over the limit"):
            sender.put("mine", Detail=json.dumps({"x": "a" * room}, separators=(",", ":")))

    def test_ten_entries_at_most(self, sender: Account) -> None:
        good = {"Source": "mine", "DetailType": "Test", "Detail": "{}"}
        with pytest.raises(ClientError, match="ValidationException"):
            sender.events.put_events(Entries=[good] * 11)

    def test_another_accounts_bus_by_its_arn(self, sender: Account, receiver: Account) -> None:
        bus, (url, queue) = receiver.bus(admit(SENDER)), receiver.queue()
        receiver.rule(bus, queue, {"account": [SENDER]})
        sender.put("mine", bus_arn(RECEIVER, bus))
        (event,) = receiver.bodies(url)
        assert event["account"] == SENDER

    def test_another_accounts_bus_without_its_leave(self, sender: Account, receiver: Account) -> None:
        bus, (url, queue) = receiver.bus(), receiver.queue()
        receiver.rule(bus, queue, {"account": [SENDER]})
        with pytest.raises(ClientError, match="AccessDenied"):
            sender.put("mine", bus_arn(RECEIVER, bus))
        assert receiver.bodies(url) == []

    def test_a_bus_that_is_not_there_is_no_error(self, sender: Account) -> None:
        """Recorded; see ``tests/recorded/events/put-events.json``. The event is lost."""
        answer = sender.events.put_events(
            Entries=[
                {
                    "Source": "mine",
                    "DetailType": "Test",
                    "Detail": "{}",
                    "EventBusName": sender.fresh("no-bus"),
                }
            ]
        )
        assert answer["FailedEntryCount"] == 0
        assert list(answer["Entries"][0]) == ["EventId"]
