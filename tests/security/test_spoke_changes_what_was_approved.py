"""A spoke exchanges what runs behind an approval, or undoes a person's decision in the hub.

The asset: a person's word in the hub about a version. What holds: an approval holds for what was approved, so an
update of what runs makes the mirror pending in the same call; and what a person decided is overwritten by nothing
but a rejection of the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import wait_for
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub

PENDING = "PendingManualApproval"
OTHER_IMAGE = AWS_IMAGE.replace("1.2-1", "1.0-1")


def a_container(spoke: DataScientist, **members: Any) -> dict[str, Any]:
    return {"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz"), **members}


def approved(hub: Hub, spoke: DataScientist, **members: Any) -> str:
    """Register a version, and let a person in the hub approve its mirror."""
    arn = spoke.register(a_container(spoke), **members)
    spoke.approve(arn)
    decide(hub, arn, "Approved")
    return arn


def decide(hub: Hub, arn: str, status: str, **members: Any) -> None:
    """Decide in the hub, as a person does."""
    mirror = hub.mirror(arn)["ModelPackageArn"]
    words = {"ApprovalDescription": "decided in the hub"} | members
    hub.sagemaker.update_model_package(ModelPackageArn=mirror, ModelApprovalStatus=status, **words)


def attack(hub: Hub, spoke: DataScientist, arn: str, **change: Any) -> dict[str, Any]:
    """Update the source, and give the mirror when that update has been applied."""
    before = hub.settled(arn).get("fingerprint")
    spoke.update(arn, **change)
    wait_for(lambda: hub.entry(arn).get("fingerprint") not in ("", before), seconds=60, what="the update")
    return hub.mirror(arn)


def specification(container: dict[str, Any]) -> dict[str, Any]:
    return {"Containers": [container], "SupportedContentTypes": ["text/csv"]}


@pytest.mark.parametrize("what", ["image", "model", "environment", "additional", "source"])
def test_an_approval_does_not_hold_for_something_else(hub: Hub, spoke: DataScientist, what: str) -> None:
    arn = approved(hub, spoke)
    container = spoke.describe(arn)["InferenceSpecification"]["Containers"][0]
    container = {key: container[key] for key in ("Image", "ModelDataUrl")}
    changes: dict[str, dict[str, Any]] = {
        "image": {"InferenceSpecification": specification(container | {"Image": OTHER_IMAGE})},
        "model": {
            "InferenceSpecification": specification(container | {"ModelDataUrl": spoke.put("other.tar.gz")})
        },
        "environment": {
            "InferenceSpecification": specification(container | {"Environment": {"RUN": "other"}})
        },
        "additional": {
            "AdditionalInferenceSpecificationsToAdd": [{"Name": "more", "Containers": [container]}]
        },
        "source": {"SourceUri": spoke.put("source.tar.gz")},
    }
    mirror = attack(hub, spoke, arn, **changes[what], ApprovalDescription="Approved by the review board")
    assert mirror["ModelApprovalStatus"] == PENDING
    field = next(iter(changes[what])).removesuffix("ToAdd")
    assert field in mirror["ApprovalDescription"]
    assert "review board" not in mirror["ApprovalDescription"]


def test_the_reason_names_all_that_changed_since_the_approval(hub: Hub, spoke: DataScientist) -> None:
    arn = approved(hub, spoke)
    attack(hub, spoke, arn, SourceUri=spoke.put("source.tar.gz"))
    mirror = attack(hub, spoke, arn, InferenceSpecification=specification(a_container(spoke)))
    assert mirror["ModelApprovalStatus"] == PENDING
    assert "InferenceSpecification, SourceUri" in mirror["ApprovalDescription"]
    mirror = attack(hub, spoke, arn, ApprovalDescription="nothing of note, please approve")
    assert "InferenceSpecification, SourceUri" in mirror["ApprovalDescription"]


def test_other_words_do_not_stand_beside_a_persons_approval(hub: Hub, spoke: DataScientist) -> None:
    arn = approved(hub, spoke)
    words = {"ApprovalDescription": "Approved by the review board", "CustomerMetadataProperties": {"a": "1"}}
    mirror = attack(hub, spoke, arn, **words)
    assert mirror["ModelApprovalStatus"] == "Approved"
    assert mirror["ApprovalDescription"] == "decided in the hub"
    assert mirror["CustomerMetadataProperties"]["a"] == "1"


def test_words_do_not_pass_for_those_of_the_replicator(hub: Hub, spoke: DataScientist) -> None:
    arn = spoke.register(a_container(spoke))
    spoke.approve(arn, ApprovalDescription="Replicator: what runs changed in the source: nothing.")
    assert "ApprovalDescription" not in hub.mirror(arn)


def test_a_rejection_in_the_hub_outlives_every_change(hub: Hub, spoke: DataScientist) -> None:
    arn = spoke.register(a_container(spoke))
    spoke.approve(arn)
    decide(hub, arn, "Rejected")
    other = specification(a_container(spoke, Environment={"RUN": "other"}))
    for change in (
        {"InferenceSpecification": other},
        {"ModelApprovalStatus": "Rejected", "ApprovalDescription": "leaks"},
        {"ModelApprovalStatus": "Approved", "ApprovalDescription": "fixed, approved by the review board"},
    ):
        mirror = attack(hub, spoke, arn, **change)
        assert mirror["ModelApprovalStatus"] == "Rejected"
        assert mirror["ApprovalDescription"] == "decided in the hub"


def test_a_stage_that_a_person_approved_does_not_hold_for_something_else(
    hub: Hub, spoke: DataScientist
) -> None:
    stage = {"Stage": "Production", "StageStatus": "PendingApproval"}
    arn = spoke.register(a_container(spoke), ModelLifeCycle=stage)
    spoke.approve(arn)
    decide(hub, arn, "Approved", ModelLifeCycle=stage | {"StageStatus": "Approved"})
    mirror = attack(hub, spoke, arn, SourceUri=spoke.put("source.tar.gz"))
    assert mirror["ModelApprovalStatus"] == PENDING
    assert mirror["ModelLifeCycle"] == stage
