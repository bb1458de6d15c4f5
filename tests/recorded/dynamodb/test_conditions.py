"""Conditional writes of Amazon DynamoDB: what they answer, and in which order a Scan gives the items."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.replay import Differing, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recorded.replay import Replay


@pytest.fixture
def dynamodb(client: Callable[[str], Any]) -> Any:
    return client("dynamodb")


@pytest.fixture
def table(dynamodb: Any, fresh: Callable[[str], str]) -> str:
    name = fresh("table")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    return name


@replays(
    "dynamodb/conditions.json",
    "test_return_values_on_conditions_check_failure",
    differing=[Differing("items/message", "botocore adds it from Error; the recording leaves that out")],
)
def test_a_refused_write_gives_the_item(replay: Replay, dynamodb: Any, table: str) -> None:
    item = {"id": {"S": "456"}, "product": {"S": "sporting goods"}, "price": {"N": "650"}}
    dynamodb.put_item(TableName=table, Item=item)
    replay(
        "items",
        lambda: dynamodb.update_item(
            TableName=table,
            Key={"id": {"S": "456"}},
            UpdateExpression="SET price = :new",
            ConditionExpression="price < :new",
            ExpressionAttributeValues={":new": {"N": "1"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        ),
    )


@replays("dynamodb/conditions.json", "test_return_values_in_put_item")
def test_put_item_gives_the_old_item_if_asked(replay: Replay, dynamodb: Any, table: str) -> None:
    first = {"id": {"S": "id1"}, "data": {"S": "foobar"}}
    second = {"id": {"S": "id2"}, "data": {"S": "foobar"}}
    for key, item, values in (
        ("PutFirstItem", first, "NONE"),
        ("PutFirstItemOLD", first, "ALL_OLD"),
        ("PutFirstItemB", first, "ALL_OLD"),
        ("PutSecondItem", second, "NONE"),
        ("PutSecondItemReturnNone", second, "NONE"),
    ):
        put = partial(dynamodb.put_item, TableName=table, Item=item, ReturnValues=values)
        replay(key, put)


def test_a_scan_has_no_order_and_its_pages_have_each_item_once(dynamodb: Any, table: str) -> None:
    names = [f"item-{number:02}" for number in range(20)]
    for name in names:
        dynamodb.put_item(TableName=table, Item={"id": {"S": name}})
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, PaginationConfig={"PageSize": 3})
    found = [item["id"]["S"] for page in pages for item in page["Items"]]
    assert sorted(found) == names
    assert found != names
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, PaginationConfig={"PageSize": 7})
    assert [item["id"]["S"] for page in pages for item in page["Items"]] == found
