"""A version is counted once, wherever the function died that wrote its mirror or its failure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from replicator.counting import failed, registered
from replicator.operations.failing import Ending, Failing, FailureRequest
from replicator.steps import CopyResult, PlanAnswer, RegisterRequest
from tests.integration.registry_world import CrashError, Runner, World, the_policy
from tests.unit.places import places
from tests.unit.shapes import IMAGES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World()
    yield world
    world.stop()


def request_of_a_new_version(world: World) -> tuple[Runner, RegisterRequest]:
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=world.group(),
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [{"Image": IMAGES[0], "ModelDataUrl": OBJECTS[0]}],
                                "SupportedContentTypes": ["text/csv"], "SupportedResponseMIMETypes": ["text/csv"]},
    )["ModelPackageArn"]  # fmt: skip
    runner = Runner(world, arn, the_policy())
    runner.event(None)
    plan = next(runner.run(1))
    assert isinstance(plan, PlanAnswer)
    results = [CopyResult.model_validate(place) for place in places(plan.copies)]
    return runner, RegisterRequest(source_arn=arn, attempt=1, plan=plan, results=results)


def counted(runner: Runner, request: RegisterRequest, crash: int | None) -> tuple[Counter[str], bool]:
    """Register, once more after dying at a call; give what was counted, and whether it died."""
    counts, died = Counter[str](), False
    runner.world.crash_at(crash)
    for _ in range(3):  # Step Functions gives it again; the last time, its answer was lost
        try:
            answer = runner.registering().run(request)
        except CrashError:
            died = True
            continue
        finally:
            runner.world.crash_at(None)
        counts.update(str(each.metric) for each in registered(request.plan.action, answer))
    return counts, died


def test_a_version_is_mirrored_once_in_the_metrics(world: World) -> None:
    found = []
    for crash in range(40):
        counts, died = counted(*request_of_a_new_version(world), crash)
        if not died:
            break
        found.append(counts)
    assert len(found) > 5
    # It died right after it had let go of the item: what it had not counted yet, nobody counts.
    assert found.pop() == {}
    assert found == [{"VersionsMirrored": 1}] * len(found)
    assert counts == {"VersionsMirrored": 1}


def counted_failure(world: World, crash: int | None) -> tuple[Counter[str], int, bool]:
    """Record a failure, once more after dying at a call; give the counts, the letters, and whether it died."""
    _, request = request_of_a_new_version(world)
    sqs = world.hub.client("sqs")
    queue = sqs.create_queue(QueueName=request.source_arn.split("/")[1])["QueueUrl"]
    watched(world, sqs, world.slots._client)
    ending = Ending(world.ledger, world.slots, sqs, world.bus, queue)
    failing = Failing(world.ledger, ending)
    cause = '{"errorMessage": "SOURCE_OBJECT_MISSING: it is not there"}'
    error = {"Error": "PermanentError", "Cause": cause}
    failure = FailureRequest(source_arn=request.source_arn, attempt=1, plan=request.plan, error=error)
    counts, died = Counter[str](), False
    world.crash_at(crash)
    for _ in range(3):
        try:
            answer = failing.run(failure, world.clock.tick())
        except CrashError:
            died = True
            continue
        finally:
            world.crash_at(None)
        counts.update(f"{each.metric} {each.code}" for each in failed(answer.status, answer.code))
    letters = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])
    return counts, int(letters["Attributes"]["ApproximateNumberOfMessages"]), died


def watched(world: World, *clients: Any) -> None:
    """Let calls of more clients be those at which the function dies."""
    for client in clients:
        client.meta.events.register("before-call", world._before_call, unique_id="before")
        client.meta.events.register("after-call", world._after_call, unique_id="after")


def test_a_failure_is_counted_once_in_the_metrics(world: World) -> None:
    found = []
    for crash in range(40):
        counts, letters, died = counted_failure(world, crash)
        assert letters >= 1
        if not died:
            break
        found.append(counts)
    assert len(found) >= 5
    # It died right after it had settled the item.
    assert found.pop() == {}
    assert found == [{"RunsFailed SOURCE_OBJECT_MISSING": 1}] * len(found)
    # The second and the third call found it recorded.
    assert (counts, letters) == ({"RunsFailed SOURCE_OBJECT_MISSING": 1}, 1)
