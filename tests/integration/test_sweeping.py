"""The sweep at its edges: its deadline, executions that time out or never came, uploads of all ages."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from replicator.errors import ErrorCode, PermanentError
from tests.integration.conftest import wait_for
from tests.integration.sweep_world import ACCOUNT, NOW, SPOKE, Counted, SweepWorld, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws


@pytest.fixture
def world(local_aws: LocalAws) -> SweepWorld:
    return SweepWorld(local_aws)


@pytest.fixture
def version(fresh: Callable[[str], str]) -> Version:
    return Version(fresh("g"))


def test_a_sweep_that_runs_out_of_time_says_so_and_the_next_goes_on(
    world: SweepWorld, version: Version
) -> None:
    versions = [Version(version.group, number) for number in (1, 2, 3)]
    for each in versions:
        world.claimed(each, minutes_ago=80)
    assert world.slots.acquire(version.arn, 1)
    first = world.sweep(seconds_left=Counted(1))
    assert (first.gone, first.letters, first.done) == (1, 1, False)
    second = world.sweep()
    # The table has no order, so the run that holds the slot may be found by either.
    assert (second.gone, second.letters, second.done) == (2, 2, True)
    assert world.slots.running(SPOKE) == frozenset()
    assert world.letters() == [(each.arn, "EXECUTION_GONE") for each in versions]
    third = world.sweep()
    assert (third.gone, third.letters, third.done) == (0, 0, True)


@pytest.mark.parametrize("how", ["stopped", "timed out"])
def test_an_execution_that_ended_unsaid_is_named_by_how_it_ended(
    local_aws: LocalAws, version: Version, how: str
) -> None:
    world = SweepWorld(local_aws, run_seconds=1 if how == "timed out" else 600)
    execution = world.running(version)
    if how == "stopped":
        assert world.sweep().running == 1
        world.states.stop_execution(executionArn=execution)
    over = lambda: world.states.describe_execution(executionArn=execution)["status"] != "RUNNING"  # noqa: E731
    wait_for(over, what="the execution to be over")
    assert world.sweep().gone == 1
    code = "TIMED_OUT" if how == "timed out" else "EXECUTION_GONE"
    assert world.state(version) == ("FAILED", code)
    assert world.letters() == [(version.arn, code)]


@pytest.mark.parametrize(("minutes", "taken"), [(74, False), (76, True)])
def test_a_claim_without_an_execution_is_taken_when_its_message_cannot_come_again(
    world: SweepWorld, version: Version, minutes: float, taken: bool
) -> None:
    world.claimed(version, minutes_ago=minutes)
    answer = world.sweep()
    assert (answer.gone, answer.letters, answer.running) == ((1, 1, 0) if taken else (0, 0, 1))
    assert world.state(version) == (("FAILED", "EXECUTION_GONE") if taken else ("RUNNING", None))
    if not taken:
        assert answer.oldest_seconds == minutes * 60


def test_a_claim_whose_execution_came_at_the_last_moment_is_left_to_it(
    world: SweepWorld, version: Version
) -> None:
    """The sweep saw no execution; then it began, and read the source."""
    world.claimed(version, minutes_ago=80)
    world.ledger.begin_round(version.arn, 1, NOW)
    assert world.sweep().gone == 0
    assert world.state(version) == ("RUNNING", None)
    assert world.ledger.finish(version.arn, 1, NOW)


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize(("read_minutes_ago", "taken"), [(76, True), (74, False)])
def test_a_run_whose_execution_was_forgotten_is_taken(
    world: SweepWorld, version: Version, read_minutes_ago: float, taken: bool, noted: bool
) -> None:
    """The stack was removed and deployed again, with the ledger that it kept; or 90 days went by."""
    world.claimed(version, minutes_ago=60 * 24 * 30)
    if noted:
        world.ledger.started(version.arn, 1, "an execution of a former stack")
    world.ledger.begin_round(version.arn, 1, NOW - timedelta(minutes=read_minutes_ago))
    answer = world.sweep()
    if taken:
        assert (answer.gone, answer.letters, answer.running, answer.problems) == (1, 1, 0, [])
        assert world.state(version) == ("FAILED", "EXECUTION_GONE")
        assert world.letters() == [(version.arn, "EXECUTION_GONE")]
        reason = world.item(version)["reason"]["S"]
        assert "is not known any more" in reason
        assert "a large object that was under way begins anew" in reason
    else:
        # It may have begun a moment ago, and Step Functions does not know it yet; but this goes on for long.
        assert (answer.gone, answer.letters, answer.running) == (0, 0, 1)
        assert answer.oldest_seconds == 60 * 60 * 24 * 30
        (problem,) = answer.problems
        assert problem.startswith(f"{version.arn} has been RUNNING since ")
        assert world.state(version) == ("RUNNING", None)


def test_what_could_not_be_taken_counts_as_running(world: SweepWorld, version: Version) -> None:
    world.claimed(version, minutes_ago=80)
    world.ledger.begin_round(version.arn, 1, NOW)
    answer = world.sweep()
    assert (answer.gone, answer.running, answer.oldest_seconds, answer.problems) == (0, 1, 4800, [])


def test_intake_gives_up_no_attempt_that_has_begun(world: SweepWorld, version: Version) -> None:
    """Its execution may run for days, although intake died before it could note it."""
    world.claimed(version, minutes_ago=120)
    world.ledger.begin_round(version.arn, 1, NOW - timedelta(minutes=119))
    assert world.ledger.abandon(version.arn, 1, "HUB_REFUSED", "refused", NOW, started=False) is None
    assert world.state(version) == ("RUNNING", None)


def test_an_attempt_that_the_sweep_did_not_look_at_is_not_taken(world: SweepWorld, version: Version) -> None:
    world.claimed(version)
    assert world.ledger.restarted(version.arn, 1) == 2
    assert world.ledger.abandon(version.arn, 1, "EXECUTION_GONE", "it is gone", NOW, started=True) is None
    assert world.state(version) == ("RUNNING", None)


def test_a_letter_of_an_earlier_attempt_does_not_settle_a_later_one(
    world: SweepWorld, version: Version
) -> None:
    for attempt in (1, 2):
        world.claimed(version)
        world.ledger.begin_round(version.arn, attempt, NOW)
        assert world.ledger.fail(version.arn, attempt, "UNVERSIONED", "it has no version", NOW)
    world.ledger.settle(version.arn, 1)
    assert "unsettled" in world.item(version)
    world.ledger.settle(version.arn, 2)
    assert "unsettled" not in world.item(version)


def begin(world: SweepWorld, *keys: str) -> None:
    for key in keys:
        world.s3.create_multipart_upload(Bucket=world.bucket, Key=key)


def left(world: SweepWorld) -> list[str]:
    return [upload.key for upload in world.uploads.list()]


def test_an_upload_that_nobody_is_known_to_be_at_goes_after_three_days(
    world: SweepWorld, version: Version
) -> None:
    keys = [f"{version.place}f/weights", "models/readme/x"]
    begin(world, *keys, "elsewhere/x")
    begun = [upload.initiated for upload in world.uploads.list()]
    assert world.sweep(min(begun) + timedelta(days=3)).uploads == 0
    assert left(world) == keys
    assert world.sweep(max(begun) + timedelta(days=3, seconds=1)).uploads == 2
    assert left(world) == []
    other = world.s3.list_multipart_uploads(Bucket=world.bucket)["Uploads"]
    assert [each["Key"] for each in other] == ["elsewhere/x"]


def test_the_upload_of_a_live_run_stays_however_old(world: SweepWorld, version: Version) -> None:
    """Keys have the group as people wrote it, ARNs in lower case."""
    world.running(version)
    ended = Version(version.group, 11)
    world.running(ended)
    assert not world.ledger.finish(ended.arn, 1, NOW), "an event is not seen yet"
    world.ledger.begin_round(ended.arn, 1, NOW)
    assert world.ledger.finish(ended.arn, 1, NOW)
    shouted = Version(version.group.upper())
    live = [f"{shouted.place}f/weights", f"{version.place}f/weights"]
    begin(world, *live, f"{ended.place}f/weights")
    answer = world.sweep(NOW + timedelta(days=30))
    assert (answer.uploads, answer.problems) == (1, [])
    assert left(world) == live


def test_a_run_that_begins_during_the_sweep_keeps_its_uploads(world: SweepWorld, version: Version) -> None:
    world.running(version)
    world.ledger.begin_round(version.arn, 1, NOW)
    world.ledger.finish(version.arn, 1, NOW)
    begin(world, f"{version.place}a/weights", f"{version.place}b/weights")

    def redriven(**_: Any) -> None:
        if world.state(version)[0] != "RUNNING":
            world.claimed(version)

    world.uploads._client.meta.events.register("after-call.s3.AbortMultipartUpload", redriven)
    assert world.sweep().uploads == 1
    assert left(world) == [f"{version.place}b/weights"]


def test_the_upload_of_a_failed_run_goes_and_its_letter_says_so(world: SweepWorld, version: Version) -> None:
    execution = world.running(version)
    begin(world, f"{version.place}f/weights")
    world.s3.put_object(Bucket=world.bucket, Key=f"{version.place}f/finished", Body=b"x")
    world.states.stop_execution(executionArn=execution)
    assert world.sweep().uploads == 1
    assert left(world) == []
    assert world.s3.list_objects_v2(Bucket=world.bucket)["KeyCount"] == 1
    reason = world.item(version)["reason"]["S"]
    assert "Finished objects and layers are kept, and a large object that was under way begins anew" in reason


def test_thousands_of_uploads_are_looked_at_page_by_page(world: SweepWorld, version: Version) -> None:
    backend = s3_backends[ACCOUNT]["aws"]
    for number in range(2500):
        key = f"{version.place}{number:04}/weights"
        backend.create_multipart_upload(world.bucket, key, {}, "STANDARD", {}, None, "", "")
    ended = Version(version.group, 2)  # its key comes after all others
    world.claimed(ended)
    world.ledger.begin_round(ended.arn, 1, NOW)
    assert world.ledger.finish(ended.arn, 1, NOW)
    begin(world, f"{ended.place}f/weights")
    pages: list[Any] = []
    world.uploads._client.meta.events.register(
        "after-call.s3.ListMultipartUploads", lambda parsed, **_: pages.append(len(parsed["Uploads"]))
    )
    answer = world.sweep()
    assert (answer.uploads, answer.done) == (1, True)
    assert pages == [1000, 1000, 501]
    assert len(left(world)) == 2500


def test_a_newer_releases_item_is_left_alone_and_its_failure_has_a_letter(
    world: SweepWorld, version: Version
) -> None:
    world.claimed(version)
    world.ledger.begin_round(version.arn, 1, NOW)
    assert world.slots.acquire(version.arn, 1)
    item = world.of_a_newer_release(version)
    answer = world.fail(version)
    assert (answer.status, answer.code, answer.again) == ("Failed", ErrorCode.LEDGER_VERSION, False)
    assert version.arn in answer.reason
    assert "Deploy the newer release" in answer.reason
    assert world.letters() == [(version.arn, "LEDGER_VERSION")]
    assert world.item(version) == item
    assert world.slots.running(SPOKE) == frozenset()


ODD_MEMBERS: list[dict[str, Any]] = [
    {"schema": {"N": "2"}},
    {"schema": {"S": "v2"}},
    {"attempt": {"S": "a7"}},
    {"claimed_at": {"S": "long ago"}},
    {"written": {"S": "everything"}},
    {"state": {"L": []}},
]


@pytest.mark.parametrize("members", ODD_MEMBERS, ids=lambda members: next(iter(members)))
def test_an_item_that_cannot_be_read_stops_no_sweep_and_is_named(
    world: SweepWorld, version: Version, members: dict[str, Any]
) -> None:
    """Its slot is released: no run of ours has it any more."""
    odd, other = Version(version.group, 1), Version(version.group, 2)
    for each in (odd, other):
        world.claimed(each, minutes_ago=80)
        assert world.slots.acquire(each.arn, 2)
    item = world.of_a_newer_release(odd, **members)
    answer = world.sweep()
    assert (answer.gone, answer.letters, answer.slots, answer.done) == (1, 1, 2, True)
    (problem,) = answer.problems
    assert problem.startswith(f"LEDGER_VERSION: the ledger's item of {odd.arn} ")
    assert "redrive" in problem
    assert world.item(odd) == item
    assert world.letters() == [(other.arn, "EXECUTION_GONE")]
    assert world.slots.running(SPOKE) == frozenset()


@pytest.mark.parametrize("members", ODD_MEMBERS, ids=lambda members: next(iter(members)))
def test_intake_names_an_item_that_cannot_be_read(
    world: SweepWorld, version: Version, members: dict[str, Any]
) -> None:
    world.claimed(version)
    item = world.of_a_newer_release(version, **members)
    assert world.intake.take(version.event(), NOW).code is ErrorCode.LEDGER_VERSION
    assert world.letters() == [(version.arn, "LEDGER_VERSION")]
    assert world.item(version) == item


def test_no_write_touches_an_item_of_a_newer_release(world: SweepWorld, version: Version) -> None:
    """Intake has read an older item a moment before."""
    world.claimed(version)
    world.ledger.begin_round(version.arn, 1, NOW)
    world.ledger.finish(version.arn, 1, NOW)
    item = world.of_a_newer_release(version)
    with pytest.raises(PermanentError, match="Deploy the newer release") as caught:
        world.ledger.claim(version.arn, version.event(), NOW, None)
    assert caught.value.code is ErrorCode.LEDGER_VERSION
    assert world.item(version) == item


def test_intake_names_an_item_of_a_newer_release_and_leaves_it_alone(
    world: SweepWorld, version: Version
) -> None:
    world.claimed(version)
    item = world.of_a_newer_release(version)
    taken = world.intake.take(version.event(), NOW)
    assert (taken.outcome, taken.code) == ("rejected", ErrorCode.LEDGER_VERSION)
    assert world.letters() == [(version.arn, "LEDGER_VERSION")]
    assert world.item(version) == item


def test_a_failure_whose_letter_could_not_be_sent_stays_to_be_found(
    world: SweepWorld, version: Version
) -> None:
    """First the letter, then settled: what dies in between sends it twice, not never."""
    world.claimed(version)
    world.ledger.begin_round(version.arn, 1, NOW)

    def die(**_: Any) -> None:
        raise ConnectionError

    events = world.sqs.meta.events
    events.register("before-call.sqs.SendMessage", die)
    with pytest.raises(ConnectionError):
        world.fail(version)
    events.unregister("before-call.sqs.SendMessage", die)
    assert "unsettled" in world.item(version)
    assert world.sweep(NOW + timedelta(hours=2)).letters == 1
    assert world.letters() == [(version.arn, "UNVERSIONED")]
    assert "unsettled" not in world.item(version)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\ufffe", "\ud800"])
def test_a_reason_that_sqs_would_not_take_has_its_letter(
    world: SweepWorld, version: Version, character: str
) -> None:
    """Keys of objects may have such characters."""
    world.claimed(version)
    world.ledger.begin_round(version.arn, 1, NOW)
    answer = world.fail(version, f"SOURCE_OBJECT_MISSING: s3://models/a{character}b is not there.")
    assert answer.reason == f"s3://models/a\\u{ord(character):04x}b is not there."
    assert world.state(version) == ("FAILED", "SOURCE_OBJECT_MISSING")
    assert world.letters() == [(version.arn, "SOURCE_OBJECT_MISSING")]
    assert "unsettled" not in world.item(version)


def test_a_letter_of_intake_has_nothing_that_sqs_would_not_take(world: SweepWorld) -> None:
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Package State Change",
        "region": "eu-west-1",
    }
    named = json.dumps({**event, "account": SPOKE, "detail": {"ModelPackageArn": "arn:\x01" + "x" * 300}})
    for body in ("not json \ufffe", named):
        assert world.intake.take(body, NOW).outcome == "rejected"
    found = world.sqs.receive_message(
        QueueUrl=world.dead_letters, MaxNumberOfMessages=10, MessageAttributeNames=["source_arn"]
    )["Messages"]
    assert sorted(each["Body"] for each in found) == sorted([r"not json \ufffe", named])
    (about,) = [each["MessageAttributes"] for each in found if "MessageAttributes" in each]
    assert about["source_arn"]["StringValue"] == r"arn:\u0001" + "x" * 251


def test_an_end_that_cannot_be_announced_has_one_letter_and_no_slot(
    world: SweepWorld, version: Version
) -> None:
    """PutEvents is denied for a day: record-failure tries sixteen times, and the sweep every quarter of an hour."""
    refusing = "before-call.events.PutEvents"

    def refuse(**_: Any) -> None:
        raise PermanentError(ErrorCode.HUB_ACCESS_DENIED, "PutEvents is denied")

    events = world.ending.bus._client.meta.events
    for attempt in (1, 2):
        world.claimed(version)
        world.ledger.begin_round(version.arn, attempt, NOW)
        assert world.slots.acquire(version.arn, 1)
        events.register(refusing, refuse)
        for _ in range(3):
            with pytest.raises(PermanentError, match="PutEvents is denied"):
                world.fail(version, attempt=attempt)
        for day in (1, 2):
            answer = world.sweep(NOW + timedelta(days=day))
            assert (answer.letters, len(answer.problems)) == (0, 1)
        assert world.letters() == [(version.arn, "UNVERSIONED")]
        assert world.slots.running(SPOKE) == frozenset()
        assert "unsettled" in world.item(version)
        events.unregister(refusing, refuse)
        assert world.sweep(NOW + timedelta(days=3)).problems == []
        assert world.letters() == []
        assert "unsettled" not in world.item(version)
