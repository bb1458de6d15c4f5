"""Marks the mirror of a version that was deleted in its spoke. The mirror stays, and so does its approval.

But a rejection that an event told of, and that nobody could read any more, still reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from replicator.events import ReplicationDetail
from replicator.identifiers import SourceVersion
from replicator.mirror import APPROVAL
from replicator.mirror_update import source_deleted, written_rejection
from replicator.operations.finishing import finish
from replicator.package import GONE
from replicator.plan import package_not_found
from replicator.policy import REJECTED
from replicator.steps import RegisterAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from replicator.aws.bus import Bus
    from replicator.aws.ledger import Ledger
    from replicator.aws.registry import Registry
    from replicator.aws.slots import Slots
    from replicator.identifiers import ModelPackageArn
    from replicator.ledger import Entry
    from replicator.mirror_update import Written
    from replicator.package import Description
    from replicator.policy import Policy

# Clocks of two services differ a little.
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Marking:
    """Marks mirrors."""

    policy: Policy
    ledger: Ledger
    slots: Slots
    hub: Registry
    bus: Bus
    now: Callable[[], datetime]

    def run(self, arn: ModelPackageArn, entry: Entry) -> RegisterAnswer:
        """Mark the mirror of a source that is gone. May be repeated.

        Raises `PermanentError` (``PACKAGE_NOT_FOUND``) when there is no mirror, and `SupersededError`.
        """
        hub_arn = entry.hub_arn or self._find(arn, entry)
        if hub_arn is None:
            raise package_not_found(arn)
        rejection = _rejection(arn) if entry.rejected_unread else None
        mirror, approval = self.hub.describe(hub_arn), entry.written.hub_approval
        if mirror is not None:
            change = source_deleted(mirror, self.now().strftime("%Y-%m-%dT%H:%M:%SZ"), rejection)
            if change.request:
                # Whatever dies from here on, the next run compares again: no source has this fingerprint.
                self._applied(entry, hub_arn, "", entry.written)
                self.hub.update(hub_arn, change.request)
                persons = self.policy.hub_approval_status == "Mirrored" and mirror.get(APPROVAL) != approval
                # What a person decided stays theirs, should the source come back and be approved.
                approval = approval if persons else change.request.get(APPROVAL, approval)
                mirror = {**mirror, **change.request}
        after = (
            written_rejection(mirror or {}, entry.written, rejection, approval)
            if rejection
            else entry.written
        )
        self._applied(entry, hub_arn, GONE, after)
        self._publish(arn, hub_arn, mirror, rejection)
        over = finish(self.ledger, self.slots, entry.source_arn, entry.attempt, self.now())
        return RegisterAnswer(again=not over, status="SourceDeleted", hub_arn=hub_arn)

    def _find(self, arn: ModelPackageArn, entry: Entry) -> str | None:
        """Look for a mirror that an earlier attempt may have made and did not note."""
        if entry.creating_since is None:
            return None
        since = datetime.fromisoformat(entry.creating_since) - _SKEW
        source = SourceVersion.remembered(arn, entry.source_group)
        group = self.policy.group_name(source.account, source.group)
        return self.hub.find_mirror(group, arn, since, self.policy.namespace)

    def _applied(self, entry: Entry, hub_arn: str, fingerprint: str, written: Written) -> None:
        self.ledger.applied(
            entry.source_arn,
            entry.attempt,
            hub_arn=hub_arn,
            fingerprint=fingerprint,
            locations=entry.locations,
            pins=entry.pins,
            written=written,
            now=self.now(),
            group=entry.source_group,
            created=entry.source_created,
        )

    def _publish(
        self, arn: ModelPackageArn, hub_arn: str, mirror: Description | None, rejection: str | None
    ) -> None:
        mirror = mirror or {}
        detail = ReplicationDetail(
            status="SourceDeleted",
            source_arn=str(arn),
            hub_arn=hub_arn,
            hub_group=mirror.get("ModelPackageGroupName"),
            hub_version=mirror.get("ModelPackageVersion"),
            source_approval_status=REJECTED if rejection else None,
            hub_approval_status=mirror.get(APPROVAL),
            reason="the version was rejected in its spoke and then deleted; the mirror stays, and is rejected"
            if rejection
            else "the version was deleted in its spoke; the mirror stays as it is",
        )
        self.bus.publish(detail, self.now())


def _rejection(arn: ModelPackageArn) -> str:
    return f"Rejected in account {arn.account}, and deleted there before the reason could be read."
