"""Random packages, registered in a spoke and mirrored by the real operations: what both registries show.

Run longer with ``HYPOTHESIS_EXAMPLES=500 make test ARGS=tests/integration/test_every_member.py``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from replicator.errors import ErrorCode, PermanentError
from replicator.provenance import IDENTITY, PREFIX, SOURCE_ARN
from replicator.steps import Action, RegisterAnswer
from tests.integration.registry_world import KEY, Runner, World, the_policy
from tests.unit import shapes
from tests.unit.accounting import unaccounted

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "12"))
OFTEN = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 12,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    it = World()
    yield it
    it.stop()


def register(world: World, members: dict[str, Any]) -> str:
    """Register a version as a spoke has to: what creation refuses beside other members, by an update."""
    later = {"SourceUri": members.pop("SourceUri")} if "SourceUri" in members else {}
    if members.get("ModelApprovalStatus") != "Approved":
        members["ModelApprovalStatus"] = "Approved"
    arn: str = world.scientist.create_model_package(ModelPackageGroupName=world.group(), **members)[
        "ModelPackageArn"
    ]
    if later:
        world.scientist.update_model_package(ModelPackageArn=arn, **later)
    return arn


@OFTEN
@given(shapes.creations())
def test_the_hub_shows_every_member_that_the_spoke_shows(world: World, members: dict[str, Any]) -> None:
    arn = register(world, members)
    runner = Runner(world, arn, the_policy())
    problem: PermanentError | None = None
    try:
        answers = runner.settle()
    except PermanentError as error:
        problem = error
    if problem:
        # Names that SageMaker lets run longer than the hub's location leaves room for.
        assert problem.code is ErrorCode.LIMIT_EXCEEDED, problem
        assert "at most" in problem.message
        event("too long")
        return
    event(str(answers[0].action))  # type: ignore[union-attr]
    if answers[0].action is Action.REFUSE:  # type: ignore[union-attr]
        assert answers[0].code  # type: ignore[union-attr]
        assert not world.mirrors(arn.split("/")[1])
        return
    done = answers[-1]
    assert isinstance(done, RegisterAnswer)
    assert done.hub_arn
    check_mirror(world, arn, done.hub_arn)
    assert runner.settle()[-1].action is Action.NOTHING  # type: ignore[union-attr]


def check_mirror(world: World, arn: str, hub_arn: str) -> None:
    source, mirror = world.describe(world.scientist, arn), world.describe(world.person, hub_arn)
    entry = world.ledger.get(arn)
    assert entry is not None
    key = f"provenance/111111111111/{arn.split('/')[1]}/1.json"
    document = world.documents.get(key)
    assert document is not None
    assert document["hubModelPackageArn"] == hub_arn
    assert not list(unaccounted(source, mirror, document["notCopied"], entry.locations))
    # Nothing that the source does not show, but what the replicator decides.
    metadata = mirror.get("CustomerMetadataProperties", {})
    assert metadata.get(SOURCE_ARN) == arn
    carried = {k for k in source.get("CustomerMetadataProperties", {}) if not k.startswith(PREFIX)}
    assert {k for k in metadata if not k.startswith(PREFIX)} == set(sorted(carried)[: 50 - len(IDENTITY)])
    assert set(mirror) - set(source) <= {"CustomerMetadataProperties"}
    assert mirror.get("SecurityConfig") == ({"KmsKeyId": KEY} if "SecurityConfig" in source else None)
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"
