"""Goes through the spokes' registries and the ledger, in pages, and asks for runs where something is wrong.

The place is moved after each page, and within a page after each send. So an invocation may end anywhere: the
next one neither passes anything over nor sends it twice. One that dies without an answer is called again with
what it was given; what it sent is then sent twice, which a run does not mind.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from replicator.errors import ErrorCode, PermanentError, RetryableError
from replicator.identifiers import InvalidIdentifierError, ModelPackageArn
from replicator.operations.feeding import PauseError
from replicator.reconciliation import (
    IDLE_MOST,
    PATIENCE,
    Finding,
    Kind,
    Looked,
    Place,
    ReconcileAnswer,
    counted,
    listed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from replicator.aws.ledger_pages import LedgerPages
    from replicator.aws.registry import Registry, Version
    from replicator.ledger import Entry
    from replicator.operations.comparing import Comparing
    from replicator.operations.feeding import Budget, Feeder
    from replicator.policy import Policy
    from replicator.reconciliation import ReconcileRequest, Totals

_PAGE = 100
_AT_ONCE = 24
"""Compared between two looks at the clock and the room: what there is no room for is compared again."""
_DETAIL_MOST = 1000
_AFTER_THROTTLING = 30
_OF_THE_HUB = {ErrorCode.HUB_ACCESS_DENIED, ErrorCode.HUB_REFUSED}
_NO_GROUP: dict[str, Any] = {"group": None, "versions_token": None, "version": 0}


@dataclass(slots=True)
class Job:
    """One invocation: what is asked for, and how far it came."""

    request: ReconcileRequest
    accounts: list[str]
    place: Place
    totals: Totals
    findings: list[Finding] = field(default_factory=list)
    spokes: dict[str, Registry] = field(default_factory=dict)
    pages: int = 0

    def move(self, **where: Any) -> None:
        """Note that what stands before a place is done."""
        self.place = self.place.model_copy(update={"idle": 0, **where})

    def is_crowded(self, account: str) -> bool:
        """Tell whether a spoke is left out, because its own runs leave no room."""
        return account in self.place.crowded

    def note(self, looked: Sequence[Looked], *, left_out: bool, refused: Mapping[str, str]) -> None:
        """Count versions in, and keep what was found.

        Parameters
        ----------
        refused
            Why the intake queue did not take a version, by its ARN.
        """
        sent = not left_out and not self.request.dry_run
        for each in looked:
            reason = refused.get(each.source_arn)
            enqueued = sent and each.sends and reason is None
            self.totals = counted(self.totals, [each], sent=enqueued, left_out=left_out)
            for found in each.findings:
                detail = f"{found.detail}; {_not_sent(reason)}" if reason else found.detail
                changes = {"enqueued": enqueued, "detail": detail[:_DETAIL_MOST]}
                self.findings.append(found.model_copy(update=changes))

    def concerns(self, source_arn: str) -> bool:
        """Tell whether a version is asked for."""
        try:
            arn = ModelPackageArn.parse(source_arn)
        except InvalidIdentifierError:
            return False
        return arn.account in self.accounts and self.concerns_group(arn.group)

    def concerns_group(self, name: str) -> bool:
        """Tell whether a group is asked for, in any spelling: an ARN may have its name in lower case."""
        return self.request.group is None or self.request.group.lower() == name.lower()


@dataclass(frozen=True, slots=True)
class Reconciling:
    """Reconciles.

    Parameters
    ----------
    spoke
        Gives the registry of a spoke, with its read role. Raises `PermanentError` when it does not let us in.
    """

    policy: Policy
    ledger: LedgerPages
    spoke: Callable[[str], Registry]
    comparing: Comparing
    feeder: Feeder
    budget: Budget

    def run(self, request: ReconcileRequest, accounts: list[str]) -> ReconcileAnswer:
        """Go on from where the invocation before this one stopped, for as long as there is time.

        Raises
        ------
        RetryableError
            When AWS throttled before anything was done.
        PermanentError
            ``NO_PROGRESS`` when nothing could be sent for hours; and for what is wrong with the hub itself.
        """
        began = request.cursor or Place()
        job, wait = Job(request, accounts, began, request.totals), 0
        try:
            self._walk(job)
        except PauseError as pause:
            wait = max(pause.wait, 5 if self.feeder.on_its_way else 0)
        except RetryableError:
            if job.place == began:
                raise
            wait = _AFTER_THROTTLING
        if job.place == began:
            job.place = _one_more_idle(began)
        return ReconcileAnswer(
            done=job.place.phase == "done",
            wait=wait,
            totals=job.totals,
            findings=job.findings,
            next=request.model_copy(update={"cursor": job.place, "totals": job.totals}),
        )

    def _walk(self, job: Job) -> None:
        if job.place.phase == "spokes":
            for account in job.accounts:
                if account > (job.place.account or ""):
                    self._check(job)
                    job.move(account=account, groups_token=None, **_NO_GROUP)
                if account == job.place.account:
                    self._spoke(job, account)
                    job.pages += 1
            phase = "done" if job.request.mode == "backfill" else "ledger"
            job.move(phase=phase, account=None, groups_token=None, **_NO_GROUP)
        if job.place.phase == "ledger":
            self._items(job)
            job.move(phase="done", source_arn=None)

    def _check(self, job: Job) -> None:
        """End the invocation between two pages. The first page is read in any case, so that it comes further."""
        if job.pages and (self.budget.over or (job.request.dry_run and job.findings)):
            raise PauseError(0)

    # What the spokes have

    def _spoke(self, job: Job, account: str) -> None:
        registry = self._open(job, account)
        if registry is None:
            return
        try:
            self._groups(job, account, registry)
        except PermanentError as error:
            if error.code in _OF_THE_HUB:
                raise
            self._unreadable(job, account, error)

    def _open(self, job: Job, account: str) -> Registry | None:
        """Give the registry of a spoke; None for one that cannot be read, which is reported once."""
        if account in job.place.unreadable:
            return None
        if account not in job.spokes:
            try:
                job.spokes[account] = self.spoke(account)
            except PermanentError as error:
                self._unreadable(job, account, error)
                return None
        return job.spokes[account]

    def _unreadable(self, job: Job, account: str, error: PermanentError) -> None:
        job.move(unreadable=[*job.place.unreadable, account])
        job.findings.append(
            Finding(
                kind=Kind.UNREADABLE,
                account=account,
                detail=str(error)[:_DETAIL_MOST],
            )
        )
        job.totals = job.totals.model_copy(update={"unreadable_spokes": job.totals.unreadable_spokes + 1})

    def _groups(self, job: Job, account: str, registry: Registry) -> None:
        while True:
            self._check(job)
            # All of them: whether NameContains is about the case of a name is not documented.
            names, following = registry.groups_page(job.place.groups_token)
            start = names.index(job.place.group) if job.place.group in names else 0
            for name in names[start:]:
                if name != job.place.group:
                    job.move(group=name, versions_token=None, version=0)
                if job.concerns_group(name) and self._included(registry, name):
                    self._versions(job, account, registry, name)
            if following is None:
                return
            job.move(groups_token=following, **_NO_GROUP)
            job.pages += 1

    def _included(self, registry: Registry, name: str) -> bool:
        group = registry.group(name) if self.policy.asks_for_tags else None
        return self.policy.includes(name, group.tags if group else {})

    def _versions(self, job: Job, account: str, registry: Registry, group: str) -> None:
        while True:
            self._check(job)
            versions, following = registry.versions_page(group, job.place.versions_token)
            fresh = [each for each in versions if each.version > job.place.version]
            self._feed(job, self._look_up(account, fresh), "version")
            job.pages += 1
            if following is None:
                return
            job.move(versions_token=following)

    def _look_up(self, account: str, versions: Sequence[Version]) -> list[Looked]:
        wanted = {v.arn for v in versions if v.approval_status in self.policy.replicated_statuses}
        entries = self.ledger.among(wanted)
        found = []
        for each in versions:
            findings: tuple[Finding, ...] = ()
            if each.arn in wanted and listed(entries.get(each.arn)):
                detail = f"it is {each.approval_status} and has no mirror"
                findings = (Finding(kind=Kind.MISSING, account=account, source_arn=each.arn, detail=detail),)
            found.append(Looked(account, each.version, each.arn, findings, ("listed",)))
        return found

    # What the ledger has

    def _items(self, job: Job) -> None:
        while True:
            self._check(job)
            page = self.ledger.page(job.place.source_arn, _PAGE)
            entries = [entry for entry in page.entries if job.concerns(entry.source_arn)]
            for start in range(0, len(entries), _AT_ONCE):
                self._check(job)
                looked = self._compare(job, entries[start : start + _AT_ONCE], page.unknown)
                self._feed(job, looked, "source_arn")
                job.pages += 1
            if page.last is None:
                return
            job.move(source_arn=page.last)
            job.pages += 1

    def _compare(self, job: Job, entries: list[Entry], unknown: Mapping[str, PermanentError]) -> list[Looked]:
        accounts = {ModelPackageArn.parse(entry.source_arn).account for entry in entries}
        spokes = {account: self._open(job, account) for account in sorted(accounts)}
        looked = self.comparing.look(entries, {a: registry for a, registry in spokes.items() if registry})
        return [_unknown(each, unknown.get(each.source_arn)) for each in looked]

    # What has to be looked at

    def _feed(self, job: Job, looked: Sequence[Looked], mark: Literal["version", "source_arn"]) -> None:
        """Count versions in, in their order, and send those that a run has to look at, as there is room."""
        rest = list(looked)
        while rest:
            chunk = rest if job.request.dry_run else self._chunk(job, rest)
            arns = [each.source_arn for each in chunk if each.sends]
            left_out = not job.request.dry_run and job.is_crowded(chunk[0].account)
            refused: Mapping[str, str] = {}
            if arns and not job.request.dry_run and not left_out:
                refused = self.feeder.send(chunk[0].account, arns)
            job.note(chunk, left_out=left_out, refused=refused)
            job.move(**{mark: chunk[-1].mark})
            rest = rest[len(chunk) :]

    def _chunk(self, job: Job, rest: list[Looked]) -> list[Looked]:
        """Give the first: all of a spoke that is left out, or some that need no run, or as many as have room."""
        account = rest[0].account
        if job.is_crowded(account):
            return list(itertools.takewhile(lambda each: each.account == account, rest))
        if not rest[0].sends:
            return list(itertools.takewhile(lambda each: not each.sends, rest))
        room = self._room(job, account)
        if not room:
            return self._chunk(job, rest)
        for i, each in enumerate(rest):
            room -= each.sends
            if room < 0 or (each.sends and each.account != account):
                return rest[:i]
        return rest

    def _room(self, job: Job, account: str) -> int:
        """Say how many versions of a spoke may be sent; none when it is left out from now on."""
        try:
            return self.feeder.room(account)
        except PauseError as pause:
            if not pause.crowded or job.place.idle < PATIENCE[job.request.mode]:
                raise
            job.move(crowded=[*job.place.crowded, account])
            return 0


def _unknown(looked: Looked, error: PermanentError | None) -> Looked:
    if error is None:
        return looked
    finding = Finding(
        kind=Kind.UNREADABLE, account=looked.account, source_arn=looked.source_arn, detail=str(error)
    )
    return replace(looked, findings=(finding,))


def _not_sent(reason: str) -> str:
    return (
        f"no run looks at it, because the intake queue refused its message for good ({reason}). Compare the queue's "
        "MaximumMessageSize with the stack's template, and start the reconciliation again"
    )


def _one_more_idle(place: Place) -> Place:
    if place.idle >= IDLE_MOST:
        raise PermanentError(
            ErrorCode.NO_PROGRESS,
            f"nothing could be sent for {place.idle} invocations: the intake queue has a backlog, or the runs of "
            f"{place.account or 'the spokes'} take all the room. Look at the intake queue and its alarm, then "
            "start it again; it finds what is still missing.",
        )
    return place.model_copy(update={"idle": place.idle + 1})
