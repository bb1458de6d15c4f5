"""The ledger's item: one per source version, kept for ever.

The protocol, of which both halves are needed: an event adds one to ``wanted`` and starts a run only when
none is running (single flight); a run notes what ``wanted`` was (``seen``) before it reads the source, and
lets go of the item only if it still is that, else it goes round again. Without the counter an event that
lands during a run is lost; without single flight two runs race.

An event about a change that is older than the last reading of the source (``read_at``) is not counted: that
reading has seen it. So duplicates and stale replays cost few calls. A failed item counts every event.

``told`` is what the newest event told of the approval. Only of a source that is gone it says more than the source: a
rejection that nobody read before the version was deleted reaches the mirror all the same. So a rejection counts unless
a reading that found the source (``source_seen_at``) is newer.

An item is ``unsettled`` while it runs, and after a failure until its dead letter was sent and its end announced: fail,
send, note that, announce, settle. Whatever dies in between leaves an item that the sweep finds by that attribute. What
is noted is not sent again, however long it cannot be announced. The sweep takes an item from an
execution that is gone by its attempt, whatever is wanted: what came meanwhile is looked at by the redrive.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import version_key
from replicator.mirror_update import Written
from replicator.plan import Known
from replicator.policy import REJECTED

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """Of an item."""

    IDLE = "IDLE"
    RUNNING = "RUNNING"
    FAILED = "FAILED"


SCHEMA = 1
"""Of the items that this release writes. It leaves items of a higher one alone."""

# The times in events have whole seconds, and the clocks of two services differ a little.
_EVENT_RESOLUTION = timedelta(seconds=1.5)


_TELLING = ("Approved", "PendingManualApproval", REJECTED)


def instant(time: datetime) -> str:
    """Give a time as the ledger keeps it: UTC, and texts compare as times do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def seen_after(changed: datetime | None) -> str | None:
    """Give the time of a reading that surely has seen a change; None when it is not known when it was.

    Parameters
    ----------
    changed
        When the event says that the package changed.
    """
    return instant(changed + _EVENT_RESOLUTION) if changed else None


def told(status: Any, changed: datetime | None) -> str | None:
    """Give what an event tells of the approval, after the time of that; None when it does not tell.

    Such texts compare as their times do. Of two of the same time, whose order nobody knows, a rejection is the later.

    Parameters
    ----------
    status
        The approval status in the event.
    changed
        When the event says that the package changed.
    """
    return f"{instant(changed)} {status}" if changed and status in _TELLING else None


def tells_rejection(told: str | None) -> bool:
    """Tell whether a rejection was told."""
    return told is not None and told.endswith(f" {REJECTED}")


class SupersededError(Exception):
    """The item belongs to a later attempt: this execution has no say any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds about one source version."""

    source_arn: str
    """As the event that started the attempt spelled it."""
    state: State = State.IDLE
    wanted: int = 0
    """Counts the events."""
    seen: int = 0
    """What ``wanted`` was when the current round read the source."""
    read_at: str | None = None
    """When it was about to read it."""
    attempt: int = 0
    """Counts the executions."""
    execution_arn: str | None = None
    event: str | None = None
    """The event that started the attempt, as intake takes it again."""
    claimed_at: str | None = None
    finished_at: str | None = None
    """When the last run let go of it."""
    creating_since: str | None = None
    """When a mirror was first about to be created: one may exist from then on."""
    hub_arn: str | None = None
    fingerprint: str | None = None
    told: str | None = None
    """What the newest event told, from `told`."""
    source_seen_at: str | None = None
    """``read_at`` of the last round that found the source and ended well."""
    source_created: str | None = None
    """When the source was created: a group that was deleted and made anew counts its versions anew."""
    source_group: str | None = None
    """The group of the source as people wrote it: known from the moment that a mirror may exist."""
    locations: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    """What was recorded of the bytes at each location; see `replicator.plan.pin`."""
    written: Written = field(default_factory=Written)
    code: str | None = None
    """Of the last error."""
    reason: str | None = None
    """Of the last error: what happened, and what to do."""
    lettered: int = 0
    """The last attempt whose dead letter was sent."""
    unsettled: bool = False
    """Whether it is running, or failed and not all that this leaves to do has been done."""

    def has_seen(self, after: str | None, *, rejection: bool = False) -> bool:
        """Tell whether the mirror comes from a reading after a change; ``after`` is from `seen_after`.

        Without a mirror every event counts: the operator's policy may be another one by now.

        Parameters
        ----------
        rejection
            Whether the change was a rejection. One that came when the source was gone has been seen by nobody.
        """
        read_at = self.source_seen_at if rejection else self.read_at
        if after is None or self.hub_arn is None or read_at is None:
            return False
        return read_at >= after

    @property
    def rejected_unread(self) -> bool:
        """Whether the newest event told of a rejection that neither a reading of the source nor the mirror knows."""
        if self.told is None or not tells_rejection(self.told) or self.written.source_approval == REJECTED:
            return False
        after = seen_after(_when(self.told))
        return after is None or self.source_seen_at is None or self.source_seen_at < after

    def wants_run(self, after: str | None) -> bool:
        """Tell whether an event about a change starts a run, and is not only counted or let go."""
        return self.state is State.FAILED or (self.state is State.IDLE and not self.has_seen(after))

    @property
    def known(self) -> Known | None:
        """What planning needs of a mirror."""
        if self.hub_arn is None:
            return None
        return Known(
            self.hub_arn,
            self.fingerprint or "",
            self.locations,
            self.source_created,
            self.source_group,
            self.pins,
        )

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Entry:
        """Read a DynamoDB item, deserialized. A member of another release is ignored.

        Raises `PermanentError` (``LEDGER_VERSION``) for an item that only a newer release understands, or nobody.
        """
        try:
            schema, state = _number(item, "schema", SCHEMA), item.get("state", State.IDLE)
            if schema > SCHEMA or state not in set(State):
                raise PermanentError(
                    ErrorCode.LEDGER_VERSION,
                    f"the ledger's item of {item['source_arn']} was written by a newer release: it has schema {schema} "
                    f"and state {state}, and this release knows schema {SCHEMA}. Deploy the newer release, then "
                    "redrive.",
                )
            return cls._read(item, State(state))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PermanentError(
                ErrorCode.LEDGER_VERSION,
                f"the ledger's item of {item.get('source_arn')} cannot be read: {error}. This release does not write "
                "that: deploy the newer one, or mend the item if somebody changed it by hand, then redrive.",
            ) from error

    @classmethod
    def _read(cls, item: Mapping[str, Any], state: State) -> Entry:
        locations, pins = _locations(item)
        return cls(
            source_arn=_text(item, "event_arn") or item["source_arn"],
            state=state,
            wanted=_number(item, "wanted"),
            seen=_number(item, "seen"),
            read_at=_time(item, "read_at"),
            attempt=_number(item, "attempt"),
            execution_arn=_text(item, "execution_arn"),
            event=_text(item, "event"),
            claimed_at=_time(item, "claimed_at"),
            finished_at=_time(item, "finished_at"),
            creating_since=_time(item, "creating_since"),
            hub_arn=_text(item, "hub_arn"),
            fingerprint=_text(item, "fingerprint"),
            told=_told(item),
            source_seen_at=_time(item, "source_seen_at"),
            source_created=_text(item, "source_created"),
            source_group=_text(item, "source_group"),
            locations=locations,
            pins=pins,
            written=Written(
                _text(item, "source_approval"), _map(item, "written"), _text(item, "hub_approval")
            ),
            code=_text(item, "code"),
            reason=_text(item, "reason"),
            lettered=_number(item, "lettered"),
            unsettled="unsettled" in item,
        )


def _number(item: Mapping[str, Any], name: str, without: int = 0) -> int:
    value = item.get(name, without)
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        raise _odd(name, value)
    return int(value)


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    if not isinstance(value, str | None):
        raise _odd(name, value)
    return value


def _time(item: Mapping[str, Any], name: str) -> str | None:
    value = _text(item, name)
    if value is not None and datetime.fromisoformat(value).tzinfo is None:
        raise _odd(name, value)
    return value


def _told(item: Mapping[str, Any]) -> str | None:
    value = _text(item, "told")
    if value is not None and _when(value).tzinfo is None:
        raise _odd("told", value)
    return value


def _when(told: str) -> datetime:
    return datetime.fromisoformat(told.partition(" ")[0])


def _map(item: Mapping[str, Any], name: str) -> Mapping[str, str]:
    value = item.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise _odd(name, value)
    return value


def _locations(item: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Read the locations and their pins. Earlier releases kept a pin among them, by the location and a line break."""
    locations = _map(item, "locations")
    if "pins" in item:
        return locations, _map(item, "pins")
    old = {uri for uri in locations if uri.endswith("\n") and uri[:-1] in locations}
    places = {uri: place for uri, place in locations.items() if uri not in old}
    return places, {uri[:-1]: locations[uri] for uri in old}


def _odd(name: str, value: Any) -> TypeError:
    return TypeError(f"its {name} is {repr(value)[:100]}")


def execution_name(source_arn: str, attempt: int) -> str:
    """Name an execution after the version and the attempt, so that starting it twice starts it once.

    80 characters at most: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    return f"{hashlib.sha256(version_key(source_arn).encode()).hexdigest()[:40]}-{attempt}"
