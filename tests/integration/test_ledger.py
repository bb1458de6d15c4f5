"""The ledger's protocol on DynamoDB: single flight, the counter, and what is seen already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from replicator.aws.ledger import Ledger, Outcome
from replicator.ledger import State, SupersededError, seen_after, told
from replicator.mirror_update import Written
from tests.integration.conftest import HUB

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture(scope="module")
def ledger(local_aws: LocalAws) -> Ledger:
    local_aws.client("dynamodb", HUB).create_table(
        TableName="ledger-under-test",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "source_arn", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "source_arn", "KeyType": "HASH"}],
    )
    return Ledger(local_aws.session(HUB), "ledger-under-test")


@pytest.fixture
def arn(fresh: Callable[[str], str]) -> str:
    return f"arn:aws:sagemaker:eu-west-1:111111111111:model-package/{fresh('g')}/1"


def apply(ledger: Ledger, arn: str, attempt: int) -> None:
    ledger.applied(
        arn,
        attempt,
        hub_arn="hub",
        fingerprint="f",
        locations={"a": "b"},
        pins={"a": "p"},
        written=Written("Approved", {"m": "d:d"}),
        group="g",
        now=NOW,
    )


def mirrored(ledger: Ledger, arn: str) -> None:
    """Leave an item whose mirror was made from a reading at NOW."""
    ledger.claim(arn, "event", NOW, None)
    ledger.started(arn, 1, "execution")
    ledger.begin_round(arn, 1, NOW)
    apply(ledger, arn, 1)
    assert ledger.finish(arn, 1, NOW)


def test_the_first_event_claims_and_the_next_only_counts(ledger: Ledger, arn: str) -> None:
    first = ledger.claim(arn, "event", NOW, None)
    assert (first.outcome, first.entry.attempt, first.entry.wanted) == (Outcome.CLAIMED, 1, 1)
    ledger.started(arn, 1, "execution")
    second = ledger.claim(arn, "other", NOW, None)
    assert (second.outcome, second.entry.attempt, second.entry.wanted) == (Outcome.COUNTED, 1, 2)
    assert second.entry.event == "event"


def test_a_claim_that_died_before_its_execution_is_taken_over(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    again = ledger.claim(arn, "event", NOW, None)
    assert (again.outcome, again.entry.attempt) == (Outcome.CLAIMED, 1)


def test_an_attempt_whose_execution_is_over_unnoted_is_followed_by_another(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    assert ledger.restarted(arn, 1) == 2
    assert ledger.restarted(arn, 1) is None
    ledger.started(arn, 2, "execution")
    assert ledger.restarted(arn, 2) is None


def test_an_event_during_a_run_makes_it_go_round_again(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    ledger.started(arn, 1, "execution")
    assert ledger.begin_round(arn, 1, NOW).seen == 1
    ledger.claim(arn, "event", NOW, None)
    assert not ledger.finish(arn, 1, NOW)
    ledger.begin_round(arn, 1, NOW)
    assert ledger.finish(arn, 1, NOW)
    entry = ledger.get(arn)
    assert entry is not None
    assert (entry.state, entry.wanted, entry.seen) == (State.IDLE, 2, 2)


def test_a_run_that_fails_before_it_reads_goes_round_once_and_not_for_ever(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    assert not ledger.fail(arn, 1, "CODE", "reason", NOW)
    assert ledger.fail(arn, 1, "CODE", "reason", NOW)


def test_an_event_during_a_run_that_fails_makes_it_go_round_again(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    ledger.started(arn, 1, "execution")
    ledger.begin_round(arn, 1, NOW)
    ledger.claim(arn, "event", NOW, None)
    assert not ledger.fail(arn, 1, "CODE", "reason", NOW)
    assert ledger.begin_round(arn, 1, NOW).seen == 2
    assert ledger.fail(arn, 1, "CODE", "reason", NOW)


def test_the_end_of_a_run_may_be_repeated(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    ledger.begin_round(arn, 1, NOW)
    assert ledger.fail(arn, 1, "CODE", "reason", NOW)
    assert ledger.fail(arn, 1, "CODE", "reason", NOW)


def test_an_execution_that_lost_the_item_has_no_say(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    ledger.begin_round(arn, 1, NOW)
    ledger.fail(arn, 1, "CODE", "reason", NOW)
    assert ledger.claim(arn, "event", NOW, None).entry.attempt == 2
    for stale in (
        lambda: ledger.begin_round(arn, 1, NOW),
        lambda: ledger.finish(arn, 1, NOW),
        lambda: ledger.fail(arn, 1, "CODE", "reason", NOW),
        lambda: apply(ledger, arn, 1),
        lambda: ledger.creating(arn, 1, "g", NOW),
    ):
        with pytest.raises(SupersededError):
            stale()


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        (NOW - timedelta(days=30), Outcome.SEEN),
        (NOW - timedelta(seconds=2), Outcome.SEEN),
        # In the same second as the reading: it may have come after it.
        (NOW - timedelta(seconds=1), Outcome.CLAIMED),
        (LATER, Outcome.CLAIMED),
        (None, Outcome.CLAIMED),
    ],
)
def test_an_event_that_the_mirror_has_seen_is_let_go(
    ledger: Ledger, arn: str, changed: datetime | None, outcome: Outcome
) -> None:
    mirrored(ledger, arn)
    assert ledger.claim(arn, "event", LATER, seen_after(changed)).outcome is outcome


def test_an_event_that_the_running_round_has_seen_makes_no_further_round(ledger: Ledger, arn: str) -> None:
    mirrored(ledger, arn)
    ledger.claim(arn, "event", LATER, None)
    ledger.started(arn, 2, "execution")
    ledger.begin_round(arn, 2, LATER)
    assert ledger.claim(arn, "event", LATER, seen_after(NOW)).outcome is Outcome.SEEN
    assert ledger.finish(arn, 2, LATER)


def test_a_failed_item_takes_every_event_however_old(ledger: Ledger, arn: str) -> None:
    mirrored(ledger, arn)
    ledger.claim(arn, "event", LATER, None)
    ledger.begin_round(arn, 2, LATER)
    assert ledger.fail(arn, 2, "CODE", "reason", LATER)
    old = seen_after(NOW - timedelta(days=30))
    assert ledger.claim(arn, "event", LATER, old).outcome is Outcome.CLAIMED


def test_without_a_mirror_every_event_counts(ledger: Ledger, arn: str) -> None:
    ledger.claim(arn, "event", NOW, None)
    ledger.begin_round(arn, 1, NOW)
    assert ledger.finish(arn, 1, NOW)
    old = seen_after(NOW - timedelta(days=30))
    assert ledger.claim(arn, "event", LATER, old).outcome is Outcome.CLAIMED


def told_in(ledger: Ledger, arn: str) -> str | None:
    entry = ledger.get(arn)
    assert entry is not None
    return entry.told


def test_what_a_newer_event_told_stays_and_the_older_one_counts_all_the_same(
    ledger: Ledger, arn: str
) -> None:
    rejected, approved = told("Rejected", NOW), told("Approved", LATER)
    assert ledger.claim(arn, "event", NOW, None, approved).outcome is Outcome.CLAIMED
    ledger.started(arn, 1, "execution")
    for number, (status, expected) in enumerate(
        [(rejected, approved), (None, approved), (told("Rejected", LATER), told("Rejected", LATER))], start=2
    ):
        claim = ledger.claim(arn, "event", NOW, None, status)
        assert (claim.outcome, claim.entry.wanted) == (Outcome.COUNTED, number)
        assert told_in(ledger, arn) == expected
    ledger.begin_round(arn, 1, NOW)
    assert ledger.finish(arn, 1, NOW)
    for status in (approved, None, rejected):
        claim = ledger.claim(arn, "event", NOW, None, status)
        assert claim.outcome is Outcome.CLAIMED
        assert claim.entry.told == told("Rejected", LATER)
        ledger.begin_round(arn, claim.entry.attempt, NOW)
        assert ledger.fail(arn, claim.entry.attempt, "CODE", "reason", NOW)


@pytest.mark.parametrize(
    ("status", "changed"), [("Rejected", None), (None, NOW), (7, NOW), (["Rejected"], NOW), ("rejected", NOW)]
)
def test_what_tells_no_status_or_no_time_tells_nothing(status: object, changed: datetime | None) -> None:
    assert told(status, changed) is None


def test_a_rejection_is_seen_by_a_reading_that_found_the_source_and_by_no_other(
    ledger: Ledger, arn: str
) -> None:
    mirrored(ledger, arn)
    old = NOW - timedelta(days=1)
    for claimed in (Outcome.CLAIMED, Outcome.SEEN):
        claim = ledger.claim(arn, "event", LATER, seen_after(old), told("Rejected", old))
        assert claim.outcome is claimed
        if claimed is Outcome.CLAIMED:
            ledger.begin_round(arn, claim.entry.attempt, LATER)
            assert ledger.finish(arn, claim.entry.attempt, LATER, read_at=LATER.isoformat())
    assert ledger.claim(arn, "event", LATER, seen_after(old), told("Approved", old)).outcome is Outcome.SEEN
