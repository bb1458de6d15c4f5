"""The ledger in Amazon DynamoDB. Every write is conditional; see `replicator.ledger` for the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from replicator.aws.sessions import client_config
from replicator.ledger import Entry, State, SupersededError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import boto3
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from replicator.mirror import Written

_CLAIM_TRIES = 5


class Ledger:
    """One table, its key ``source_arn``.

    Parameters
    ----------
    session
        The function's own.
    table
        Name of the table.
    """

    def __init__(self, session: boto3.Session, table: str) -> None:
        self._client: DynamoDBClient = session.client("dynamodb", config=client_config())
        self._table = table

    def get(self, source_arn: str) -> Entry | None:
        """Read an item, consistently."""
        answer = self._client.get_item(
            TableName=self._table, Key={"source_arn": {"S": source_arn}}, ConsistentRead=True
        )
        return _entry(answer["Item"]) if "Item" in answer else None

    def claim(self, source_arn: str, event: str, now: datetime) -> Entry | None:
        """Count an event, and claim the item for a new attempt unless one is running.

        Returns the item when an execution has to be started: after a claim, and also when an earlier claim
        of the running attempt died before its execution was started. None when one is running.
        """
        for _ in range(_CLAIM_TRIES):
            claimed = self._update(
                source_arn,
                "SET #state = :running, event = :event, claimed_at = :now ADD wanted :one, attempt :one "
                "REMOVE execution_arn",
                "attribute_not_exists(#state) OR #state <> :running",
                {":running": State.RUNNING, ":event": event, ":now": now.isoformat(), ":one": 1},
            )
            if claimed:
                return claimed
            counted = self._update(
                source_arn, "ADD wanted :one", "#state = :running", {":running": State.RUNNING, ":one": 1}
            )
            if counted:
                return None if counted.execution_arn else counted
        raise RuntimeError(f"the ledger's item of {source_arn} changes hands faster than it can be claimed")

    def started(self, source_arn: str, attempt: int, execution_arn: str) -> None:
        """Note the execution of an attempt."""
        self._update(
            source_arn,
            "SET execution_arn = :arn",
            "attempt = :attempt AND #state = :running",
            {":arn": execution_arn, ":attempt": attempt, ":running": State.RUNNING},
        )

    def begin_round(self, source_arn: str, attempt: int) -> Entry:
        """Note what is wanted, before the source is read. Raises `SupersededError`."""
        return self._held(source_arn, attempt, "SET seen = wanted", {})

    def creating(self, source_arn: str, attempt: int, now: datetime) -> None:
        """Note that a mirror may exist from now on. Raises `SupersededError`."""
        self._held(
            source_arn,
            attempt,
            "SET creating_since = if_not_exists(creating_since, :now)",
            {":now": now.isoformat()},
        )

    def applied(
        self,
        source_arn: str,
        attempt: int,
        *,
        hub_arn: str,
        fingerprint: str,
        locations: Mapping[str, str],
        written: Written,
        now: datetime,
    ) -> None:
        """Note what the mirror shows now. Raises `SupersededError`."""
        self._held(
            source_arn,
            attempt,
            "SET hub_arn = :hub, fingerprint = :print, locations = :locations, written = :written, "
            "source_approval = :approval, applied_at = :now",
            {
                ":hub": hub_arn,
                ":print": fingerprint,
                ":locations": dict(locations),
                ":written": dict(written.members),
                ":approval": written.source_approval,
                ":now": now.isoformat(),
            },
        )

    def finish(self, source_arn: str, attempt: int, now: datetime) -> bool:
        """Let go of the item; False when an event came meanwhile and a further round is due."""
        return self._let_go(
            source_arn,
            attempt,
            "SET #state = :to, finished_at = :now REMOVE code, reason",
            {":to": State.IDLE, ":now": now.isoformat()},
        )

    def fail(self, source_arn: str, attempt: int, code: str, reason: str, now: datetime) -> bool:
        """Let go of the item as failed; False when an event came meanwhile. May be repeated."""
        return self._let_go(
            source_arn,
            attempt,
            "SET #state = :to, finished_at = :now, code = :code, reason = :reason",
            {":to": State.FAILED, ":now": now.isoformat(), ":code": code, ":reason": reason},
        )

    def _let_go(self, source_arn: str, attempt: int, expression: str, values: dict[str, Any]) -> bool:
        running = {":running": State.RUNNING, ":attempt": attempt}
        condition = "attempt = :attempt AND #state = :running AND wanted = seen"
        if self._update(source_arn, expression, condition, values | running):
            return True
        entry = self.get(source_arn)
        if entry is None or entry.attempt != attempt:
            raise SupersededError(f"{source_arn} is at another attempt than {attempt}")
        # Done before, by a call whose answer was lost.
        return bool(entry.state == values[":to"])

    def _held(self, source_arn: str, attempt: int, expression: str, values: dict[str, Any]) -> Entry:
        running = {":running": State.RUNNING, ":attempt": attempt}
        entry = self._update(
            source_arn, expression, "attempt = :attempt AND #state = :running", values | running
        )
        if entry is None:
            raise SupersededError(f"{source_arn} is not held by attempt {attempt} any more")
        return entry

    def _update(
        self, source_arn: str, expression: str, condition: str, values: Mapping[str, Any]
    ) -> Entry | None:
        """Write under a condition; None when it does not hold."""
        serialize = TypeSerializer().serialize
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"source_arn": {"S": source_arn}},
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    key: serialize(str(v) if isinstance(v, State) else v) for key, v in values.items()
                },
                ReturnValues="ALL_NEW",
                ExpressionAttributeNames={"#state": "state"},  # a reserved word
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return None
            raise
        return _entry(answer["Attributes"])


def _entry(item: Mapping[str, Any]) -> Entry:
    deserialize = TypeDeserializer().deserialize
    return Entry.from_item({name: deserialize(value) for name, value in item.items()})
