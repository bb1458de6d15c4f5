"""A DynamoDB of one item, just enough for the ledger's expressions, with states that can be copied.

The expressions are the shipped ones: `replicator.aws.ledger.Ledger` runs on it unchanged.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from replicator.aws.ledger import Ledger

_MISSING = object()


class OneItem:
    """Stands where the DynamoDB client does; ``item`` is all its state."""

    def __init__(self, item: dict[str, Any] | None = None) -> None:
        self.item = item

    def client(self, service: str, **_: Any) -> OneItem:
        return self

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": self._serialized()} if self.item is not None else {}

    def update_item(
        self,
        *,
        Key: dict[str, Any],
        UpdateExpression: str,
        ConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        ExpressionAttributeNames: dict[str, str],
        **_: Any,
    ) -> dict[str, Any]:
        deserialize = TypeDeserializer().deserialize
        values = {name: deserialize(value) for name, value in ExpressionAttributeValues.items()}
        if not self._holds(ConditionExpression, values):
            answer: Any = {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}}
            if self.item is not None:
                answer["Item"] = self._serialized()
            raise ClientError(answer, "UpdateItem")
        item = dict(self.item or {name: deserialize(value) for name, value in Key.items()})
        self._apply(UpdateExpression, values, item)
        self.item = item
        return {"Attributes": self._serialized()}

    def _serialized(self) -> dict[str, Any]:
        serialize = TypeSerializer().serialize
        return {name: serialize(value) for name, value in (self.item or {}).items()}

    def _value(self, operand: str, values: dict[str, Any], item: dict[str, Any]) -> Any:
        if found := re.fullmatch(r"if_not_exists\((\w+), (:\w+)\)", operand):
            return item.get(found[1], values[found[2]])
        if operand.startswith(":"):
            return values[operand]
        return item.get(operand.lstrip("#"), _MISSING)

    def _holds(self, condition: str, values: dict[str, Any]) -> bool:
        item = self.item or {}

        def term(found: re.Match[str]) -> str:
            if found["absent"]:
                return str(found["absent"].lstrip("#") not in item)
            left, right = (self._value(found[side], values, item) for side in ("left", "right"))
            if left is _MISSING or right is _MISSING:
                return "False"
            if found["op"] in {"=", "<>"}:
                return str((left == right) is (found["op"] == "="))
            return str(bool(left < right or (found["op"] == "<=" and left == right)))

        terms = r"attribute_not_exists\((?P<absent>#?\w+)\)|(?P<left>[#:]?\w+) (?P<op>=|<>|<=|<) (?P<right>[#:]?\w+)"
        text = re.sub(terms, term, condition)
        text = text.replace("AND", "and").replace("OR", "or")
        return _truth(text)

    def _apply(self, expression: str, values: dict[str, Any], item: dict[str, Any]) -> None:
        clauses = re.split(r"\b(SET|ADD|REMOVE)\b ", expression)[1:]
        before = dict(item)
        for kind, text in zip(clauses[::2], clauses[1::2], strict=True):
            for part in re.split(r", (?![^(]*\))", text.strip()):
                if kind == "SET":
                    name, _, operand = part.partition(" = ")
                    item[name.lstrip("#")] = self._value(operand.strip(), values, before)
                elif kind == "ADD":
                    name, _, operand = part.partition(" ")
                    item[name] = before.get(name, 0) + self._value(operand, values, before)
                else:
                    item.pop(part, None)


@cache
def _truth(text: str) -> bool:
    assert re.fullmatch(r"(True|False|and|or|[() ])+", text), text
    return bool(eval(text))  # noqa: S307 - the line above lets in nothing else


def ledger_over(table: OneItem) -> Ledger:
    """Give the shipped ledger over this table."""
    return Ledger(table, "ledger")  # type: ignore[arg-type]
