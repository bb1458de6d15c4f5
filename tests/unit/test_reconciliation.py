"""What is wrong with a version, and what is counted of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.counting import Metric, reconciled
from replicator.errors import ErrorCode, PermanentError
from replicator.ledger import Entry, State, instant
from replicator.mirror_update import Written, shown
from replicator.operations.feeding import Budget, Feeder, PauseError
from replicator.package import GONE, created, digest, fingerprint
from replicator.reconciliation import (
    Kind,
    Looked,
    ReconcileAnswer,
    ReconcileRequest,
    Totals,
    compared,
    counted,
    failed,
    listed,
    selected_accounts,
)
from tests.unit.packages import ARN, HUB, SPOKE, a_package

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HUB_ARN = "arn:aws:sagemaker:us-east-1:999999999999:model-package/111111111111-churn/1"
MIRROR = a_package(CustomerMetadataProperties={"note": "ours", "replicator:release": "1"})


def entry(**changes: Any) -> Entry:
    """Give the item of a version whose mirror is as it was written."""
    written = {unit: f"{digest(value)}:{digest(value)}" for unit, value in shown(MIRROR).items()}
    members = {
        "source_arn": str(ARN),
        "hub_arn": HUB_ARN,
        "fingerprint": fingerprint(a_package()),
        "source_created": created(a_package()),
        "written": Written("Approved", written),
    }
    return Entry(**(members | changes))


def kinds(found: list[tuple[Kind, str]]) -> list[Kind]:
    return [kind for kind, _ in found]


@pytest.mark.parametrize(
    ("item", "missing"),
    [
        (None, True),
        (entry(), False),
        (entry(hub_arn=None), True),
        (entry(hub_arn=None, state=State.RUNNING), False),
        (entry(hub_arn=None, state=State.FAILED), False),
    ],
)
def test_missing_is_what_has_neither_mirror_nor_run_nor_letter(item: Entry | None, missing: bool) -> None:
    assert listed(item) is missing


def test_what_is_as_it_was_written_is_fine() -> None:
    person = MIRROR | {"ModelApprovalStatus": "Rejected"}
    assert compared(entry(), a_package(), person, False) == []
    assert kinds(compared(entry(), a_package(), person, True)) == [Kind.DRIFTED]


@pytest.mark.parametrize(
    ("item", "source", "mirror", "expected"),
    [
        (entry(), a_package(ModelApprovalStatus="Rejected"), MIRROR, [Kind.NEWER]),
        (entry(), None, MIRROR, [Kind.GONE]),
        (entry(fingerprint=GONE), None, MIRROR, []),
        (entry(fingerprint=GONE), a_package(), MIRROR, [Kind.NEWER]),
        (entry(), a_package(ModelApprovalStatus="Rejected"), None, [Kind.MIRROR_DELETED]),
        (entry(), a_package(), MIRROR | {"ModelPackageDescription": "mine"}, [Kind.DRIFTED]),
        (entry(), a_package(), MIRROR | {"SourceUri": "mine"}, []),
        (entry(fingerprint="x"), a_package(SourceUri="theirs"), MIRROR | {"SourceUri": "mine"},
         [Kind.NEWER, Kind.DRIFTED]),
    ],
)  # fmt: skip
def test_what_is_compared(item: Entry, source: Any, mirror: Any, expected: list[Kind]) -> None:
    assert kinds(compared(item, source, mirror, False)) == expected


@pytest.mark.parametrize(
    ("changes", "source", "expected"),
    [
        ({"finished_at": instant(NOW - timedelta(days=11))}, a_package(), []),
        ({"finished_at": instant(NOW - timedelta(days=13))}, a_package(), [Kind.LAPSING]),
        ({"read_at": "2026-01-02T12:00:00.000000+00:00"}, a_package(), [Kind.NEWER]),
        ({"read_at": "2026-01-03T12:00:00.000000+00:00"}, a_package(), []),
        ({}, None, [Kind.GONE]),
        ({"fingerprint": GONE}, None, []),
        ({"hub_arn": None, "finished_at": "2025"}, None, []),
    ],
)
def test_what_failed(changes: dict[str, Any], source: Any, expected: list[Kind]) -> None:
    assert kinds(failed(entry(state=State.FAILED, **changes), source, NOW)) == expected


def test_which_spokes() -> None:
    assert selected_accounts([], {"2" * 12, SPOKE}, [], HUB) == [SPOKE, "2" * 12]
    assert selected_accounts([], frozenset(), [SPOKE, HUB], HUB) == [SPOKE]
    assert selected_accounts(["3" * 12], frozenset(), [SPOKE], HUB) == ["3" * 12]
    for account, code in (("3" * 12, ErrorCode.UNKNOWN_ACCOUNT), (HUB, ErrorCode.OWN_ACCOUNT)):
        with pytest.raises(PermanentError) as caught:
            selected_accounts([account], {SPOKE}, [], HUB)
        assert caught.value.code is code


def test_totals_go_on_from_what_they_were() -> None:
    looked = [Looked(SPOKE, 1, "a", counts=("listed",)), Looked(SPOKE, 2, "b", counts=("listed", "marked"))]
    totals = counted(Totals(missing=2), looked, sent=True)
    assert (totals.listed, totals.marked, totals.missing, totals.enqueued) == (2, 1, 2, 0)


def answer(request: ReconcileRequest, *, done: bool = True) -> ReconcileAnswer:
    return ReconcileAnswer(
        done=done, totals=Totals(missing=3, unreadable_spokes=1), findings=[], next=request
    )


def test_metrics_are_those_of_a_whole_reconciliation() -> None:
    daily = ReconcileRequest()
    values = {each.metric: each.value for each in reconciled(daily, answer(daily))}
    assert (values[Metric.VERSIONS_MISSING], values[Metric.SPOKES_UNREADABLE], len(values)) == (3, 1, 6)
    assert reconciled(daily, answer(daily, done=False)) == []
    part = ReconcileRequest(group="churn")
    assert Metric.SPOKES_UNREADABLE not in {each.metric for each in reconciled(part, answer(part))}
    for silent in (ReconcileRequest(mode="backfill"), ReconcileRequest(dry_run=True)):
        assert reconciled(silent, answer(silent)) == []


class Queue:
    """A queue that takes everything and says how many messages wait."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting

    def backlog(self) -> int:
        return self.waiting

    def send(self, bodies: list[str]) -> dict[int, str]:
        self.waiting += len(bodies)
        return {}


def feeder(queue: Queue, running: int, *, limit: int = 25, time: list[float] | None = None) -> Feeder:
    clock = time if time is not None else [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    budget = Budget(lambda: clock[0], sleep, ends=60)
    return Feeder(queue, lambda account: running, limit, budget)  # type: ignore[arg-type]


def test_half_of_the_runs_are_left_to_live_approvals() -> None:
    assert feeder(Queue(), 0).room(SPOKE) == 12
    assert feeder(Queue(), 10).room(SPOKE) == 2
    assert feeder(Queue(), 0, limit=1).room(SPOKE) == 1


@pytest.mark.parametrize(("waiting", "running"), [(11, 0), (0, 12), (0, 25)])
def test_without_room_it_waits_and_then_pauses(waiting: int, running: int) -> None:
    time = [0.0]
    with pytest.raises(PauseError):
        feeder(Queue(waiting), running, time=time).room(SPOKE)
    assert 60 <= time[0] < 65


def test_what_was_just_sent_counts_as_running() -> None:
    time = [0.0]
    feeding = feeder(Queue(), 0, time=time)
    feeding.send(SPOKE, [str(ARN)] * 8)
    assert feeding.room(SPOKE) == 4
    assert feeding.room("222222222222") == 12
    time[0] += 10
    assert not feeding.on_its_way
