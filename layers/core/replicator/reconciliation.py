"""Reconciling: what is asked for, how far it is, and what is wrong with a version. Pure.

An event may be lost, a version may have been approved before there was a hub, and of a deletion there is no
event at all. So the spokes' registries are listed and the mirrors compared, from time to time or when asked.
What is wrong is never mended here: the version is put on the intake queue, and a run looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from replicator.errors import ErrorCode, PermanentError
from replicator.ledger import State, instant
from replicator.mirror_update import drifted
from replicator.model import Strict
from replicator.package import GONE, created, fingerprint
from replicator.spokes import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from replicator.ledger import Entry
    from replicator.package import Description

LETTER_LAPSES = timedelta(days=12)
"""A failed version is sent again after so long, because the dead-letter queue keeps a letter for 14 days."""

IDLE_MOST = 120
"""Invocations in a row that found no room to send anything: about three hours."""

PATIENCE = {"reconcile": 24, "backfill": 100}
"""Invocations in a row that wait for the runs of one spoke, about half an hour and two hours, before they leave it out
and go on with the others. The reconciliation of the next day comes back to it; a backfill is for what is left out."""

FINDINGS_MOST = 100
"""In one answer, because Step Functions allows 262,144 bytes of state. The log has all, and so have the answers of a
dry run, which ends its invocation at each page with findings."""


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "MISSING"
    """A version that is to be mirrored, and of which the ledger knows no mirror."""
    NEWER = "NEWER"
    """The source is not what was last applied, or was changed after the run that failed."""
    GONE = "GONE"
    """The source was deleted, and the mirror does not say so yet."""
    LAPSING = "LAPSING"
    """A failure whose dead letter will soon be dropped by its queue."""
    DRIFTED = "DRIFTED"
    """Somebody changed the mirror in the hub. It is reported and stays."""
    MIRROR_DELETED = "MIRROR_DELETED"
    """Somebody deleted the mirror in the hub. It is reported, and not made again."""
    UNREADABLE = "UNREADABLE"
    """A spoke or a version that could not be looked at."""


SENT = frozenset({Kind.MISSING, Kind.NEWER, Kind.GONE, Kind.LAPSING})
"""What a run has to look at. The rest is only reported."""


class Finding(Strict):
    """Something that is wrong, for people."""

    kind: Kind
    account: str
    source_arn: str | None = None
    """None when it is the spoke that is wrong."""
    detail: str
    enqueued: bool = False
    """Whether a run was asked to look at it."""


class Place(Strict):
    """How far it is: what stands before this place is done. It is handed from invocation to invocation."""

    phase: Literal["spokes", "ledger", "done"] = "spokes"
    account: str | None = None
    """The spoke whose registry is being listed."""
    groups_token: str | None = None
    """Of the page of groups that ``group`` is on."""
    group: str | None = None
    versions_token: str | None = None
    version: int = 0
    """Versions of the group up to this one are done."""
    source_arn: str | None = None
    """Items of the ledger up to this one, in the table's own order, are done."""
    unreadable: list[str] = []
    """Spokes that did not let us in."""
    crowded: list[str] = []
    """Spokes whose own runs left no room for long: what is wrong with them is reported, and not sent."""
    idle: int = 0
    """Invocations in a row that came no further."""


class Totals(Strict):
    """What was found since the beginning, over all invocations."""

    listed: int = 0
    """Versions in the spokes' registries."""
    compared: int = 0
    """Items of the ledger whose source and mirror were looked at."""
    missing: int = 0
    newer: int = 0
    gone: int = 0
    marked: int = 0
    """Versions that were deleted, and whose mirror says so."""
    lapsing: int = 0
    drifted: int = 0
    mirrors_deleted: int = 0
    unreadable_spokes: int = 0
    unreadable_versions: int = 0
    enqueued: int = 0
    left_out: int = 0
    """Versions that a run has to look at, and for which their spoke had no room."""


class ReconcileRequest(Strict):
    """Input of the reconcile function. The state machine gives it its own answer back until it is done."""

    mode: Literal["reconcile", "backfill"] = "reconcile"
    """``backfill`` asks only what is missing."""
    accounts: list[Annotated[str, Field(pattern=r"^[0-9]{12}$")]] = []
    """Only these spokes; empty for all."""
    group: str | None = None
    """Only this group."""
    dry_run: bool = False
    """Say what would be done, and send nothing."""
    cursor: Place | None = None
    totals: Totals = Totals()


class ReconcileAnswer(Strict):
    """Output of the reconcile function."""

    done: bool
    wait: int = 0
    """Seconds to wait before the next call."""
    totals: Totals
    findings: list[Finding]
    """Of this invocation: the first of them, or all in a dry run. All are in the log."""
    next: ReconcileRequest
    """What the next call is to be given."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One version, after it was looked at."""

    account: str
    mark: str | int
    """Its place in the order: the version in its group, or its ARN in the ledger."""
    source_arn: str
    findings: tuple[Finding, ...] = ()
    counts: tuple[str, ...] = ()
    """Totals that it counts in beside those of its findings."""

    @property
    def sends(self) -> bool:
        """Whether a run has to look at it."""
        return any(finding.kind in SENT for finding in self.findings)


def selected_accounts(
    wanted: Iterable[str], spokes: AbstractSet[str], seen: Iterable[str], hub_account: str
) -> list[str]:
    """Say which spokes are looked at, in order.

    Parameters
    ----------
    wanted
        By the request; empty for all.
    spokes
        The registered accounts. Empty when the organization is what admits a spoke.
    seen
        Accounts that ever sent an event, for a hub without registered accounts.

    Raises
    ------
    PermanentError
        For a wanted account that may not be a spoke of this hub, as intake refuses its events.
    """
    for account in wanted:
        code = refusal(account, hub_account=hub_account, spokes=spokes)
        if code is ErrorCode.OWN_ACCOUNT:
            raise PermanentError(
                ErrorCode.OWN_ACCOUNT,
                f"{account} is the hub itself, which does not replicate its own packages.",
            )
        if code is ErrorCode.UNKNOWN_ACCOUNT:
            raise PermanentError(
                ErrorCode.UNKNOWN_ACCOUNT,
                f"account {account} is not a registered spoke. Add it to SpokeAccounts of the hub's stack and deploy.",
            )
    return sorted({*wanted} or {*(spokes or seen)} - {hub_account})


def listed(entry: Entry | None) -> bool:
    """Tell whether a version that is to be mirrored is missing, going by its item in the ledger.

    One that runs is under way, and one that failed has a letter.
    """
    return entry is None or (entry.state is State.IDLE and entry.hub_arn is None)


def compared(
    entry: Entry, source: Description | None, mirror: Description | None, mirrored: bool
) -> list[tuple[Kind, str]]:
    """Say what is wrong with a version that has a mirror and no run.

    Parameters
    ----------
    entry
        Its item in the ledger.
    source, mirror
        As they are now; None for what is not there.
    mirrored
        Whether the mirror's approval status is that of the source.
    """
    if source is None:
        if entry.fingerprint == GONE:
            return []
        return [(Kind.GONE, f"it was deleted in the spoke; its mirror {entry.hub_arn} stays and is marked")]
    if mirror is None:
        return [(Kind.MIRROR_DELETED, f"its mirror {entry.hub_arn} was deleted in the hub")]
    found = []
    if entry.fingerprint != fingerprint(source):
        found.append((Kind.NEWER, _newer(entry, source)))
    if drift := drifted(source, mirror, entry.written, mirrored):
        what = ", ".join(sorted(drift))
        found.append(
            (Kind.DRIFTED, f"{what} of its mirror {entry.hub_arn} was changed in the hub, and stays")
        )
    return found


def _newer(entry: Entry, source: Description) -> str:
    if entry.fingerprint == GONE:
        return f"it is there again; its mirror {entry.hub_arn} is marked as deleted"
    if entry.source_created and entry.source_created != created(source):
        return f"another version took its ARN at {created(source)}"
    return f"it changed since its mirror {entry.hub_arn} was written"


def failed(entry: Entry, source: Description | None, now: datetime) -> list[tuple[Kind, str]]:
    """Say what is wrong with a version whose last run failed, beside that."""
    if source is None:
        if entry.hub_arn is None or entry.fingerprint == GONE:
            # Nothing is left that could be mirrored or marked, so its letter may go.
            return []
        return [(Kind.GONE, f"it was deleted in the spoke; its mirror {entry.hub_arn} stays and is marked")]
    changed = source.get("LastModifiedTime") or source.get("CreationTime")
    if entry.read_at and isinstance(changed, datetime) and instant(changed) > entry.read_at:
        return [(Kind.NEWER, f"it changed since its last run failed ({entry.code})")]
    if entry.finished_at and entry.finished_at < instant(now - LETTER_LAPSES):
        return [(Kind.LAPSING, f"its last run failed ({entry.code}) on {entry.finished_at[:10]}")]
    return []


def counted(totals: Totals, looked: Iterable[Looked], *, sent: bool, left_out: bool = False) -> Totals:
    """Count versions in.

    Parameters
    ----------
    sent, left_out
        Whether those that a run has to look at were sent; or had no room.
    """
    found = totals.model_dump()
    for each in looked:
        for name in (*each.counts, *(_TOTALS[finding.kind] for finding in each.findings)):
            found[name] += 1
        found["enqueued"] += sent and each.sends
        found["left_out"] += left_out and each.sends
    return Totals(**found)


_TOTALS = {
    Kind.MISSING: "missing",
    Kind.NEWER: "newer",
    Kind.GONE: "gone",
    Kind.LAPSING: "lapsing",
    Kind.DRIFTED: "drifted",
    Kind.MIRROR_DELETED: "mirrors_deleted",
    Kind.UNREADABLE: "unreadable_versions",
}
