"""The steps that an item of the ledger takes, as conditional writes; see `replicator.ledger` for the protocol."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from replicator.aws.ledger_items import LedgerItems
from replicator.errors import ErrorCode, RetryableError
from replicator.identifiers import ModelPackageArn
from replicator.ledger import Entry, State, SupersededError, instant, tells_rejection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from replicator.mirror_update import Written

_CLAIM_TRIES = 5
_NEVER = "9999"  # later than every time: an event of unknown age has been seen by no reading
_EVER = "0"  # earlier than every time


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


class Ledger(LedgerItems):
    """The items, and every step that an item takes."""

    def claim(
        self, source_arn: str, event: str, now: datetime, after: str | None, told: str | None = None
    ) -> Claim:
        """Count an event, and claim the item for a new attempt unless one is running.

        Parameters
        ----------
        event
            As intake takes it again.
        after
            From `replicator.ledger.seen_after`.
        told
            From `replicator.ledger.told`; what a newer event told stays.
        """
        for _ in range(_CLAIM_TRIES):
            rejection = tells_rejection(told)
            read_at = "source_seen_at" if rejection else "read_at"
            telling = {":told": told} if told else {}
            claimed, old = self.update(
                source_arn,
                "SET #state = :running, event = :event, event_arn = :arn, claimed_at = :now, unsettled = :account, "
                f"#schema = :schema{', told = :told' if told else ''} "
                "ADD wanted :one, attempt :one REMOVE execution_arn, read_at",
                _and_newer(
                    "attribute_not_exists(#state) OR #state = :failed OR "
                    f"(#state = :idle AND (attribute_not_exists(hub_arn) OR attribute_not_exists({read_at}) "
                    f"OR {read_at} < :after))",
                    told,
                ),
                {
                    **telling,
                    ":running": State.RUNNING,
                    ":failed": State.FAILED,
                    ":idle": State.IDLE,
                    ":event": event,
                    ":arn": source_arn,
                    ":now": instant(now),
                    ":account": ModelPackageArn.parse(source_arn).account,
                    ":one": 1,
                    ":after": after or _NEVER,
                },
            )
            if claimed:
                return Claim(Outcome.CLAIMED, claimed)
            if told and old and old.told and old.told > told:
                told = None
                continue
            has_seen = old is not None and old.has_seen(after, rejection=rejection)
            if old is None or (old.state is not State.RUNNING and not has_seen):
                continue
            if not has_seen:
                counted, old = self.update(
                    source_arn,
                    ("SET told = :told " if told else "") + "ADD wanted :one",
                    _and_newer("#state = :running", told),
                    {":running": State.RUNNING, ":one": 1, **telling},
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
        self.update(
            source_arn,
            "SET execution_arn = :arn",
            "attempt = :attempt AND #state = :running",
            {":arn": execution_arn, ":attempt": attempt, ":running": State.RUNNING},
        )

    def restarted(self, source_arn: str, attempt: int) -> int | None:
        """Count one attempt more, when the execution of this one is over and nobody noted it.

        Gives the new attempt; None when the item is not waiting for an execution any more.
        """
        entry, _ = self.update(
            source_arn,
            "ADD attempt :one REMOVE read_at",
            "attempt = :attempt AND #state = :running AND attribute_not_exists(execution_arn)",
            {":attempt": attempt, ":running": State.RUNNING, ":one": 1},
        )
        return entry.attempt if entry else None

    def begin_round(self, source_arn: str, attempt: int, now: datetime) -> Entry:
        """Note what is wanted, before the source is read. Raises `SupersededError`."""
        return self._held(source_arn, attempt, "SET seen = wanted, read_at = :now", {":now": instant(now)})

    def creating(self, source_arn: str, attempt: int, group: str, now: datetime) -> None:
        """Note that a mirror may exist from now on. Raises `SupersededError`.

        Parameters
        ----------
        group
            Of the source, as people wrote it: the mirror is looked for by it when the source is gone.
        """
        self._held(
            source_arn,
            attempt,
            "SET creating_since = if_not_exists(creating_since, :now), source_group = :group",
            {":now": instant(now), ":group": group},
        )

    def applied(
        self,
        source_arn: str,
        attempt: int,
        *,
        hub_arn: str,
        fingerprint: str,
        locations: Mapping[str, str],
        pins: Mapping[str, str],
        written: Written,
        now: datetime,
        group: str | None,
        created: str | None = None,
        read_at: str | None = None,
    ) -> None:
        """Note what the mirror shows now, and when its source was created. Raises `SupersededError`.

        Parameters
        ----------
        group
            Of the source, as people wrote it; None when a source that is gone left only its ARN.
        read_at
            Of the round, when it found the source and the mirror shows all of it.
        """
        self._held(
            source_arn,
            attempt,
            "SET hub_arn = :hub, fingerprint = :print, locations = :locations, pins = :pins, written = :written, "
            "source_approval = :approval, hub_approval = :status, source_created = :created, source_group = :group, "
            "applied_at = :now" + _found(read_at),
            {
                **({":read": read_at} if read_at else {}),
                ":hub": hub_arn,
                ":print": fingerprint,
                ":locations": dict(locations),
                ":pins": dict(pins),
                ":written": dict(written.members),
                ":approval": written.source_approval,
                ":status": written.hub_approval,
                ":created": created,
                ":group": group,
                ":now": instant(now),
            },
        )

    def finish(self, source_arn: str, attempt: int, now: datetime, read_at: str | None = None) -> bool:
        """Let go of the item; False when an event came meanwhile and a further round is due.

        Parameters
        ----------
        read_at
            Of the round, when it found the source and had nothing to do.
        """
        return self._let_go(
            source_arn,
            attempt,
            f"SET #state = :to, finished_at = :now{_found(read_at)} REMOVE code, reason, unsettled",
            {":to": State.IDLE, ":now": instant(now), **({":read": read_at} if read_at else {})},
        )

    def fail(self, source_arn: str, attempt: int, code: str, reason: str, now: datetime) -> bool:
        """Let go of the item as failed; False when an event came meanwhile. May be repeated.

        It stays unsettled: the dead letter is still to be sent and the end to be announced, and `settle` to be called
        after that.
        The event then counts as seen: a run that fails before it can read the source fails for good the next
        time, instead of going round for ever.
        """
        over = self._let_go(
            source_arn,
            attempt,
            "SET #state = :to, finished_at = :now, code = :code, reason = :reason, unsettled = :account",
            {
                ":to": State.FAILED,
                ":now": instant(now),
                ":code": code,
                ":reason": reason,
                # As the claim noted it, but for a claim of a release that did not.
                ":account": ModelPackageArn.parse(source_arn).account,
            },
        )
        if not over:
            self._held(source_arn, attempt, "SET seen = wanted", {})
        return over

    def abandon(
        self,
        source_arn: str,
        attempt: int,
        code: str,
        reason: str,
        now: datetime,
        *,
        started: bool,
        stale: datetime | None = None,
    ) -> Entry | None:
        """Fail an item whose execution is gone, and give it; None when it is not gone, or not this attempt's, any more.

        Whatever is wanted: nobody is there to go round again, and the dead letter has it looked at anew.

        Parameters
        ----------
        started
            Whether the attempt had an execution, which is over. One that nobody knows of may begin this very moment.
            So then it is taken only before its first round; a round that comes later finds that it lost the item.
        stale
            A round that began before this has no execution that may begin this very moment: it was the last one.
        """
        unread = "" if started else " AND (attribute_not_exists(read_at) OR read_at < :stale)"
        entry, _ = self.update(
            source_arn,
            "SET #state = :failed, finished_at = :now, code = :code, reason = :reason",
            "attempt = :attempt AND #state = :running" + unread,
            {
                ":attempt": attempt,
                ":running": State.RUNNING,
                ":failed": State.FAILED,
                ":now": instant(now),
                ":code": code,
                ":reason": reason,
                **({":stale": instant(stale) if stale else _EVER} if unread else {}),
            },
        )
        return entry

    def lettered(self, source_arn: str, attempt: int) -> None:
        """Note that the dead letter of a failed attempt was sent. An item at another attempt stays as it is."""
        self.update(
            source_arn,
            "SET lettered = :attempt",
            "attempt = :attempt AND #state = :failed",
            {":attempt": attempt, ":failed": State.FAILED},
        )

    def settle(self, source_arn: str, attempt: int) -> None:
        """Note that nothing is left to do for a failed attempt. An item at another attempt stays as it is."""
        self.update(
            source_arn,
            "REMOVE unsettled",
            "attempt = :attempt AND #state = :failed",
            {":attempt": attempt, ":failed": State.FAILED},
        )

    def _let_go(self, source_arn: str, attempt: int, expression: str, values: dict[str, Any]) -> bool:
        running = {":running": State.RUNNING, ":attempt": attempt}
        condition = "attempt = :attempt AND #state = :running AND wanted = seen"
        done, entry = self.update(source_arn, expression, condition, values | running)
        if done:
            return True
        if entry is None or entry.attempt != attempt:
            raise SupersededError(f"{source_arn} is at another attempt than {attempt}")
        # Done before, by a call whose answer was lost.
        return bool(entry.state == values[":to"])

    def _held(self, source_arn: str, attempt: int, expression: str, values: dict[str, Any]) -> Entry:
        running = {":running": State.RUNNING, ":attempt": attempt}
        entry, _ = self.update(
            source_arn, expression, "attempt = :attempt AND #state = :running", values | running
        )
        if entry is None:
            raise SupersededError(f"{source_arn} is not held by attempt {attempt} any more")
        return entry


def _and_newer(condition: str, told: str | None) -> str:
    """Extend a condition by that no newer event has told anything."""
    return f"({condition}) AND (attribute_not_exists(told) OR told <= :told)" if told else condition


def _found(read_at: str | None) -> str:
    return ", source_seen_at = :read" if read_at else ""
