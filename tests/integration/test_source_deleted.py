"""A version that is deleted in its spoke: its mirror is marked, never deleted, and nothing else of it changes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.sagemaker.values import ArnSpelling, Reference
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import ModelPackageArn, version_key
from replicator.ledger import SupersededError
from replicator.mirror import METADATA
from replicator.package import GONE
from replicator.provenance import HUB, SOURCE_ARN, SOURCE_DELETED
from replicator.steps import Action
from tests.integration.registry_world import CrashError, Runner, World, the_policy
from tests.unit.packages import SPOKE
from tests.unit.shapes import IMAGES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MANY = 1000
SPECIFICATION = {"Containers": [{"Image": IMAGES[0], "ModelDataUrl": OBJECTS[0]}]}


@pytest.fixture(scope="module", params=ArnSpelling)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(arn_spelling=request.param)
    yield made
    made.stop()


def approved(world: World, entries: int = 1, group: str | None = None) -> Runner:
    """Register and approve a version that has so many entries of metadata."""
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=group or world.group(),
        InferenceSpecification=SPECIFICATION,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={f"m-{i}": "1" for i in range(entries)},
    )["ModelPackageArn"]
    return Runner(world, arn, the_policy())


def mirrored(world: World, entries: int = 1) -> tuple[Runner, str]:
    """Mirror a version; its next run has a slot, as intake gives it one."""
    runner = approved(world, entries)
    runner.settle()
    assert world.slots.acquire(runner.arn, MANY)
    hub_arn = runner.world.ledger.get(runner.arn).hub_arn  # type: ignore[union-attr]
    assert hub_arn
    return runner, hub_arn


def holds_slot(runner: Runner) -> bool:
    return version_key(runner.arn) in runner.world.slots.running(SPOKE)


def delete(world: World, arn: str) -> None:
    world.scientist.delete_model_package(ModelPackageName=arn)


def show(world: World, hub_arn: str) -> dict[str, Any]:
    return world.describe(world.person, hub_arn)


def fingerprint_of(runner: Runner) -> str | None:
    entry = runner.world.ledger.get(runner.arn)
    assert entry
    return entry.fingerprint


def test_the_mirror_is_marked_and_stays_as_it_is(world: World) -> None:
    runner, hub_arn = mirrored(world)
    world.person.update_model_package(ModelPackageArn=hub_arn, ModelApprovalStatus="Approved")
    before = show(world, hub_arn)
    delete(world, runner.arn)
    runner.settle()
    after = show(world, hub_arn)
    marked = after[METADATA].pop(SOURCE_DELETED)
    assert marked.startswith("20")
    assert {k: v for k, v in after.items() if not k.startswith("LastModified")} == {
        k: v for k, v in before.items() if not k.startswith("LastModified")
    }
    assert fingerprint_of(runner) == GONE
    assert world.bus.last
    assert (world.bus.last.status, world.bus.last.hub_arn) == ("SourceDeleted", hub_arn)
    assert not holds_slot(runner)


def test_the_second_time_there_is_nothing_to_do(world: World) -> None:
    runner, hub_arn = mirrored(world)
    delete(world, runner.arn)
    runner.settle()
    before = show(world, hub_arn)
    assert world.slots.acquire(runner.arn, MANY)
    (plan,) = runner.settle()
    assert getattr(plan, "action", None) is Action.NOTHING
    assert show(world, hub_arn) == before
    assert not holds_slot(runner)


def test_without_a_mirror_the_package_is_not_found(world: World) -> None:
    runner = approved(world)
    delete(world, runner.arn)
    with pytest.raises(PermanentError) as caught:
        runner.settle()
    assert caught.value.code is ErrorCode.PACKAGE_NOT_FOUND


def test_one_that_was_out_of_sight_is_unmarked(world: World) -> None:
    runner, hub_arn = mirrored(world)
    store, reference = world.registry._store, Reference.read(runner.arn)
    assert reference
    hidden = store.packages.pop(reference)
    runner.settle()
    assert SOURCE_DELETED in show(world, hub_arn)[METADATA]
    store.packages[reference] = hidden
    runner.settle()
    assert SOURCE_DELETED not in show(world, hub_arn)[METADATA]
    assert fingerprint_of(runner) not in (GONE, None, "")
    (plan,) = runner.settle()
    assert getattr(plan, "action", None) is Action.NOTHING


def test_another_version_under_its_arn_is_refused_and_the_mark_stays(world: World) -> None:
    runner, hub_arn = mirrored(world)
    store, reference = world.registry._store, Reference.read(runner.arn)
    assert reference
    replaced = store.packages.pop(reference)
    runner.settle()
    replaced.created = world.clock.tick(3600)
    store.packages[reference] = replaced
    (plan,) = runner.settle()
    assert getattr(plan, "code", None) is ErrorCode.SOURCE_REPLACED
    assert SOURCE_DELETED in show(world, hub_arn)[METADATA]


def test_the_mark_takes_the_room_of_our_own_entries_but_not_of_those_that_say_whose_it_is(
    world: World,
) -> None:
    runner, hub_arn = mirrored(world, entries=47)
    assert len(show(world, hub_arn)[METADATA]) == 50
    delete(world, runner.arn)
    runner.settle()
    after = show(world, hub_arn)[METADATA]
    assert len(after) == 50
    assert {SOURCE_DELETED, SOURCE_ARN, HUB} <= set(after)


def test_without_any_room_the_ledger_and_the_event_have_it(world: World) -> None:
    runner, hub_arn = mirrored(world, entries=50)
    before = show(world, hub_arn)
    delete(world, runner.arn)
    runner.settle()
    assert show(world, hub_arn) == before
    assert fingerprint_of(runner) == GONE
    assert world.bus.last
    assert world.bus.last.status == "SourceDeleted"


def test_a_mirror_that_was_deleted_too_is_let_go(world: World) -> None:
    runner, hub_arn = mirrored(world)
    world.person.delete_model_package(ModelPackageName=hub_arn)
    delete(world, runner.arn)
    runner.settle()
    assert fingerprint_of(runner) == GONE
    assert not holds_slot(runner)


def test_a_run_that_goes_round_again_keeps_its_slot(world: World) -> None:
    runner, _ = mirrored(world)
    delete(world, runner.arn)
    runner.event(None)
    world.ledger.started(runner.arn, 2, "execution")

    def an_event_comes() -> None:
        runner.event(None)

    run = runner.run(2, meanwhile=an_event_comes)
    assert [(each.again, holds_slot(runner)) for each in run] == [(False, True), (True, True), (False, False)]


def reject_and_delete(world: World, runner: Runner) -> datetime:
    """Reject a version, and delete it before anybody looks; give the time of the rejection."""
    changed = world.clock.tick()
    world.scientist.update_model_package(
        ModelPackageArn=runner.arn, ModelApprovalStatus="Rejected", ApprovalDescription="it is biased"
    )
    delete(world, runner.arn)
    return changed


def is_rejected(world: World, hub_arn: str) -> bool:
    shown = show(world, hub_arn)
    if shown["ModelApprovalStatus"] == "Rejected":
        assert shown["ApprovalDescription"].startswith(f"Rejected in account {SPOKE}, and deleted there")
        return True
    assert "ApprovalDescription" not in shown
    return False


def test_a_rejection_that_nobody_could_read_reaches_the_hub_once(world: World) -> None:
    runner, hub_arn = mirrored(world)
    world.person.update_model_package(ModelPackageArn=hub_arn, ModelApprovalStatus="Approved")
    changed = reject_and_delete(world, runner)
    runner.settle(changed, "Rejected")
    assert is_rejected(world, hub_arn)
    assert SOURCE_DELETED in show(world, hub_arn)[METADATA]
    assert fingerprint_of(runner) == GONE
    assert not holds_slot(runner)
    told = world.bus.last
    assert told
    assert (told.status, told.source_approval_status, told.hub_approval_status) == (
        "SourceDeleted", "Rejected", "Rejected"
    )  # fmt: skip
    assert told.reason
    assert "rejected in its spoke and then deleted" in told.reason
    # What a person decides after that stays, whatever comes again.
    world.person.update_model_package(ModelPackageArn=hub_arn, ModelApprovalStatus="Approved")
    (plan,) = runner.settle(changed, "Rejected")
    assert getattr(plan, "action", None) is Action.NOTHING
    assert show(world, hub_arn)["ModelApprovalStatus"] == "Approved"


def test_a_rejection_that_comes_after_the_mark_reaches_the_hub(world: World) -> None:
    """Reconcile found that the version is gone; the event was on its way all the time."""
    runner, hub_arn = mirrored(world)
    changed = reject_and_delete(world, runner)
    world.clock.tick(3600)
    runner.settle()
    assert fingerprint_of(runner) == GONE
    assert not is_rejected(world, hub_arn)
    runner.settle(changed, "Rejected")
    assert is_rejected(world, hub_arn)


def test_a_rejection_that_comes_during_the_run_that_marks_reaches_the_hub(world: World) -> None:
    """The run has looked already, at a source that was gone."""
    runner, hub_arn = mirrored(world)
    changed = reject_and_delete(world, runner)
    world.clock.tick(3600)
    runner.settle(
        meanwhile=lambda: world.ledger.started(runner.arn, 2, str(runner.event(changed, "Rejected")))
    )
    assert is_rejected(world, hub_arn)


@pytest.mark.parametrize("order", [["Rejected", "Approved"], ["Approved", "Rejected"]])
def test_a_rejection_that_was_taken_back_before_the_end_is_none(world: World, order: list[str]) -> None:
    """In whatever order the events arrive; and one that comes again later tells nothing new."""
    runner, hub_arn = mirrored(world)
    times = {"Rejected": world.clock.tick(), "Approved": world.clock.tick()}
    delete(world, runner.arn)
    for status in order:
        runner.event(times[status], status)
    runner.settle()
    assert fingerprint_of(runner) == GONE
    runner.settle(times["Rejected"], "Rejected")
    assert not is_rejected(world, hub_arn)


def test_a_rejection_that_a_later_reading_did_not_find_is_none(world: World) -> None:
    """The event that took it back was lost, and reconcile had the source looked at."""
    runner, hub_arn = mirrored(world)
    world.scientist.update_model_package(ModelPackageArn=runner.arn, CustomerMetadataProperties={"more": "1"})
    runner.settle(world.clock.tick(), "Rejected")
    for _ in range(2):  # one that writes, and one that has nothing to do
        world.clock.tick(60)
        runner.settle()
    delete(world, runner.arn)
    runner.settle()
    assert SOURCE_DELETED in show(world, hub_arn)[METADATA]
    assert not is_rejected(world, hub_arn)


def test_a_rejection_that_nothing_was_to_be_done_about_is_none(world: World) -> None:
    runner, hub_arn = mirrored(world)
    changed = world.clock.tick()
    (plan,) = runner.settle(changed, "Rejected")
    assert getattr(plan, "action", None) is Action.NOTHING
    delete(world, runner.arn)
    runner.settle()
    assert not is_rejected(world, hub_arn)


def test_what_was_said_of_the_rejection_goes_when_the_source_is_here_again(world: World) -> None:
    runner, hub_arn = mirrored(world)
    changed = world.clock.tick()
    store, reference = world.registry._store, Reference.read(runner.arn)
    assert reference
    hidden = store.packages.pop(reference)
    runner.settle(changed, "Rejected")
    assert is_rejected(world, hub_arn)
    store.packages[reference] = hidden
    world.scientist.update_model_package(ModelPackageArn=runner.arn, ApprovalDescription="fine")
    runner.settle()
    assert world.bus.last
    assert world.bus.last.drift is None
    assert show(world, hub_arn)["ApprovalDescription"] == "fine"


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("crash", range(7))
def test_a_rejection_of_a_run_that_dies_at_any_call_reaches_the_hub(
    world: World, crash: int, after: bool
) -> None:
    runner, hub_arn = mirrored(world)
    changed = reject_and_delete(world, runner)
    with suppress(CrashError, SupersededError):
        runner.settle(changed, "Rejected", crash=crash, after=after)
    runner.settle()
    assert is_rejected(world, hub_arn)
    assert fingerprint_of(runner) == GONE


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("crash", range(7))
def test_a_run_that_dies_at_any_call_leaves_no_wrong_mark(
    world: World, crash: int, returns: bool, after: bool
) -> None:
    runner, hub_arn = mirrored(world)
    store, reference = world.registry._store, Reference.read(runner.arn)
    assert reference
    hidden = store.packages.pop(reference)
    died = False
    try:
        runner.settle(crash=crash, after=after)
    except (CrashError, SupersededError):  # it let go of the item, and died before it could say so
        died = True
    assert died
    if returns:
        store.packages[reference] = hidden
    runner.settle()
    assert (SOURCE_DELETED in show(world, hub_arn)[METADATA]) is not returns
    assert (fingerprint_of(runner) == GONE) is not returns
    assert not holds_slot(runner)


@pytest.mark.parametrize("crash", range(10))
def test_a_mirror_that_nobody_noted_is_found_and_marked(world: World, crash: int) -> None:
    group = world.group()
    runner = approved(world, group=group)
    try:
        runner.settle(crash=crash)
    except CrashError:
        delete(world, runner.arn)
        there = world.mirrors(group)
        if not there:
            with pytest.raises(PermanentError, match="PACKAGE_NOT_FOUND"):
                runner.settle()
            return
        runner.settle()
        assert SOURCE_DELETED in show(world, there[0])[METADATA]


def other_spelling(runner: Runner) -> Runner:
    """Give the runner of the same version whose events spell the group in another way."""
    arn = ModelPackageArn.parse(runner.arn)
    other = arn.group.lower() if arn.group != arn.group.lower() else arn.group.capitalize()
    return replace(runner, arn=str(arn.spelled(other)))


def test_two_spellings_of_an_arn_are_one_item_one_mirror_and_one_slot(world: World) -> None:
    group = world.group()
    runner = approved(world, group=group)
    runner.settle()
    again = other_spelling(runner)
    assert world.slots.acquire(again.arn, MANY)
    assert holds_slot(runner)
    world.scientist.update_model_package(ModelPackageArn=runner.arn, ModelApprovalStatus="Rejected")
    again.settle(world.clock.tick(), "Rejected")
    (hub_arn,) = world.mirrors(group)
    assert show(world, hub_arn)["ModelApprovalStatus"] == "Rejected"
    assert not holds_slot(runner)
    entry = world.ledger.get(runner.arn)
    assert entry
    assert (entry.attempt, entry.source_group) == (2, group)


def test_a_version_is_gone_only_if_no_spelling_of_its_arn_is_there(world: World) -> None:
    """The event spells the group in a way by which SageMaker may not find it."""
    runner, hub_arn = mirrored(world)
    other_spelling(runner).settle()
    assert SOURCE_DELETED not in show(world, hub_arn)[METADATA]


def test_a_group_that_differs_only_by_case_takes_no_mirror_over() -> None:
    """Whether both can exist is not documented. If they can, one is mirrored, and the other is refused by name."""
    world = World()
    runner, hub_arn = mirrored(world)
    arn = ModelPackageArn.parse(runner.arn)
    before, created = show(world, hub_arn), world.registry._store.packages
    world.scientist.create_model_package_group(ModelPackageGroupName=arn.group.lower())
    twin = world.scientist.create_model_package(
        ModelPackageGroupName=arn.group.lower(),
        InferenceSpecification=SPECIFICATION,
        ModelApprovalStatus="Approved",
    )["ModelPackageArn"]
    own, others = Reference.read(runner.arn), Reference.read(twin)
    assert own
    assert others
    created[others].created = created[own].created
    (plan,) = replace(runner, arn=twin).settle()
    assert getattr(plan, "code", None) is ErrorCode.SOURCE_REPLACED
    assert arn.group in getattr(plan, "reason", "")
    world.scientist.delete_model_package(ModelPackageName=twin)
    replace(runner, arn=twin).settle()
    assert show(world, hub_arn) == before
    world.stop()
