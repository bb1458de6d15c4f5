"""Events of a spoke that has as many runs as it may: put off, counted, let through, and never lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from replicator.mirror_update import Written
from replicator.operations.intake import DEFERRED, longest_delay
from tests.integration.conftest import receive_all
from tests.integration.sweep_world import ACCOUNT, NOW, SPOKE, SweepWorld, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws


@pytest.fixture
def world(local_aws: LocalAws, fresh: Callable[[str], str]) -> SweepWorld:
    """A spoke that may have one run, and has it."""
    world = SweepWorld(local_aws, runs_per_spoke=1)
    assert world.intake.take(Version(fresh("busy")).event(), NOW).outcome == "started"
    return world


@pytest.fixture
def version(fresh: Callable[[str], str]) -> Version:
    return Version(fresh("g"))


def waiting(world: SweepWorld) -> list[dict[str, Any]]:
    """Take what was sent to intake again, once its delay is over."""
    world.aws.queues.make_visible(ACCOUNT, world.intake_queue)
    return receive_all(world.aws, ACCOUNT, world.intake_queue)


@pytest.mark.parametrize("deferred", [0, 1, 3, 4, 500])
def test_an_event_that_is_put_off_is_sent_again_once_and_later(
    world: SweepWorld, version: Version, deferred: int
) -> None:
    sent: list[dict[str, Any]] = []
    world.sqs.meta.events.register(
        "provide-client-params.sqs.SendMessage", lambda params, **_: sent.append(params)
    )
    taken = [
        world.intake.take(version.event(), NOW, deferred, last=last).outcome for last in [False] * 7 + [True]
    ]
    assert taken == ["deferred"] * 8
    longest = longest_delay(deferred)
    delays = [request["DelaySeconds"] for request in sent]
    assert all(longest / 2 <= delay <= longest for delay in delays)
    assert len(set(delays)) > 1, "not all at one time"
    copies = waiting(world)
    assert [copy["Body"] for copy in copies] == [version.event()] * 8, "one for each"
    for copy in copies:
        assert copy["MessageAttributes"][DEFERRED]["StringValue"] == str(deferred + 1)
        # A message of its own: however often it is put off, its six receives are left to it.
        assert copy["Attributes"]["ApproximateReceiveCount"] == "1"
    assert world.ledger.get(version.arn) is None
    assert world.letters() == []


def test_a_message_that_was_put_off_and_comes_again_nevertheless_does_no_harm(
    world: SweepWorld, version: Version
) -> None:
    """Intake died after it had sent the copy, before SQS let go of the first: now there are two of it."""
    for _ in range(2):
        assert world.intake.take(version.event(), NOW).outcome == "deferred"
    (held,) = world.slots.running(SPOKE)
    world.slots.release(held)
    outcomes = [world.intake.take(copy["Body"], NOW, 1).outcome for copy in waiting(world)]
    assert outcomes == ["started", "counted"]
    entry = world.ledger.get(version.arn)
    assert entry is not None
    assert (entry.attempt, entry.wanted) == (1, 2)
    names = world.states.list_executions(stateMachineArn=world.machine)["executions"]
    assert len(names) == 2, "that of the other version, and one"


def test_a_rejection_waits_for_no_slot(world: SweepWorld, version: Version) -> None:
    assert world.intake.take(version.event(), NOW).outcome == "deferred"
    rejection = version.event(ModelApprovalStatus="Rejected")
    assert world.intake.take(rejection, NOW).outcome == "started"
    assert version.arn not in world.slots.running(SPOKE)


def test_a_version_that_holds_a_slot_is_counted_and_not_put_off(world: SweepWorld) -> None:
    (held,) = world.slots.running(SPOKE)
    event = Version(held.split("/")[1]).event()
    assert world.intake.take(event, NOW).outcome == "counted"
    entry = world.ledger.get(held)
    assert entry is not None
    assert entry.wanted == 2
    # One that failed, and whose slot the sweep has not released yet, may use it.
    assert world.ledger.abandon(held, 1, "EXECUTION_GONE", "it is gone", NOW, started=True)
    assert world.intake.take(event, NOW).outcome == "started"
    assert waiting(world) == []


def test_an_event_that_the_mirror_has_seen_asks_for_no_slot(world: SweepWorld, version: Version) -> None:
    world.claimed(version)
    world.ledger.begin_round(version.arn, 1, NOW)
    world.ledger.applied(
        version.arn,
        1,
        hub_arn="hub",
        fingerprint="f",
        locations={},
        pins={},
        written=Written(),
        group="g",
        now=NOW,
    )
    assert world.ledger.finish(version.arn, 1, NOW)
    old = json.dumps({**json.loads(version.event()), "time": "2020-01-01T00:00:00Z"})
    assert world.intake.take(old, NOW).outcome == "seen"
    assert world.intake.take(version.event(), NOW).outcome == "deferred", "this one may be of a change"
