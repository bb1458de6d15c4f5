"""The ledger in Amazon DynamoDB. Every write is conditional; see `replicator.ledger` for the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from replicator.aws.sessions import client_config
from replicator.errors import ErrorCode, RetryableError
from replicator.ledger import Entry, State, SupersededError, instant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import boto3
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from replicator.mirror import Written

_CLAIM_TRIES = 5
_NEVER = "9999"  # later than every time: an event of unknown age has been seen by no reading


class Outcome(StrEnum):
    """What became of an event."""

    CLAIMED = "CLAIMED"
    """An execution has to be started for it."""
    COUNTED = "COUNTED"
    """An execution is running and will go round again."""
    SEEN = "SEEN"
    """The source was read after the change."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The outcome, and the item as it is now."""

    outcome: Outcome
    entry: Entry


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

    def claim(self, source_arn: str, event: str, now: datetime, after: str | None) -> Claim:
        """Count an event, and claim the item for a new attempt unless one is running.

        Parameters
        ----------
        event
            As intake takes it again.
        after
            From `replicator.ledger.seen_after`.
        """
        for _ in range(_CLAIM_TRIES):
            claimed, old = self._update(
                source_arn,
                "SET #state = :running, event = :event, claimed_at = :now ADD wanted :one, attempt :one "
                "REMOVE execution_arn",
                "attribute_not_exists(#state) OR #state = :failed OR "
                "(#state = :idle AND (attribute_not_exists(hub_arn) OR attribute_not_exists(read_at) "
                "OR read_at < :after))",
                {
                    ":running": State.RUNNING,
                    ":failed": State.FAILED,
                    ":idle": State.IDLE,
                    ":event": event,
                    ":now": instant(now),
                    ":one": 1,
                    ":after": after or _NEVER,
                },
            )
            if claimed:
                return Claim(Outcome.CLAIMED, claimed)
            if old is None or (old.state is not State.RUNNING and not old.has_seen(after)):
                continue
            if not old.has_seen(after):
                counted, old = self._update(
                    source_arn, "ADD wanted :one", "#state = :running", {":running": State.RUNNING, ":one": 1}
                )
                if counted is None:
                    continue
                old = counted
                outcome = Outcome.COUNTED
            else:
                outcome = Outcome.SEEN
            if old.state is State.RUNNING and old.execution_arn is None:
                # An earlier claim died before its execution was started.
                return Claim(Outcome.CLAIMED, old)
            return Claim(outcome, old)
        raise RetryableError(
            ErrorCode.THROTTLED,
            f"the ledger's item of {source_arn} changes hands faster than it can be claimed",
        )

    def started(self, source_arn: str, attempt: int, execution_arn: str) -> None:
        """Note the execution of an attempt."""
        self._update(
            source_arn,
            "SET execution_arn = :arn",
            "attempt = :attempt AND #state = :running",
            {":arn": execution_arn, ":attempt": attempt, ":running": State.RUNNING},
        )

    def begin_round(self, source_arn: str, attempt: int, now: datetime) -> Entry:
        """Note what is wanted, before the source is read. Raises `SupersededError`."""
        return self._held(source_arn, attempt, "SET seen = wanted, read_at = :now", {":now": instant(now)})

    def creating(self, source_arn: str, attempt: int, now: datetime) -> None:
        """Note that a mirror may exist from now on. Raises `SupersededError`."""
        self._held(
            source_arn,
            attempt,
            "SET creating_since = if_not_exists(creating_since, :now)",
            {":now": instant(now)},
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
                ":now": instant(now),
            },
        )

    def finish(self, source_arn: str, attempt: int, now: datetime) -> bool:
        """Let go of the item; False when an event came meanwhile and a further round is due."""
        return self._let_go(
            source_arn,
            attempt,
            "SET #state = :to, finished_at = :now REMOVE code, reason",
            {":to": State.IDLE, ":now": instant(now)},
        )

    def fail(self, source_arn: str, attempt: int, code: str, reason: str, now: datetime) -> bool:
        """Let go of the item as failed; False when an event came meanwhile. May be repeated.

        The event then counts as seen: a run that fails before it can read the source fails for good the next
        time, instead of going round for ever.
        """
        over = self._let_go(
            source_arn,
            attempt,
            "SET #state = :to, finished_at = :now, code = :code, reason = :reason",
            {":to": State.FAILED, ":now": instant(now), ":code": code, ":reason": reason},
        )
        if not over:
            self._held(source_arn, attempt, "SET seen = wanted", {})
        return over

    def _let_go(self, source_arn: str, attempt: int, expression: str, values: dict[str, Any]) -> bool:
        running = {":running": State.RUNNING, ":attempt": attempt}
        condition = "attempt = :attempt AND #state = :running AND wanted = seen"
        done, entry = self._update(source_arn, expression, condition, values | running)
        if done:
            return True
        if entry is None or entry.attempt != attempt:
            raise SupersededError(f"{source_arn} is at another attempt than {attempt}")
        # Done before, by a call whose answer was lost.
        return bool(entry.state == values[":to"])

    def _held(self, source_arn: str, attempt: int, expression: str, values: dict[str, Any]) -> Entry:
        running = {":running": State.RUNNING, ":attempt": attempt}
        entry, _ = self._update(
            source_arn, expression, "attempt = :attempt AND #state = :running", values | running
        )
        if entry is None:
            raise SupersededError(f"{source_arn} is not held by attempt {attempt} any more")
        return entry

    def _update(
        self, source_arn: str, expression: str, condition: str, values: Mapping[str, Any]
    ) -> tuple[Entry | None, Entry | None]:
        """Write under a condition; give the new item, or None and the item for which it does not hold."""
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
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                ExpressionAttributeNames={"#state": "state"},  # a reserved word
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            old: Mapping[str, Any] | None = error.response.get("Item")  # type: ignore[assignment]
            return None, _entry(old) if old else None
        return _entry(answer["Attributes"]), None


def _entry(item: Mapping[str, Any]) -> Entry:
    deserialize = TypeDeserializer().deserialize
    return Entry.from_item({name: deserialize(value) for name, value in item.items()})
