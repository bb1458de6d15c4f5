"""How reconciling goes on when a spoke is busy, or there are very many: registries, ledger and queue are stand-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.aws.ledger_pages import LedgerPages
from replicator.aws.registry import Version
from replicator.errors import ErrorCode, PermanentError
from replicator.operations.feeding import Budget, Feeder
from replicator.operations.reconciling import Reconciling
from replicator.reconciliation import Finding, Kind, ReconcileAnswer, ReconcileRequest

BUSY, QUIET = "111111111111", "222222222222"


def arn(account: str) -> str:
    return f"arn:aws:sagemaker:eu-west-1:{account}:model-package/churn/1"


@dataclass
class Hub:
    """Spokes with a missing version each; time passes only while somebody waits.

    Parameters
    ----------
    running
        How many runs each spoke has, all the time.
    backlog
        Messages that wait to be taken, all the time.
    refuses
        What a message has that the queue refuses for good, and its reason.
    """

    running: dict[str, int]
    backlog: int = 0
    unreadable: bool = False
    refuses: tuple[str, str] | None = None
    time: float = 0.0
    invocations: int = 0
    opened: int = 0
    sent: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def spoke(self, account: str) -> Any:
        self.opened += 1
        if self.unreadable:
            raise PermanentError(ErrorCode.SOURCE_ACCESS_DENIED, f"the role of {account} does not let us in")
        return SimpleNamespace(
            groups_page=lambda *_: (["churn"], None),
            versions_page=lambda *_: ([Version(arn(account), 1, "Approved")], None),
        )

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def send(self, bodies: list[str]) -> dict[int, str]:
        refused = {
            i: self.refuses[1] for i, body in enumerate(bodies) if self.refuses and self.refuses[0] in body
        }
        self.sent += [body for i, body in enumerate(bodies) if i not in refused]
        return refused

    def invoke(self, request: ReconcileRequest, seconds: float = 60.0) -> ReconcileAnswer:
        budget = Budget(lambda: self.time, self.sleep, ends=self.time + seconds)
        queue: Any = SimpleNamespace(backlog=lambda: self.backlog, send=self.send)
        nothing: Any = SimpleNamespace(
            among=lambda arns: {}, page=lambda *_: SimpleNamespace(entries=[], unknown={}, last=None)
        )
        policy: Any = SimpleNamespace(
            replicated_statuses={"Approved"}, asks_for_tags=False, includes=lambda *_: True
        )
        assert all(hasattr(LedgerPages, name) for name in vars(nothing))
        feeder = Feeder(queue, self.running.__getitem__, 25, budget)
        comparing: Any = SimpleNamespace(look=lambda *_: [])
        reconciling = Reconciling(policy, nothing, self.spoke, comparing, feeder, budget)
        answer = reconciling.run(request, sorted(self.running))
        self.invocations += 1
        self.findings += answer.findings
        self.time += answer.wait
        return answer

    def reconcile(self, request: ReconcileRequest) -> ReconcileAnswer:
        answer = self.invoke(request)
        while not answer.done:
            answer = self.invoke(answer.next)
        return answer


@pytest.mark.parametrize(("mode", "minutes"), [("reconcile", 40), ("backfill", 150)])
def test_a_spoke_whose_runs_take_all_its_room_holds_up_no_other(mode: Any, minutes: int) -> None:
    hub = Hub({BUSY: 12, QUIET: 0})
    totals = hub.reconcile(ReconcileRequest(mode=mode)).totals
    assert [QUIET in body for body in hub.sent] == [True]
    assert (totals.missing, totals.enqueued, totals.left_out) == (2, 1, 1)
    assert [(each.account, each.kind, each.enqueued) for each in hub.findings] == [
        (BUSY, Kind.MISSING, False),
        (QUIET, Kind.MISSING, True),
    ]
    assert minutes / 2 < hub.time / 60 < minutes


def test_a_version_whose_message_is_refused_is_reported_and_holds_up_no_other() -> None:
    hub = Hub(
        {BUSY: 0, QUIET: 0}, refuses=(BUSY, "InvalidParameterValue: Message must be shorter than 1024 bytes.")
    )
    totals = hub.reconcile(ReconcileRequest()).totals
    assert (totals.missing, totals.enqueued, totals.left_out) == (2, 1, 0)
    assert [QUIET in body for body in hub.sent] == [True]
    refused, sent = hub.findings
    assert (refused.account, refused.enqueued, sent.account, sent.enqueued) == (BUSY, False, QUIET, True)
    assert "it is Approved and has no mirror; no run looks at it" in refused.detail
    assert "(InvalidParameterValue: Message must be shorter than 1024 bytes.)" in refused.detail
    assert "no run looks" not in sent.detail


def test_a_queue_that_never_empties_ends_it() -> None:
    hub = Hub({BUSY: 0, QUIET: 0}, backlog=11)
    with pytest.raises(PermanentError, match="nothing could be sent") as caught:
        hub.reconcile(ReconcileRequest())
    assert caught.value.code is ErrorCode.NO_PROGRESS
    assert hub.sent == []


def test_a_dry_run_leaves_nothing_out() -> None:
    totals = Hub({BUSY: 25, QUIET: 25}).reconcile(ReconcileRequest(dry_run=True)).totals
    assert (totals.missing, totals.enqueued, totals.left_out) == (2, 0, 0)


def test_the_clock_is_looked_at_between_spokes_that_let_nobody_in() -> None:
    accounts = {f"{number:012}": 0 for number in range(1, 1001)}
    hub = Hub(accounts, unreadable=True)
    answer = hub.invoke(ReconcileRequest(), seconds=0.0)
    assert hub.opened == 1
    assert not answer.done
    assert hub.reconcile(answer.next).totals.unreadable_spokes == 1000
