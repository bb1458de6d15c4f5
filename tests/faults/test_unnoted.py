"""A register function that dies between a write and its note, in a registry that remembers no ClientToken.

The token alone keeps a create from being repeated for as long as SageMaker remembers it, which nobody says.
Here it is forgotten at once, so what is left is what the function wrote down before each write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import PermanentError
from replicator.steps import PlanAnswer, RegisterAnswer, RegisterRequest
from tests.integration.registry_world import CrashError, Runner, World, the_policy
from tests.unit.packages import SPOKE
from tests.unit.shapes import IMAGES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_CALLS = 30


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(token_seconds=0)
    yield world
    world.stop()


def make(world: World, group: str) -> Runner:
    """Approve a version that is not mirrored yet."""
    containers = [{"Image": IMAGES[0], "ModelDataUrl": OBJECTS[0]}]
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={"Containers": containers},
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"a": "1"},
    )["ModelPackageArn"]
    return Runner(world, arn, the_policy())


def edit(world: World, runner: Runner, value: str) -> None:
    world.clock.tick()
    world.scientist.update_model_package(ModelPackageArn=runner.arn, CustomerMetadataProperties={"a": value})


def metadata(world: World, group: str) -> dict[str, Any]:
    (mirror,) = world.mirrors(group)
    return dict(world.describe(world.person, mirror)["CustomerMetadataProperties"])


def dies(runner: Runner, crash: int) -> bool:
    """Settle, with a register function that dies when so many calls more were answered."""
    try:
        runner.settle(crash=crash)
    except CrashError:
        return True
    return False


def test_a_mirror_that_was_made_and_not_noted_is_found(world: World) -> None:
    for crash in range(MOST_CALLS):
        group = world.group()
        runner = make(world, group)
        died = dies(runner, crash)
        runner.settle()
        assert len(world.mirrors(group)) == 1, f"died at call {crash}"
        entry = world.ledger.get(runner.arn)
        assert entry is not None
        assert (entry.hub_arn, entry.state) == (world.mirrors(group)[0], "IDLE")
        if not died:
            break
    assert crash > 5, "register makes fewer calls than it did"
    assert crash < MOST_CALLS - 1, "register makes more calls than are tried here"


def test_what_was_written_and_not_noted_is_not_taken_for_a_persons_change(world: World) -> None:
    for crash in range(MOST_CALLS):
        group = world.group()
        runner = make(world, group)
        runner.settle()
        edit(world, runner, "2")
        died = dies(runner, crash)
        edit(world, runner, "3")
        runner.settle()
        assert metadata(world, group)["a"] == "3", f"died at call {crash}"
        assert world.bus.last is not None
        assert world.bus.last.drift is None
        if not died:
            break
    assert crash > 5, "register makes fewer calls than it did"
    assert crash < MOST_CALLS - 1, "register makes more calls than are tried here"


def test_what_changes_behind_the_plan_is_planned_again(world: World) -> None:
    group = world.group()
    runner = make(world, group)
    answers = runner.settle(meanwhile=lambda: edit(world, runner, "2"))
    assert [a.status for a in answers if isinstance(a, RegisterAnswer)] == ["SourceChanged", "Mirrored"]
    assert metadata(world, group)["a"] == "2"


def test_a_run_that_lost_its_item_writes_nothing(world: World) -> None:
    """It planned, stood still until it was given up, and wakes up."""
    group = world.group()
    runner = make(world, group)
    runner.settle()
    edit(world, runner, "2")
    runner.event(None)
    plan = next(runner.run(2))
    assert isinstance(plan, PlanAnswer)
    world.ledger.fail(runner.arn, 2, "TIMED_OUT", "it stood still", world.clock.tick())
    answer = runner.registering().run(RegisterRequest(source_arn=runner.arn, attempt=2, plan=plan))
    assert answer.status == "Superseded"
    assert metadata(world, group)["a"] == "1"


def test_a_group_that_is_not_ours_is_not_written_to(world: World) -> None:
    group = world.group()
    runner = make(world, group)
    world.person.create_model_package_group(ModelPackageGroupName=runner.policy.group_name(SPOKE, group))
    with pytest.raises(PermanentError, match="GROUP_NAME_TAKEN"):
        runner.settle()
    assert world.mirrors(group) == []
