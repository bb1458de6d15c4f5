"""Finds what died on its way, and ends it: runs, dead letters, multipart uploads, slots.

Everything here may be done twice, and be interrupted anywhere; what is left is found by the next sweep.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from replicator.aws.executions import RUNNING
from replicator.errors import ErrorCode, PermanentError, ReplicationError
from replicator.identifiers import ModelPackageArn
from replicator.ledger import State, execution_name
from replicator.model import Strict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.aws.executions import Executions
    from replicator.aws.ledger import Ledger
    from replicator.aws.open_uploads import OpenUploads
    from replicator.aws.slots import Slots
    from replicator.ledger import Entry
    from replicator.operations.failing import Ending

# A message whose claim died before its execution was started comes again: six times, each after the queue's
# visibility timeout of six minutes. What has no execution after that, with as much again for a queue that is
# behind, gets none from it.
_START_GRACE = timedelta(minutes=75)
# The state machine ends every run after three days.
_LONGEST_RUN = timedelta(days=3)
_SECONDS_FOR_THE_END = 20
_OWNER = re.compile(r"models/(?P<account>[0-9]{12})/(?P<group>[^/]+)/(?P<version>[1-9][0-9]*)/")


class SweepAnswer(Strict):
    """What a sweep found and did."""

    running: int = 0
    """Runs that are at work."""
    oldest_seconds: int = 0
    """How long ago the oldest of them was claimed."""
    gone: int = 0
    """Runs that ended without saying so, and are failed now."""
    letters: int = 0
    """Dead letters that were sent, for those and for runs that failed before."""
    uploads: int = 0
    """Multipart uploads that were aborted."""
    slots: int = 0
    """Slots that were held for nothing, and are free again."""
    problems: list[str] = []
    """What could not be looked at or ended, and why. The next sweep tries again."""
    done: bool = True
    """Whether it came to its end; else the next sweep goes on."""


class _OutOfTimeError(Exception):
    """The function has to end now."""


@dataclass(slots=True)
class Sweep:
    """One sweep.

    Parameters
    ----------
    partition, region
        Of the sources: those of the hub.
    seconds_left
        How long the function may still run.
    """

    ledger: Ledger
    slots: Slots
    executions: Executions
    uploads: OpenUploads
    ending: Ending
    partition: str
    region: str
    seconds_left: Callable[[], float]
    _done: Counter[str] = field(default_factory=Counter)
    _problems: list[str] = field(default_factory=list)

    def run(self, now: datetime) -> SweepAnswer:
        """Go through everything once, as far as the time allows."""
        done = True
        try:
            # Read first and judged last: a slot is taken a moment before the item is claimed.
            held = [arn for account in self.slots.accounts() for arn in sorted(self.slots.running(account))]
            self._sweep_runs(now)
            self._sweep_uploads(now)
            self._sweep_slots(held)
        except _OutOfTimeError:
            done = False
        return SweepAnswer(**self._done, problems=self._problems, done=done)

    def _sweep_runs(self, now: datetime) -> None:
        at_work = self.executions.running()
        for source_arn in self.ledger.unsettled():
            with self._going_on():
                entry = self.ledger.get(source_arn)
                if entry is None or not entry.unsettled:
                    continue
                name = execution_name(source_arn, entry.attempt)
                # The list may be older than the execution; what is not in it is asked for.
                status = RUNNING if name in at_work else self.executions.status(name)
                if status == RUNNING:
                    self._count(entry, now)
                elif entry.state is State.FAILED:
                    self._end(entry, now)
                elif status is not None or _waited(entry, now):
                    self._abandon(entry, status, now)
                else:
                    self._count(entry, now)

    def _count(self, entry: Entry, now: datetime) -> None:
        if entry.state is not State.RUNNING:
            return  # record-failure is at it
        self._done["running"] += 1
        age = round(_age(entry, now).total_seconds())
        self._done["oldest_seconds"] = max(self._done["oldest_seconds"], age)

    def _abandon(self, entry: Entry, status: str | None, now: datetime) -> None:
        code, reason = _gone(entry, status)
        # Step Functions may know an execution a moment later than it began, but not by hours.
        taken = self.ledger.abandon(
            entry.source_arn,
            entry.attempt,
            code,
            reason,
            now,
            started=status is not None,
            stale=now - _START_GRACE,
        )
        if taken is not None:
            self._done["gone"] += 1
            self._end(taken, now)
            return
        self._count(entry, now)  # it went on this very moment
        if _age(entry, now) > _LONGEST_RUN + _START_GRACE:
            name = execution_name(entry.source_arn, entry.attempt)
            self._problems.append(
                f"{entry.source_arn} has been RUNNING since {entry.claimed_at}, longer than a run may take, and could "
                f"not be failed: a round of it began just now. Look for its execution {name}; if there is none, the "
                "next sweeps take it."
            )

    def _end(self, entry: Entry, now: datetime) -> None:
        code = ErrorCode.__members__.get(entry.code or "", ErrorCode.UNEXPECTED)
        reason = entry.reason or "the run failed, and its reason was not noted."
        self._done["letters"] += self.ending.run(entry, code, reason, now)

    def _sweep_uploads(self, now: datetime) -> None:
        at_work: dict[str, bool | None] = {}
        for upload in self.uploads.list():
            with self._going_on():
                found = _OWNER.match(upload.key)
                owner = found[0] if found else ""
                # Who is not at it may begin, and go on with an upload: that is asked again right before each abort.
                if found and at_work.get(owner, False) is False:
                    at_work[owner] = self._is_at_work(found)
                # Where nobody is known who could be at it, only its age tells.
                known = at_work.get(owner)
                stale = now - upload.initiated > _LONGEST_RUN if known is None else not known
                if stale:
                    self.uploads.abort(upload)
                    self._done["uploads"] += 1

    def _is_at_work(self, found: re.Match[str]) -> bool | None:
        """Tell whether the source that a key belongs to has a run; None when the ledger knows no such source.

        Keys have the group as people wrote it, and the ledger knows every spelling of an ARN.
        """
        group, version = found["group"], int(found["version"])
        entry = self.ledger.get(
            str(ModelPackageArn(self.partition, self.region, found["account"], group, version))
        )
        return entry.state is State.RUNNING if entry else None

    def _sweep_slots(self, held: list[str]) -> None:
        for source_arn in held:
            with self._going_on():
                if not self._may_run(source_arn):
                    self.slots.release(source_arn)
                    self._done["slots"] += 1

    def _may_run(self, source_arn: str) -> bool:
        """Tell whether a version may have a run. One whose item only a newer release understands gets none from us."""
        try:
            entry = self.ledger.get(source_arn)
        except PermanentError as error:
            if error.code is not ErrorCode.LEDGER_VERSION:
                raise
            return False
        return entry is not None and entry.state is State.RUNNING

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Stop ahead of the deadline; go on with the next when this one cannot be dealt with."""
        if self.seconds_left() < _SECONDS_FOR_THE_END:
            raise _OutOfTimeError
        try:
            yield
        except ReplicationError as error:
            self._problems.append(str(error))


def _age(entry: Entry, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(entry.claimed_at) if entry.claimed_at else timedelta(0)


def _waited(entry: Entry, now: datetime) -> bool:
    """Tell whether an item without an execution has waited longer than its message can come again."""
    return _age(entry, now) > _START_GRACE


_KEPT = "Finished objects and layers are kept, and a large object that was under way begins anew: redrive it to go on."


def _gone(entry: Entry, status: str | None) -> tuple[ErrorCode, str]:
    name = execution_name(entry.source_arn, entry.attempt)
    if status == "TIMED_OUT":
        return ErrorCode.TIMED_OUT, f"the execution {name} took longer than a run may take. {_KEPT}"
    if status is not None:
        return ErrorCode.EXECUTION_GONE, (
            f"the execution {name} is {status} and did not say how it ended: somebody stopped it, or its failure "
            f"could not be recorded. {_KEPT}"
        )
    if entry.execution_arn or entry.read_at:
        return ErrorCode.EXECUTION_GONE, (
            f"the execution {name} is not known any more, and did not say how it ended: the stack was removed and "
            f"deployed again, or it ended over 90 days ago. {_KEPT}"
        )
    return ErrorCode.EXECUTION_GONE, (
        f"attempt {entry.attempt} of {entry.source_arn} was claimed and its execution never started. Redrive it."
    )
