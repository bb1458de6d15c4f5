"""The ledger read in bulk: pages of all its items, and the items of many versions at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replicator.aws.failures import in_hub
from replicator.aws.ledger_items import entry_of
from replicator.aws.sessions import client_config
from replicator.errors import ErrorCode, PermanentError, RetryableError
from replicator.identifiers import version_key
from replicator.ledger import Entry, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import boto3
    from mypy_boto3_dynamodb.client import DynamoDBClient

# What reconciling needs of an item; the locations of a large package are left where they are.
_MEMBERS = (
    "source_arn", "state", "schema", "attempt", "read_at", "finished_at", "code", "hub_arn", "fingerprint",
    "source_created", "source_approval", "written", "event_arn", "source_group",
)  # fmt: skip
_NAMES = {f"#{i}": name for i, name in enumerate(_MEMBERS)}  # some of them are reserved words
# BatchGetItem: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_BATCH = 100
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Page:
    """Some items, in the table's own order."""

    entries: list[Entry]
    """An item that this release does not understand is in it as running: nothing is done about it."""
    unknown: dict[str, PermanentError]
    """Why it does not understand them, by ARN."""
    last: str | None
    """The ARN after which the next page begins; None when there is none."""


class LedgerPages:
    """One table; its key is that of `replicator.aws.ledger_items.LedgerItems`.

    Parameters
    ----------
    session
        The function's own.
    sleep
        Waits before what DynamoDB left out is asked for again.
    """

    def __init__(self, session: boto3.Session, table: str, sleep: Callable[[float], None]) -> None:
        self._client: DynamoDBClient = session.client("dynamodb", config=client_config())
        self._table = table
        self._sleep = sleep

    def page(self, after: str | None, size: int) -> Page:
        """Read up to ``size`` items after one; None for the first."""
        start: dict[str, Any] = (
            {"ExclusiveStartKey": {"source_arn": {"S": version_key(after)}}} if after else {}
        )
        with in_hub(f"reading a page of the ledger {self._table}"):
            answer = self._client.scan(TableName=self._table, Limit=size, **_projection(), **start)
        unknown: dict[str, PermanentError] = {}
        entries = [_entry(item, unknown) for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        return Page(entries, unknown, last["source_arn"]["S"] if last else None)

    def among(self, source_arns: Iterable[str]) -> dict[str, Entry]:
        """Read the items of these versions, consistently, as far as there are any; by the ARNs as they are given.

        An item that this release does not understand counts as running: nothing is done about it.
        """
        given, found = sorted(set(source_arns)), dict[str, Entry]()
        keys = sorted({version_key(arn) for arn in given})  # BatchGetItem refuses a key that comes twice
        for start in range(0, len(keys), _BATCH):
            found |= self._batch(keys[start : start + _BATCH])
        return {arn: found[version_key(arn)] for arn in given if version_key(arn) in found}

    def _batch(self, keys: list[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        rest: Any = {
            self._table: {
                "Keys": [{"source_arn": {"S": key}} for key in keys],
                "ConsistentRead": True,
                **_projection(),
            }
        }
        for pause in (*_PAUSES, None):
            with in_hub(f"reading {len(keys)} items of the ledger {self._table}"):
                answer = self._client.batch_get_item(RequestItems=rest)
            for item in answer["Responses"].get(self._table, []):
                found[item["source_arn"]["S"]] = _entry(item, {})
            rest = answer.get("UnprocessedKeys")
            if not rest:
                return found
            if pause is not None:
                self._sleep(pause)
        raise RetryableError(ErrorCode.THROTTLED, f"the ledger {self._table} does not answer for all items")


def _projection() -> dict[str, Any]:
    return {"ProjectionExpression": ", ".join(_NAMES), "ExpressionAttributeNames": _NAMES}


def _entry(item: Mapping[str, Any], unknown: dict[str, PermanentError]) -> Entry:
    try:
        return entry_of(item)
    except PermanentError as error:
        arn = item["source_arn"]["S"]
        unknown[arn] = error
        return Entry(arn, State.RUNNING)
