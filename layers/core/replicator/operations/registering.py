"""Writes the mirror: creates it or brings it up to date, notes it, and says so on the bus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from replicator import provenance
from replicator.errors import ErrorCode, PermanentError
from replicator.events import ReplicationDetail
from replicator.identifiers import ModelPackageArn
from replicator.ledger import State, SupersededError
from replicator.mirror import APPROVAL, METADATA, Update, creation, desired, update, written
from replicator.operations.planning import read_source
from replicator.package import fingerprint
from replicator.plan import uncopied_members
from replicator.steps import RegisterAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.aws.bus import Bus
    from replicator.aws.documents import Documents
    from replicator.aws.ledger import Ledger
    from replicator.aws.registry import Registry
    from replicator.ledger import Entry
    from replicator.mirror import Desired
    from replicator.operations.grouping import Groups
    from replicator.package import Description
    from replicator.policy import Policy
    from replicator.steps import RegisterRequest

# Clocks of two services differ a little.
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Registering:
    """Writes mirrors."""

    policy: Policy
    ledger: Ledger
    spoke: Registry
    hub: Registry
    groups: Groups
    documents: Documents
    bus: Bus
    hub_key_arn: str
    now: Callable[[], datetime]

    def run(self, request: RegisterRequest) -> RegisterAnswer:
        """Write the mirror of one source. May be repeated."""
        arn = ModelPackageArn.parse(request.source_arn)
        entry = self.ledger.get(request.source_arn)
        if entry is None or entry.attempt != request.attempt or entry.state is not State.RUNNING:
            return RegisterAnswer(again=False, status="Superseded")
        source = read_source(arn, self.spoke)
        if fingerprint(source) != request.plan.fingerprint:
            return RegisterAnswer(again=True, status="SourceChanged")
        try:
            return self._write(arn, source, entry, request)
        except SupersededError:
            return RegisterAnswer(again=False, status="Superseded")

    def _write(
        self, arn: ModelPackageArn, source: Description, entry: Entry, request: RegisterRequest
    ) -> RegisterAnswer:
        locations = {**entry.locations, **{r.uri: r.destination for r in request.results}}
        want = desired(source, locations, self.hub_key_arn)
        held = uncopied_members(source, locations, self.policy)
        hub_arn = entry.hub_arn or self._find(arn, source, entry)
        if hub_arn is None:
            status, change = "Mirrored", Update()
            hub_arn = self._create(arn, source, want, held, request)
            mirror = self._describe(hub_arn)
        else:
            status, mirror = "Updated", self._describe(hub_arn)
            change = update(want, mirror, entry.written, self.policy, held)
            if change.request:
                self.hub.update(hub_arn, change.request)
                mirror = self._describe(hub_arn)
        self.ledger.applied(
            request.source_arn,
            request.attempt,
            hub_arn=hub_arn,
            fingerprint=request.plan.fingerprint or "",
            locations=locations,
            written=written(want, mirror, entry.written, [*change.drift, *change.held]),
            now=self.now(),
        )
        self._publish(status, arn, source, mirror, change, entry, request)
        over = self.ledger.finish(request.source_arn, request.attempt, self.now())
        return RegisterAnswer(again=not over, status=status, hub_arn=hub_arn)

    def _find(self, arn: ModelPackageArn, source: Description, entry: Entry) -> str | None:
        """Look for a mirror that the ledger does not know.

        By its provenance beside the artifacts; and in the registry itself when an earlier attempt may have
        died between creating a mirror and noting it.
        """
        document = self.documents.get(self._provenance_key(arn, source))
        if document and isinstance(hub_arn := document.get("hubModelPackageArn"), str):
            mirror = self.hub.describe(hub_arn)
            if mirror and mirror.get(METADATA, {}).get(provenance.SOURCE_ARN) == str(arn):
                return hub_arn
        if entry.creating_since is None:
            return None
        since = datetime.fromisoformat(entry.creating_since) - _SKEW
        return self.hub.find_mirror(self._group(arn, source), arn, since)

    def _create(
        self,
        arn: ModelPackageArn,
        source: Description,
        want: Desired,
        held: set[str],
        request: RegisterRequest,
    ) -> str:
        if held:
            raise PermanentError(
                ErrorCode.UNEXPECTED,
                f"{', '.join(sorted(held))} of {arn} points to something that was not copied. Redrive it.",
            )
        group, key, now = self._group(arn, source), self._provenance_key(arn, source), self.now()
        room = provenance.ENTRIES_MAX - len(want.members.get(METADATA, {}))
        entries = provenance.entries(arn, source, request.results, self.documents.location(key), now, room)
        calls = creation(arn, want, group, self.policy, entries)
        self.groups.ensure(group, arn, self._source_group(arn, source))
        self.ledger.creating(request.source_arn, request.attempt, now)
        hub_arn = self.hub.create(calls.create)
        self.documents.put(key, provenance.document(arn, source, hub_arn, request.results, want.dropped, now))
        if calls.then_update:
            self.hub.update(hub_arn, calls.then_update)
        return hub_arn

    def _describe(self, hub_arn: str) -> Description:
        mirror = self.hub.describe(hub_arn)
        if mirror is None:
            raise PermanentError(
                ErrorCode.MIRROR_DELETED,
                f"the mirror {hub_arn} was deleted in the hub, and is not made again on its own. To mirror the "
                "version again, delete its item from the ledger and redrive; else delete this message.",
            )
        return mirror

    def _publish(
        self,
        status: str,
        arn: ModelPackageArn,
        source: Description,
        mirror: Description,
        change: Update,
        entry: Entry,
        request: RegisterRequest,
    ) -> None:
        now = self.now()
        claimed = datetime.fromisoformat(entry.claimed_at) if entry.claimed_at else now
        detail = ReplicationDetail(
            status=status,
            source_arn=str(arn),
            hub_arn=mirror["ModelPackageArn"],
            hub_group=mirror.get("ModelPackageGroupName"),
            hub_version=mirror.get("ModelPackageVersion"),
            source_approval_status=source.get(APPROVAL),
            hub_approval_status=mirror.get(APPROVAL),
            artifacts=sum(r.kind == "artifact" for r in request.results),
            images=sum(r.kind == "image" for r in request.results),
            bytes=sum(r.bytes for r in request.results),
            drift=change.drift or None,
            not_updatable=[*change.not_updatable, *change.held] or None,
            seconds=round((now - claimed).total_seconds(), 3),
        )
        self.bus.publish(detail, now)

    def _source_group(self, arn: ModelPackageArn, source: Description) -> str:
        return str(source.get("ModelPackageGroupName") or arn.group)

    def _group(self, arn: ModelPackageArn, source: Description) -> str:
        return self.policy.group_name(arn.account, self._source_group(arn, source))

    def _provenance_key(self, arn: ModelPackageArn, source: Description) -> str:
        return self.policy.provenance_key(arn.account, self._source_group(arn, source), arn.version)
