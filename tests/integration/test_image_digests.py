"""A mirror runs the image that was registered, or it is rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from tests.integration.registry_world import Runner, World, the_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost"
ONE, OTHER = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.stop()


def registered(world: World) -> Runner:
    group = world.group()
    container = {"Image": f"{REPOSITORY}:1.7", "ImageDigest": ONE}
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )["ModelPackageArn"]
    return Runner(world, arn, the_policy())


def show_another_digest(parsed: dict[str, Any], **_: Any) -> None:
    """Answer as a SageMaker would that looks a digest up by itself, and finds another image."""
    for container in parsed.get("InferenceSpecification", {}).get("Containers", []):
        container["ImageDigest"] = OTHER


def test_the_digest_that_was_recorded_is_what_the_mirror_is_made_with(world: World) -> None:
    runner = registered(world)
    runner.settle()
    entry = world.ledger.get(runner.arn)
    assert entry is not None
    assert entry.hub_arn is not None
    mirror = world.describe(world.person, entry.hub_arn)
    assert mirror["InferenceSpecification"]["Containers"][0] == {
        "Image": f"{REPOSITORY}@{ONE}",
        "ImageDigest": ONE,
    }


def test_a_mirror_with_another_digest_is_rejected_and_says_why(world: World) -> None:
    runner = registered(world)
    events = world.at_hub._client.meta.events
    events.register("after-call.sagemaker.DescribeModelPackage", show_another_digest)
    with pytest.raises(PermanentError, match="rejected") as caught:
        runner.settle()
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH
    (hub_arn,) = world.mirrors(runner.arn.split("/")[1])
    assert hub_arn in caught.value.message
    mirror = world.describe(world.person, hub_arn)
    assert mirror["ModelApprovalStatus"] == "Rejected"
    assert "InferenceSpecification.Containers[0].Image" in mirror["ApprovalDescription"]
    entry = world.ledger.get(runner.arn)
    assert entry is not None
    assert entry.hub_arn is None, "nothing says that the mirror is whole"
