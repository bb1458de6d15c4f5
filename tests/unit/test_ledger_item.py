"""The ledger's item as it is read: of every release, and of people who change it by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from replicator.aws import ledger_pages
from replicator.errors import ErrorCode, PermanentError
from replicator.ledger import Entry, State

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn/3"
ODD: list[dict[str, Any]] = [
    {"schema": "v2"}, {"schema": Decimal(2)}, {"schema": None}, {"state": "PAUSED"}, {"state": []}, {"state": {}},
    {"attempt": "a7"}, {"attempt": "7"}, {"attempt": True}, {"wanted": None}, {"seen": []},
    {"read_at": Decimal(7)}, {"claimed_at": "soon"}, {"claimed_at": "2026-01-01T00:00:00"}, {"creating_since": ""},
    {"told": "soon Rejected"}, {"told": "2026-01-01T00:00:00 Rejected"}, {"source_seen_at": "x"},
    {"hub_arn": Decimal(7)},
    {"event": {}}, {"locations": "x"}, {"locations": {"a": Decimal(1)}}, {"written": []},
    {"pins": "x"}, {"pins": {"a": Decimal(1)}},
]  # fmt: skip


@pytest.mark.parametrize("members", ODD, ids=str)
def test_what_no_release_of_ours_wrote_is_named(members: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="redrive") as caught:
        Entry.from_item({"source_arn": ARN, **members})
    assert caught.value.code is ErrorCode.LEDGER_VERSION
    assert ARN in caught.value.message


def test_an_item_of_an_older_release_is_read() -> None:
    entry = Entry.from_item({"source_arn": ARN})
    assert (entry.state, entry.attempt, entry.unsettled) == (State.IDLE, 0, False)


def test_in_bulk_it_counts_as_running_and_is_named() -> None:
    unknown: dict[str, PermanentError] = {}
    item: Any = {"source_arn": {"S": ARN}, "attempt": {"S": "a7"}}
    assert ledger_pages._entry(item, unknown).state is State.RUNNING
    assert unknown[ARN].code is ErrorCode.LEDGER_VERSION


def test_pins_of_an_older_release_are_read_where_it_kept_them() -> None:
    old = {"s3://b/k": "s3://hub/k", "s3://b/k\n": "etag"}
    entry = Entry.from_item({"source_arn": ARN, "locations": old})
    assert (entry.locations, entry.pins) == ({"s3://b/k": "s3://hub/k"}, {"s3://b/k": "etag"})


def test_a_location_that_ends_with_a_line_break_is_a_location() -> None:
    locations = {"s3://b/k": "s3://hub/1", "s3://b/k\n": "s3://hub/2"}
    entry = Entry.from_item({"source_arn": ARN, "locations": locations, "pins": {"s3://b/k": "etag"}})
    assert (entry.locations, entry.pins) == (locations, {"s3://b/k": "etag"})
