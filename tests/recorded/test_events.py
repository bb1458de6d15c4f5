"""What PutEvents answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.replay import Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "events/put-events.json"
GOOD = {"Source": "MySource", "DetailType": "CustomType", "Detail": '{"message": "text"}'}


@pytest.fixture
def events(client: Callable[[str], Any]) -> Any:
    return client("events")


@replays(FILE, "test_put_events_nonexistent_event_bus")
def test_a_bus_that_is_not_there(replay: Replay, events: Any, fresh: Callable[[str], str]) -> None:
    entries = [GOOD, {**GOOD, "EventBusName": fresh("no-bus")}]
    replay("put-events", lambda: events.put_events(Entries=entries))


@replays(FILE, "test_put_events_without_source")
def test_no_source(replay: Replay, events: Any) -> None:
    replay("put-events", lambda: events.put_events(Entries=[without("Source")]))


@replays(FILE, "test_put_event_without_detail")
def test_no_detail(replay: Replay, events: Any) -> None:
    replay("put-events", lambda: events.put_events(Entries=[without("Detail")]))


@replays(FILE, "test_put_event_without_detail_type")
def test_no_detail_type(replay: Replay, events: Any) -> None:
    replay("put-events", lambda: events.put_events(Entries=[without("DetailType")]))


@replays(FILE, "test_put_event_malformed_detail[MALFORMED_JSON]")
def test_a_detail_that_is_no_json(replay: Replay, events: Any) -> None:
    replay("put-events", lambda: events.put_events(Entries=[{**GOOD, "Detail": "{no json"}]))


@replays(FILE, "test_put_event_malformed_detail[ARRAY]")
def test_a_detail_that_is_a_list(replay: Replay, events: Any) -> None:
    replay("put-events", lambda: events.put_events(Entries=[{**GOOD, "Detail": "[1]"}]))


def without(member: str) -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name != member}
