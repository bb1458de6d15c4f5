"""Plans a round of a run: looks at the source, and says what has to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.errors import PermanentError
from replicator.identifiers import SourceVersion
from replicator.ledger import SupersededError
from replicator.operations.finishing import finish
from replicator.plan import plan, plan_without_source
from replicator.steps import Action, PlanAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from replicator.aws.ledger import Ledger
    from replicator.aws.registry import Registry
    from replicator.aws.slots import Slots
    from replicator.identifiers import ModelPackageArn
    from replicator.ledger import Entry
    from replicator.package import Description
    from replicator.policy import Policy


@dataclass(frozen=True, slots=True)
class Planning:
    """Plans rounds."""

    policy: Policy
    ledger: Ledger
    slots: Slots
    spoke: Callable[[], Registry]
    """Called once the round is noted, because a spoke may not let us in."""
    now: Callable[[], datetime]

    def run(self, arn: ModelPackageArn, attempt: int) -> PlanAnswer:
        """Plan a round. Raises `PermanentError` for a source that is not there and has no mirror."""
        try:
            # Before the source is read: what comes later is seen as a change of the counter.
            entry = self.ledger.begin_round(str(arn), attempt, self.now())
        except SupersededError as error:
            return PlanAnswer(action=Action.NOTHING, reason=str(error), wanted=0)
        spoke = self.spoke()
        source = spoke.describe_version(arn, entry.source_group)
        begun = entry.creating_since is not None
        try:
            if source is None:
                found = plan_without_source(arn, entry.known, begun, entry.rejected_unread)
            else:
                tags = self._tags(arn, source, entry, spoke)
                found = plan(arn, source, entry.known, self.policy, tags, begun)
        except PermanentError as error:
            if source is None:
                raise
            return PlanAnswer(action=Action.REFUSE, reason=error.message, code=error.code, wanted=entry.seen)
        again = False
        if found.action is Action.NOTHING:
            read_at = entry.read_at if source is not None else None
            again = not finish(self.ledger, self.slots, str(arn), attempt, self.now(), read_at)
        return PlanAnswer(
            action=found.action,
            reason=found.reason,
            wanted=entry.seen,
            fingerprint=found.fingerprint,
            copies=found.copies,
            again=again,
        )

    def _tags(
        self, arn: ModelPackageArn, source: Description, entry: Entry, spoke: Registry
    ) -> dict[str, str]:
        if entry.known or not self.policy.asks_for_tags:
            return {}
        group = spoke.group(SourceVersion.described(arn, source).group)
        return group.tags if group else {}
