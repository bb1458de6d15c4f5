"""Poison among good messages: at every place of a batch of ten, each kind of it, and two at once.

The good ones start runs, the poison is a dead letter at once, with its code, and nothing is asked twice.
"""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from local.landscape import HUB
from tests.faults.guarantees import Operator, check
from tests.faults.models import Models
from tests.faults.wire import Effect, Strike
from tests.faults.world import SPOKE_A, SPOKE_B

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World

BATCH = 10
TRIES = 5
"""Of one call: `replicator.aws.sessions.client_config`."""
STRANGER = "333333333333"
REGION = "eu-west-1"
_numbers = count(1)


def arn(account: str = SPOKE_A, region: str = REGION, tail: str | None = None) -> str:
    """Name a version that nothing was heard of before."""
    return f"arn:aws:sagemaker:{region}:{account}:model-package/{tail or f'poison-{next(_numbers)}/1'}"


def event(about: str, account: str = SPOKE_A, **changes: Any) -> str:
    return json.dumps(
        {
            "version": "0",
            "id": str(next(_numbers)),
            "source": "aws.sagemaker",
            "detail-type": "SageMaker Model Package State Change",
            "account": account,
            "time": "2026-01-01T00:00:00Z",
            "region": REGION,
            "resources": [about],
            "detail": {"ModelPackageArn": about, "ModelApprovalStatus": "Approved"},
        }
        | changes
    )


POISON: dict[str, tuple[str, str]] = {
    "not JSON": ("{", "MALFORMED_EVENT"),
    "not an object": ("[1, 2]", "MALFORMED_EVENT"),
    "without a detail": (json.dumps({"source": "aws.sagemaker", "account": SPOKE_A}), "WRONG_SOURCE"),
    "no ARN": (event("arn:aws:s3:::bucket"), "MALFORMED_EVENT"),
    "of another source": (event(arn(), source="my.own"), "WRONG_SOURCE"),
    "of another kind": (event(arn(), **{"detail-type": "SageMaker Endpoint State Change"}), "WRONG_SOURCE"),
    "about another account": (event(arn(SPOKE_B)), "ACCOUNT_MISMATCH"),
    "of a stranger": (event(arn(STRANGER), STRANGER), "UNKNOWN_ACCOUNT"),
    "of the hub": (event(arn(HUB), HUB), "OWN_ACCOUNT"),
    "of another region": (event(arn(region="us-east-1"), region="us-east-1"), "REGION_NOT_SERVED"),
    "without a version": (event(arn(tail="poison")), "UNVERSIONED"),
}


@pytest.fixture
def intake(world: World) -> Iterator[World]:
    """Give a world in which runs are started and go no further."""
    world.forget_letters()
    yield world
    forget(world)


def forget(world: World) -> None:
    """Take back what intake did: its runs, the slots that they hold, its dead letters."""
    for run in list(world.runs):
        world.abort(run)
    table = world.landscape.hub.resources["Spokes"]
    world.aws.client("dynamodb", HUB).delete_item(TableName=table, Key={"account": {"S": SPOKE_A}})
    world.lose_messages()
    world.forget_letters()


def batch(poison: dict[int, str]) -> tuple[list[str], list[str]]:
    """Give the bodies of a batch with poison at some places, and what the good ones are about."""
    good = [arn() for place in range(BATCH) if place not in poison]
    left = iter(good)
    bodies = [poison[place] if place in poison else event(next(left)) for place in range(BATCH)]
    return bodies, good


def take(intake: World, poison: dict[int, str], codes: list[str]) -> None:
    """Deliver a batch, and check that every message of it came where it belongs."""
    bodies, good = batch(poison)
    intake.begin()
    intake.send(*bodies)
    assert intake.deliver() == BATCH
    assert intake.invocations == [("intake", "ok")]
    assert sorted(started(intake)) == sorted(good)
    letters = intake.dead_letters()
    assert [(letter["body"], letter["code"]) for letter in letters] == [
        (poison[place], code) for place, code in zip(sorted(poison), codes, strict=True)
    ]
    assert all(letter["reason"] for letter in letters)
    assert intake.deliver() == 0, "something was not taken, and is tried again"
    sent = [call.operation for call in intake.wire.calls if call.service == "sqs"]
    assert len(sent) == len(poison)
    assert len([call for call in intake.wire.calls if call.operation == "StartExecution"]) == len(good)
    forget(intake)


def started(intake: World) -> list[str]:
    return [run.execution.input_data["source_arn"] for run in intake.runs]


def test_one_poison_at_every_place_of_a_batch(intake: World) -> None:
    kinds = list(POISON.values())
    for place in range(BATCH):
        body, code = kinds[place]
        take(intake, {place: body}, [code])


@pytest.mark.parametrize("shift", range(len(POISON)))
@pytest.mark.parametrize("first", [0, 1], ids=["even", "odd"])
def test_every_kind_of_poison_at_every_place_and_beside_others(intake: World, shift: int, first: int) -> None:
    """Five of ten are poison. Over all shifts each kind is at each place once, beside changing others."""
    kinds = list(POISON.values())
    chosen = {place: kinds[(place + shift) % len(kinds)] for place in range(first, BATCH, 2)}
    take(intake, {place: body for place, (body, _) in chosen.items()}, [code for _, code in chosen.values()])


def test_nothing_but_poison(intake: World) -> None:
    kinds = list(POISON)[:BATCH]
    take(
        intake,
        {place: POISON[kind][0] for place, kind in enumerate(kinds)},
        [POISON[kind][1] for kind in kinds],
    )


@pytest.mark.parametrize("call", ["dynamodb.UpdateItem", "states.StartExecution", "sqs.SendMessage"])
def test_only_what_was_in_trouble_comes_again(intake: World, call: str) -> None:
    """One call of the batch fails as often as it is tried; the nine other messages are none the worse."""
    bodies, good = batch({4: POISON["not JSON"][0]})
    intake.begin(*(Strike(f"intake {call} {number}", Effect.THROTTLED) for number in range(1, TRIES + 1)))
    intake.send(*bodies)
    assert intake.deliver() == BATCH
    assert len(intake.runs) + len(intake.dead_letters()) == BATCH - 1
    assert intake.deliver() == 1
    assert sorted(started(intake)) == sorted(good)
    assert [letter["code"] for letter in intake.dead_letters()] == ["MALFORMED_EVENT"]


def test_what_was_poison_is_redriven_once_it_is_put_right(world: World) -> None:
    """A spoke that was taken out while its event was on its way, among messages that no change can mend."""
    world.forget_letters()
    version = Models(world, SPOKE_B).version()
    version.scientist.approve(version.arn)
    world.send(POISON["not JSON"][0], POISON["of another source"][0])
    world.deploy({"SpokeAccounts": SPOKE_A})
    try:
        world.settle()
        letters = {letter["code"] for letter in world.dead_letters()}
        assert letters == {"UNKNOWN_ACCOUNT", "MALFORMED_EVENT", "WRONG_SOURCE"}
        assert Operator(world, version).mirrors == []
        world.redrive()  # too early: it all comes back
        assert {letter["code"] for letter in world.dead_letters()} == letters
    finally:
        world.deploy({"SpokeAccounts": f"{SPOKE_A},{SPOKE_B}"})
    world.begin()
    world.redrive(code="UNKNOWN_ACCOUNT")
    assert {letter["code"] for letter in world.dead_letters()} == {"MALFORMED_EVENT", "WRONG_SOURCE"}
    seen = Operator(world, version)
    assert len(seen.mirrors) == 1
    check(seen, world.wire.calls)
    world.forget_letters()
