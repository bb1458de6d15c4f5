"""A version that is deleted in its spoke: its mirror is marked, never deleted, and nothing else of it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.sagemaker.values import Reference
from replicator.errors import ErrorCode, PermanentError
from replicator.ledger import SupersededError
from replicator.mirror import METADATA
from replicator.package import GONE
from replicator.provenance import SOURCE_ARN, SOURCE_DELETED
from replicator.steps import Action
from tests.integration.registry_world import CrashError, Runner, World, the_policy
from tests.unit.packages import SPOKE
from tests.unit.shapes import IMAGES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 1000
SPECIFICATION = {"Containers": [{"Image": IMAGES[0], "ModelDataUrl": OBJECTS[0]}]}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    yield made
    made.stop()


def approved(world: World, entries: int = 1) -> Runner:
    """Register and approve a version that has so many entries of metadata."""
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=world.group(),
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
    return runner.arn in runner.world.slots.running(SPOKE)


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


def test_the_mark_takes_the_room_of_our_own_entries_and_the_sources_arn_goes_last(world: World) -> None:
    runner, hub_arn = mirrored(world, entries=48)
    assert len(show(world, hub_arn)[METADATA]) == 50
    delete(world, runner.arn)
    runner.settle()
    after = show(world, hub_arn)[METADATA]
    assert len(after) == 50
    assert {SOURCE_DELETED, SOURCE_ARN} <= set(after)


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
    runner = approved(world)
    try:
        runner.settle(crash=crash)
    except CrashError:
        delete(world, runner.arn)
        name = runner.arn.split("/")[1]
        there = world.mirrors(name)
        if not there:
            with pytest.raises(PermanentError, match="PACKAGE_NOT_FOUND"):
                runner.settle()
            return
        runner.settle()
        assert SOURCE_DELETED in show(world, there[0])[METADATA]
