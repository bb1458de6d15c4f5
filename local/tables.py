"""What moto's Amazon DynamoDB does in an order of its own and the real one does not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from moto.dynamodb.models.dynamo_type import Item

    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "dynamodb-scan-order",
        "A Scan, of a table or of an index, gives items in the order of a hash of their keys, not of the keys.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.Partitions.html",
    ),
    Rule(
        "dynamodb-refused-condition-gives-item",
        "A write whose condition fails answers ConditionalCheckFailedException, with the item if it was asked for.",
        Evidence.RECORDED,
        "dynamodb/conditions.json",
    ),
)

_moto_scan = Table.scan


def install(aws: LocalAws) -> None:
    """Let a Scan give its items in the order of a hash, the same in every run."""
    aws.patch(Table, "scan", lambda table, *args, **more: _moto_scan(_Hashed(table), *args, **more))


class _Hashed:
    """A table as moto's ``scan`` sees it, its items in the order of a hash of their keys."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def all_items(self) -> list[Item]:
        """Give the items of the table."""
        return sorted(self._table.all_items(), key=self._place_of)

    def sorted_items(self, _hash: Any, _range: Any, items: list[Item]) -> list[Item]:
        """Give the items of an index."""
        return sorted(items, key=self._place_of)

    def _item_comes_before_dct(self, item: Item, last: dict[str, Any], *_: Any) -> bool:
        names = [name for name in (self._table.hash_key_attr, self._table.range_key_attr) if name]
        return self._place_of(item) <= _place(*(DynamoType(last[name]) for name in names))

    @staticmethod
    def _place_of(item: Item) -> str:
        return _place(*(key for key in (item.hash_key, item.range_key) if key is not None))


def _place(*keys: DynamoType) -> str:
    return hashlib.sha256(repr([(key.type, key.value) for key in keys]).encode()).hexdigest()
