"""What register takes for the mirror of a version that the ledger does not know, and for a group of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import ModelPackageArn, SourceVersion
from replicator.operations.grouping import HUB_TAG, SOURCE_TAG
from replicator.provenance import HUB, SOURCE_ARN
from tests.integration.registry_world import Runner, World, the_policy, world
from tests.integration.test_sequences import specification
from tests.unit.packages import SPOKE
from tests.unit.shapes import IMAGES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping

APPROVED = "Approved"


def a_version(there: World) -> tuple[str, str]:
    """Register an approved version; give its group and its ARN."""
    group = there.group()
    arn = there.scientist.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification=specification(IMAGES[0], OBJECTS[0]),
        ModelApprovalStatus=APPROVED,
    )["ModelPackageArn"]
    return group, arn


def plant(there: World, arn: str, group: str, metadata: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """Make a package in the hub, as a person may, and the document that calls it the mirror of a version."""
    there.person.create_model_package_group(
        ModelPackageGroupName=group, Tags=[{"Key": k, "Value": v} for k, v in tags.items()]
    )
    found: str = there.person.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification=specification(IMAGES[1], OBJECTS[1]),
        ModelApprovalStatus=APPROVED,
        CustomerMetadataProperties=dict(metadata),
    )["ModelPackageArn"]
    source = SourceVersion(ModelPackageArn.parse(arn), arn.split("/")[1])
    key = the_policy().provenance_key(source.account, source.group, source.version)
    there.documents.put(key, {"hubModelPackageArn": found})
    return found


@pytest.mark.parametrize("lacks", ["everything", "source", "hub", "group", "nothing"])
def test_what_a_planted_document_names_is_not_adopted(lacks: str) -> None:
    there = world()
    group, arn = a_version(there)
    policy = the_policy()
    named: dict[str, str] = {SOURCE_ARN: arn, HUB: policy.namespace}
    if lacks in ("everything", "source"):
        named.pop(SOURCE_ARN)
    if lacks == "everything":
        named = {"a": "1"}
    if lacks == "hub":
        named[HUB] = "another"
    ours = policy.group_name(SPOKE, group)
    tags = {SOURCE_TAG: f"{SPOKE}/{group}"}
    planted = plant(there, arn, there.group() if lacks == "group" else ours, named, tags)
    Runner(there, arn, policy).settle()
    entry = there.ledger.get(arn)
    assert entry is not None
    assert (entry.hub_arn == planted) == (lacks == "nothing")


def a_group(there: World, group: str, **tags: str) -> None:
    """Let a group be in the hub already, with these tags."""
    made: Any = {"source": SOURCE_TAG, "hub": HUB_TAG}
    there.person.create_model_package_group(
        ModelPackageGroupName=the_policy().group_name(SPOKE, group),
        Tags=[{"Key": made[name], "Value": value} for name, value in tags.items()],
    )


def test_a_group_of_another_hub_is_refused() -> None:
    there = world()
    group, arn = a_version(there)
    a_group(there, group, source=f"{SPOKE}/{group}", hub="another")
    with pytest.raises(PermanentError, match=r"another.*registry-replicator") as caught:
        Runner(there, arn, the_policy()).settle()
    assert caught.value.code is ErrorCode.GROUP_NAME_TAKEN
    assert not there.mirrors(group)


def test_a_group_that_a_person_made_for_the_source_is_used() -> None:
    there = world()
    group, arn = a_version(there)
    a_group(there, group, source=f"{SPOKE}/{group}")
    Runner(there, arn, the_policy()).settle()
    assert len(there.mirrors(group)) == 1


def test_a_group_that_the_hub_makes_names_it() -> None:
    there = world()
    group, arn = a_version(there)
    Runner(there, arn, the_policy()).settle()
    made = there.at_hub.group(the_policy().group_name(SPOKE, group))
    assert made is not None
    assert made.tags[HUB_TAG] == "registry-replicator"
