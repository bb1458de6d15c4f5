"""Compares mirrors with their sources, many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.errors import PermanentError, RetryableError
from replicator.identifiers import ModelPackageArn
from replicator.ledger import State
from replicator.package import GONE
from replicator.reconciliation import Finding, Kind, Looked, compared, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from replicator.aws.ledger_pages import LedgerPages
    from replicator.aws.registry import Registry
    from replicator.ledger import Entry
    from replicator.operations.feeding import Budget
    from replicator.package import Description

_THREADS = 8
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class Comparing:
    """Compares.

    Parameters
    ----------
    mirrored
        Whether a mirror's approval status is that of its source.
    """

    ledger: LedgerPages
    hub: Registry
    mirrored: bool
    budget: Budget
    now: Callable[[], datetime]

    def look(self, entries: Sequence[Entry], spokes: Mapping[str, Registry]) -> list[Looked]:
        """Look at versions of the given spokes, in order; what belongs to another spoke is passed over.

        Raises `RetryableError` when a registry throttles for longer than can be waited for.
        """
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(lambda entry: self._look_at(entry, spokes), entries))
        suspects = [each.source_arn for each in found if each.findings]
        if not suspects:
            return found
        # A run may have changed the mirror after its item was read, or be about to.
        then = {entry.source_arn: entry for entry in entries}
        now = self.ledger.among(suspects)
        return [
            each
            if not each.findings or _undisturbed(then[each.source_arn], now.get(each.source_arn))
            else Looked(each.account, each.mark, each.source_arn)
            for each in found
        ]

    def _look_at(self, entry: Entry, spokes: Mapping[str, Registry]) -> Looked:
        arn = ModelPackageArn.parse(entry.source_arn)
        spoke = spokes.get(arn.account)
        settled = entry.state is State.FAILED or (entry.state is State.IDLE and entry.hub_arn is not None)
        if spoke is None or not settled:
            return Looked(arn.account, entry.source_arn, entry.source_arn)
        try:
            found, counts = self._compare(arn, entry, spoke)
        except PermanentError as error:
            found, counts = [(Kind.UNREADABLE, str(error))], []
        findings = tuple(
            Finding(kind=kind, account=arn.account, source_arn=entry.source_arn, detail=detail)
            for kind, detail in found
        )
        return Looked(arn.account, entry.source_arn, entry.source_arn, findings, tuple(counts))

    def _compare(
        self, arn: ModelPackageArn, entry: Entry, spoke: Registry
    ) -> tuple[list[tuple[Kind, str]], list[str]]:
        source = self._describe(lambda: spoke.describe_version(arn, entry.source_group))
        if entry.state is State.FAILED:
            return failed(entry, source, self.now()), ["compared"]
        counts = ["compared", *(["marked"] if source is None and entry.fingerprint == GONE else [])]
        if source is None or entry.hub_arn is None:
            return compared(entry, None, None, self.mirrored), counts
        hub_arn = entry.hub_arn
        mirror = self._describe(lambda: self.hub.describe(hub_arn))
        return compared(entry, source, mirror, self.mirrored), counts

    def _describe(self, describe: Callable[[], Description | None]) -> Description | None:
        for pause in _PAUSES:
            try:
                return describe()
            except RetryableError:
                if self.budget.over:
                    raise
                self.budget.sleep(pause)
        return describe()


def _undisturbed(then: Entry, now: Entry | None) -> bool:
    return now is not None and (now.state, now.attempt) == (then.state, then.attempt)
