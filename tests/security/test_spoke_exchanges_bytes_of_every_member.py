"""A spoke exchanges the bytes behind a member of a package: every member that names a location, one by one.

The asset: what an approved mirror runs and shows. What holds: bytes that are younger than the registration are refused
where they run, and noted where they do not; what was copied is never overwritten, however its location is spelled.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import SPOKE_A, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.security.conftest import AWS_IMAGE
from tests.security.members import MEMBERS, Member, register
from tests.security.test_spoke_exchanges_bytes import SPELLINGS, collide

if TYPE_CHECKING:
    from local.landscape import Landscape

OBJECT = "at/model.bin"


def put(spoke: DataScientist, member: Member) -> str:
    """Put what a member names, and give its location; the bytes are in `OBJECT`."""
    location = spoke.put(OBJECT)
    folder = location.removesuffix("model.bin")
    match member.kind:
        case "object":
            return location
        case "prefix":
            return folder
        case "manifest":
            return spoke.put("at/manifest.json", json.dumps([{"prefix": folder}, "model.bin"]).encode())


def bytes_of(hub: Hub, member: Member, mirror: dict[str, Any]) -> bytes:
    """Read what a member of a mirror names, as whoever deploys it would."""
    location = member.read(mirror)
    if member.kind == "object":
        return hub.read(location)
    (container,) = mirror["InferenceSpecification"]["Containers"]
    return hub.read(container["ModelDataSource"]["S3DataSource"]["S3Uri"] + "model.bin")


def scientists(deployment: Landscape, what: str) -> dict[str, DataScientist]:
    """Give the attacker with a group for each member."""
    return {
        name: DataScientist(deployment.aws, SPOKE_A, f"{what}-{number}")
        for number, name in enumerate(MEMBERS)
    }


@pytest.fixture(scope="module")
def late(deployment: Landscape) -> dict[str, str]:
    """Exchange what each member names after the registration, and approve; give the ARNs."""
    found = {}
    for name, spoke in scientists(deployment, "late").items():
        found[name] = register(spoke, MEMBERS[name], put(spoke, MEMBERS[name]))
        spoke.exchange(OBJECT, spoke.describe(found[name])["CreationTime"] + timedelta(minutes=5))
        spoke.approve(found[name])
    return found


@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if member.runs])
def test_what_runs_is_refused_when_it_came_after_the_registration(
    hub: Hub, late: dict[str, str], name: str
) -> None:
    entry = hub.settled(late[name])
    assert (entry["state"], entry.get("code")) == ("FAILED", "SOURCE_CHANGED")
    assert "hub_arn" not in entry


@pytest.mark.parametrize("name", [name for name, member in MEMBERS.items() if not member.runs])
def test_what_does_not_run_is_noted_when_it_came_after_the_registration(
    hub: Hub, late: dict[str, str], name: str
) -> None:
    mirror = hub.mirror(late[name])
    assert mirror["CustomerMetadataProperties"]["replicator:pinned"] == "none"


@pytest.fixture(scope="module")
def approved(deployment: Landscape) -> dict[str, tuple[str, dict[str, Any], bytes]]:
    """Have a version for each member mirrored and approved; then exchange its bytes, and spell it otherwise.

    Gives the ARNs of the sources, and the mirrors and the bytes as they were approved.
    """
    hub, spokes = Hub(deployment.aws, deployment.hub), scientists(deployment, "spelled")
    arns = {name: register(spoke, MEMBERS[name], put(spoke, MEMBERS[name])) for name, spoke in spokes.items()}
    for name, spoke in spokes.items():
        spoke.approve(arns[name])
    found = {}
    for number, (name, spoke) in enumerate(spokes.items()):
        mirror = hub.mirror(arns[name])
        hub.sagemaker.update_model_package(
            ModelPackageArn=mirror["ModelPackageArn"], ModelApprovalStatus="Approved"
        )
        registered = spoke.artifacts[f"s3://{spoke.bucket}/{spoke.group}/{OBJECT}"]
        found[name] = arns[name], mirror, registered
        collide(spoke, OBJECT, registered[::-1])
        spell_otherwise(spoke, arns[name], MEMBERS[name], number)
    return found


def spell_otherwise(spoke: DataScientist, arn: str, member: Member, number: int) -> None:
    """Update a version so that a member names the same location in other words, as far as an update can."""
    if member.kind == "manifest":
        key = f"{spoke.group}/at/manifest.json"
    else:
        key = f"{spoke.group}/{OBJECT}".removesuffix("model.bin" if member.kind == "prefix" else "")
    uri = SPELLINGS[number % len(SPELLINGS)](spoke.bucket, key, spoke.aws.region)
    container, package = member.build(uri)
    members: dict[str, Any] = {
        key: package[key]
        for key in ("SourceUri", "ModelCard", "CustomerMetadataProperties")
        if key in package
    }
    if container:
        own = spoke.describe(arn)["InferenceSpecification"]["Containers"][0]
        if "ModelDataSource" not in container and "ModelDataUrl" in own:
            container = {"ModelDataUrl": own["ModelDataUrl"], **container}
        members["InferenceSpecification"] = {
            "Containers": [{"Image": AWS_IMAGE, **container}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }
    if more := package.get("AdditionalInferenceSpecifications"):
        members["AdditionalInferenceSpecificationsToAdd"] = [{**more[0], "Name": "again"}]
    metadata = {**members.get("CustomerMetadataProperties", {}), "spelled": "anew"}
    spoke.update(arn, **{**members, "CustomerMetadataProperties": metadata})


@pytest.mark.parametrize("name", MEMBERS)
def test_the_bytes_behind_an_approval_stay_however_they_are_spelled(
    hub: Hub, approved: dict[str, tuple[str, dict[str, Any], bytes]], name: str
) -> None:
    arn, before, registered = approved[name]
    member = MEMBERS[name]

    def updated() -> dict[str, Any] | None:
        mirror = hub.mirror(arn)
        return mirror if mirror.get("CustomerMetadataProperties", {}).get("spelled") else None

    after = wait_for(updated, seconds=60, what="the update")
    assert after is not None
    assert member.read(after) == member.read(before)
    assert bytes_of(hub, member, after) == registered
