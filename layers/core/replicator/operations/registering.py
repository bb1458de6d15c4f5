"""Writes the mirror: creates it or brings it up to date, notes it, and says so on the bus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from replicator import provenance
from replicator.counting import lag
from replicator.errors import ErrorCode, PermanentError
from replicator.events import ReplicationDetail
from replicator.identifiers import ModelPackageArn, SourceVersion
from replicator.ledger import State, SupersededError
from replicator.manifests import refuse_manifests_that_point_past
from replicator.mirror import APPROVAL, DESCRIPTION, METADATA, creation, desired
from replicator.mirror_update import DECISIONS, Update, intended, last_written, update, written
from replicator.operations.finishing import finish
from replicator.operations.marking import Marking
from replicator.package import created, fingerprint, other_digests
from replicator.plan import pin, uncopied_members
from replicator.policy import REJECTED
from replicator.provenance import read_intended
from replicator.refusals import refuse_places_elsewhere
from replicator.steps import Action, RegisterAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from replicator.aws.bus import Bus
    from replicator.aws.documents import Documents
    from replicator.aws.ledger import Ledger
    from replicator.aws.registry import Registry
    from replicator.aws.slots import Slots
    from replicator.ledger import Entry
    from replicator.mirror import Desired
    from replicator.mirror_update import Written
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
    slots: Slots
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
        source = self.spoke.describe_version(arn, entry.source_group)
        if fingerprint(source) != request.plan.fingerprint:
            return RegisterAnswer(again=True, status="SourceChanged")
        try:
            if source is None:
                marking = Marking(self.policy, self.ledger, self.slots, self.hub, self.bus, self.now)
                return marking.run(arn, entry)
            return self._write(SourceVersion.described(arn, source), source, entry, request)
        except SupersededError:
            return RegisterAnswer(again=False, status="Superseded")

    def _write(
        self, version: SourceVersion, source: Description, entry: Entry, request: RegisterRequest
    ) -> RegisterAnswer:
        refuse_places_elsewhere(version, request.results, self.policy)
        locations = {**entry.locations, **{result.uri: result.destination for result in request.results}}
        pins = {**entry.pins, **{copy.uri: found for copy in request.plan.copies if (found := pin(copy))}}
        refuse_manifests_that_point_past(request.plan.copies, request.results, locations)
        want = desired(
            source,
            locations,
            self.hub_key_arn,
            follows_approval=self.policy.hub_approval_status == "Mirrored",
        )
        held = uncopied_members(source, locations, self.policy)
        key = self._provenance_key(version)
        document = self.documents.get(key) or {}
        hub_arn = entry.hub_arn or self._find(version, entry, document)
        if hub_arn is None and request.plan.action is Action.UPDATE:
            return RegisterAnswer(again=not self._finished(request), status="NoMirror")
        meant, last = read_intended(document), entry.written
        if hub_arn is None:
            first = self.policy.first_approval_status(want.source_approval)
            status, change = "Mirrored", Update(hub_approval=first)
            hub_arn = self._create(version, source, want, held, entry, request)
            mirror = self._describe(hub_arn)
        else:
            status, mirror = "Updated", self._describe(hub_arn)
            if entry.hub_arn is None:
                # Noted before anything else is meant to be written, for what was meant tells what is ours.
                last = last_written(meant)
                self._applied(request, version, hub_arn, "", locations, pins, last, created(source))
            change = update(want, mirror, last, self.policy, held, meant, self._identity(version))
            untouched = held | (DECISIONS & set(change.untouched))
            self._note(key, version, source, hub_arn, want, untouched, document, request, change.hub_approval)
            if change.request:
                self.hub.update(hub_arn, change.request)
                mirror = self._describe(hub_arn)
        after = written(want, mirror, last, change.untouched, change.hub_approval)
        self._refuse_other_images(version.arn, hub_arn, mirror)
        # Before it is noted: a run that dies in between finds what changed by the note, and names it again.
        self._publish(status, version.arn, source, mirror, change, entry, request)
        self._applied(
            request,
            version,
            hub_arn,
            request.plan.fingerprint or "",
            locations,
            pins,
            after,
            created(source),
            entry.read_at,
        )
        over = self._finished(request)
        return RegisterAnswer(
            again=not over, status=status, hub_arn=hub_arn, lag_seconds=lag(entry, self.now())
        )

    def _finished(self, request: RegisterRequest) -> bool:
        return finish(self.ledger, self.slots, request.source_arn, request.attempt, self.now())

    def _applied(
        self,
        request: RegisterRequest,
        version: SourceVersion,
        hub_arn: str,
        fingerprint: str,
        locations: Mapping[str, str],
        pins: Mapping[str, str],
        last: Written,
        source_created: str | None,
        read_at: str | None = None,
    ) -> None:
        self.ledger.applied(
            request.source_arn,
            request.attempt,
            hub_arn=hub_arn,
            fingerprint=fingerprint,
            locations=locations,
            pins=pins,
            written=last,
            now=self.now(),
            group=version.group,
            created=source_created,
            read_at=read_at,
        )

    def _find(self, version: SourceVersion, entry: Entry, document: Mapping[str, Any]) -> str | None:
        """Look for a mirror that the ledger does not know.

        By its provenance in the bucket; and in the registry itself when an earlier attempt may have
        died between creating a mirror and noting it.
        """
        if isinstance(hub_arn := document.get("hubModelPackageArn"), str):
            mirror = self.hub.describe(hub_arn)
            # The document proves nothing: the package itself has to name this source and this hub, in the group of it.
            ours = provenance.is_mirror(mirror or {}, version.arn, self.policy.namespace)
            if mirror and ours and mirror.get("ModelPackageGroupName") == self._group(version):
                return hub_arn
        if entry.creating_since is None:
            return None
        since = datetime.fromisoformat(entry.creating_since) - _SKEW
        return self.hub.find_mirror(self._group(version), version.arn, since, self.policy.namespace)

    def _create(
        self,
        version: SourceVersion,
        source: Description,
        want: Desired,
        held: set[str],
        entry: Entry,
        request: RegisterRequest,
    ) -> str:
        if held:
            raise PermanentError(
                ErrorCode.UNEXPECTED,
                f"{', '.join(sorted(held))} of {version.arn} points to something that was not copied. Redrive it.",
            )
        # The time of the first attempt: the client token only works for the very same request.
        now = datetime.fromisoformat(entry.creating_since) if entry.creating_since else self.now()
        group, key = self._group(version), self._provenance_key(version)
        room = provenance.ENTRIES_MAX - len(want.members.get(METADATA, {}))
        entries = provenance.entries(
            version, self.policy.namespace, request.results, self.documents.location(key), now, room
        )
        calls = creation(version.arn, want, group, self.policy, entries)
        self.groups.ensure(group, version)
        self.ledger.creating(request.source_arn, request.attempt, version.group, now)
        first = calls.create[APPROVAL]
        self._note(key, version, source, None, want, held, {}, request, first)
        hub_arn = self.hub.create(calls.create)
        self._note(key, version, source, hub_arn, want, held, {}, request, first)
        if calls.then_update:
            self.hub.update(hub_arn, calls.then_update)
        return hub_arn

    def _note(
        self,
        key: str,
        version: SourceVersion,
        source: Description,
        hub_arn: str | None,
        want: Desired,
        held: set[str],
        before: Mapping[str, Any],
        request: RegisterRequest,
        approval: str | None,
    ) -> None:
        """Write the provenance, ahead of the mirror, so that a run that dies leaves what it meant to write."""
        meant = replace(intended(want, read_intended(before), held), hub_approval=approval)
        copies = provenance.copies(before, request.results)
        document = provenance.document(version, source, hub_arn, copies, want.dropped, meant, self.now())
        self.documents.put(key, document)

    def _describe(self, hub_arn: str) -> Description:
        mirror = self.hub.describe(hub_arn)
        if mirror is None:
            raise PermanentError(
                ErrorCode.MIRROR_DELETED,
                f"the mirror {hub_arn} was deleted in the hub, and is not made again on its own. To mirror the "
                "version again, remove hub_arn, fingerprint, locations, written and creating_since from its item in "
                "the ledger (not the item: it counts the attempts), and redrive; else delete this message.",
            )
        return mirror

    def _refuse_other_images(self, arn: ModelPackageArn, hub_arn: str, mirror: Description) -> None:
        """Reject a mirror that would run another image than was registered, and raise `PermanentError`."""
        others = other_digests(mirror)
        if not others:
            return
        what = f"{', '.join(others)} names an image by one digest, and SageMaker shows another as its ImageDigest"
        if mirror.get(APPROVAL) != REJECTED:
            self.hub.update(
                hub_arn, {APPROVAL: REJECTED, DESCRIPTION: f"Rejected by the replicator: {what}."[:1024]}
            )
        raise PermanentError(
            ErrorCode.DIGEST_MISMATCH,
            f"the mirror {hub_arn} of {arn} is rejected: {what}. Register and approve a new version of the package.",
        )

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
            changed=change.changed or None,
            seconds=round((now - claimed).total_seconds(), 3),
        )
        self.bus.publish(detail, now)

    def _identity(self, version: SourceVersion) -> dict[str, str]:
        return provenance.identity(version.arn, self.policy.namespace)

    def _group(self, version: SourceVersion) -> str:
        return self.policy.group_name(version.account, version.group)

    def _provenance_key(self, version: SourceVersion) -> str:
        return self.policy.provenance_key(version.account, version.group, version.version)
