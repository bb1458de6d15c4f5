"""What the operator's metrics count, apart from how they are written.

Each metric has the dimension ``service``, the stack's Namespace; those about something that went wrong are
written a second time with the dimension ``code``, for metrics with other dimensions are other metrics: an alarm
needs the sum, and cannot make it from the codes. There is no dimension for the spoke: every value of a dimension
is a metric more on the bill, and the logs name the source of each line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from replicator.errors import ErrorCode, PermanentError
from replicator.events import ModelPackageEvent
from replicator.steps import ALREADY_THERE, Action

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.ledger import Entry
    from replicator.reconciliation import ReconcileAnswer, ReconcileRequest
    from replicator.steps import CopyResult, RegisterAnswer


class Metric(StrEnum):
    """Every metric that the functions write; docs/design.md has what each means."""

    # register
    VERSIONS_MIRRORED = "VersionsMirrored"
    VERSIONS_UPDATED = "VersionsUpdated"
    REPLICATION_LAG = "ReplicationLag"
    # record-failure
    RUNS_FAILED = "RunsFailed"
    VERSIONS_REFUSED = "VersionsRefused"
    # intake
    EVENTS_STARTED = "EventsStarted"
    EVENTS_COUNTED = "EventsCounted"
    EVENTS_SEEN = "EventsSeen"
    EVENTS_REJECTED = "EventsRejected"
    MESSAGES_DEFERRED = "MessagesDeferred"
    # copy-artifact, copy-image
    ARTIFACTS_COPIED = "ArtifactsCopied"
    ARTIFACT_BYTES_COPIED = "ArtifactBytesCopied"
    IMAGES_COPIED = "ImagesCopied"
    IMAGE_BYTES_COPIED = "ImageBytesCopied"
    # sweep
    RUNS_GONE = "RunsGone"
    UPLOADS_ABORTED = "UploadsAborted"
    LETTERS_SENT = "LettersSent"
    RUNS_AT_WORK = "RunsAtWork"
    OLDEST_RUN_AGE = "OldestRunAge"
    # reconcile
    VERSIONS_MISSING = "VersionsMissing"
    VERSIONS_NEWER = "VersionsNewer"
    MIRRORS_DRIFTED = "MirrorsDrifted"
    MIRRORS_DELETED = "MirrorsDeleted"
    SOURCES_GONE = "SourcesGone"
    SPOKES_UNREADABLE = "SpokesUnreadable"

    @property
    def unit(self) -> str:
        """As CloudWatch calls it."""
        if self in {Metric.REPLICATION_LAG, Metric.OLDEST_RUN_AGE}:
            return "Seconds"
        return "Bytes" if self in {Metric.ARTIFACT_BYTES_COPIED, Metric.IMAGE_BYTES_COPIED} else "Count"


BY_CODE = frozenset({Metric.RUNS_FAILED, Metric.VERSIONS_REFUSED, Metric.EVENTS_REJECTED})
"""Those that are written once more for each code."""


@dataclass(frozen=True, slots=True)
class Count:
    """A value of a metric."""

    metric: Metric
    value: float = 1
    code: ErrorCode | None = None
    """Of a metric in `BY_CODE`, and of no other."""

    def __post_init__(self) -> None:
        if (self.code is not None) != (self.metric in BY_CODE):
            raise ValueError(f"{self.metric} is counted with the code {self.code}")


def registered(action: Action, answer: RegisterAnswer) -> list[Count]:
    """Count what register wrote; nothing when it had no say, or nothing to write.

    Parameters
    ----------
    action
        Of the plan. A version that had no mirror when it was planned is mirrored, also by a register step that
        found the mirror which the one before it had made when it died.
    """
    if answer.hub_arn is None or answer.status not in {"Mirrored", "Updated"}:
        return []
    first = action is Action.MIRROR
    counts = [Count(Metric.VERSIONS_MIRRORED if first else Metric.VERSIONS_UPDATED)]
    if answer.lag_seconds is not None:
        counts.append(Count(Metric.REPLICATION_LAG, answer.lag_seconds))
    return counts


def failed(status: str, code: ErrorCode) -> list[Count]:
    """Count a run that ended badly: a refusal is the plan's decision, a failure is all else.

    Parameters
    ----------
    status
        From record-failure's answer. A run that goes round again has not ended, and one that lost the item
        to a later one is counted there.
    """
    metrics = {"Failed": Metric.RUNS_FAILED, "Refused": Metric.VERSIONS_REFUSED}
    return [Count(metrics[status], code=code)] if status in metrics else []


def taken(outcome: str, code: ErrorCode | None) -> list[Count]:
    """Count what became of a message in intake."""
    metrics = {
        "started": Metric.EVENTS_STARTED,
        "counted": Metric.EVENTS_COUNTED,
        "seen": Metric.EVENTS_SEEN,
        "rejected": Metric.EVENTS_REJECTED,
        "deferred": Metric.MESSAGES_DEFERRED,
    }
    return [Count(metrics[outcome], code=code)]


def swept(at_work: int, oldest_seconds: int, gone: int, letters: int, uploads: int) -> list[Count]:
    """Count what a sweep found and did; zeros too, so that a sweep that does not run is seen."""
    return [
        Count(Metric.RUNS_AT_WORK, at_work),
        Count(Metric.OLDEST_RUN_AGE, oldest_seconds),
        Count(Metric.RUNS_GONE, gone),
        Count(Metric.LETTERS_SENT, letters),
        Count(Metric.UPLOADS_ABORTED, uploads),
    ]


def copied_artifact(result: CopyResult) -> list[Count]:
    """Count an artifact that is whole now; nothing when it was before."""
    if result.method == ALREADY_THERE:
        return []
    return [Count(Metric.ARTIFACTS_COPIED), Count(Metric.ARTIFACT_BYTES_COPIED, result.bytes)]


def copied_image(streamed: int, *, whole: bool) -> list[Count]:
    """Count the bytes of an image that one invocation moved, and the image when that made it whole."""
    counts = [Count(Metric.IMAGES_COPIED)] if whole else []
    return [*counts, Count(Metric.IMAGE_BYTES_COPIED, streamed)] if streamed else counts


def reconciled(request: ReconcileRequest, answer: ReconcileAnswer) -> list[Count]:
    """Count what a reconciliation found, once, at its end, zeros included: an alarm tells of the last one.

    A backfill and a dry run count nothing. Of a part of the spokes only what it found is counted, and not what
    it looked for: that the others drift or are unreadable still holds.
    """
    if not answer.done or request.dry_run or request.mode != "reconcile":
        return []
    totals = answer.totals
    found = {
        Metric.VERSIONS_MISSING: totals.missing,
        Metric.VERSIONS_NEWER: totals.newer,
        Metric.SOURCES_GONE: totals.gone,
    }
    if not request.accounts and request.group is None:
        found |= {
            Metric.MIRRORS_DRIFTED: totals.drifted,
            Metric.MIRRORS_DELETED: totals.mirrors_deleted,
            Metric.SPOKES_UNREADABLE: totals.unreadable_spokes,
        }
    return [Count(metric, value) for metric, value in found.items()]


def lag(entry: Entry, now: datetime) -> float | None:
    """Give the seconds from the event that started a run to now; None when they would not tell of a delay of ours.

    An event that asks for a look has no time. After a failure, most of the time is that in which nobody repaired
    it, which the age of the dead letters tells.
    """
    if entry.event is None or entry.code is not None:
        return None
    try:
        changed = ModelPackageEvent.from_message(entry.event).changed
    except PermanentError:
        return None  # of another release
    return round(max(0.0, (now - changed).total_seconds()), 3) if changed else None
