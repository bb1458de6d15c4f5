from datetime import UTC, datetime
from typing import Any

import pytest

from replicator.fields import PACKAGE, RUNS, Each, Image
from replicator.identifiers import ModelPackageArn, SourceVersion
from replicator.mirror import creation, desired
from replicator.mirror_update import Written, update, written
from replicator.provenance import HUB, IDENTITY, SOURCE_ARN, entries, identity, is_mirror
from tests.unit.packages import ARN, IMAGE, MODEL, a_package, a_policy

THERE = {IMAGE: "hub-image@sha256", MODEL: "s3://hub/model.tar.gz"}
KEY = "arn:aws:kms:us-east-1:999999999999:key/k"
MIRRORED = a_policy(hub_approval_status="Mirrored")


def want(**changes: Any) -> Any:
    return desired(a_package(**changes), THERE, KEY)


def shows(base: Any, **changes: Any) -> dict[str, Any]:
    """Give a mirror that shows what was desired, as Describe would, with changes."""
    metadata = {**base.members.get("CustomerMetadataProperties", {}), SOURCE_ARN: str(ARN)}
    return {
        **base.members,
        "CustomerMetadataProperties": metadata,
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelPackageArn": "hub",
        **changes,
    }


def remembered(base: Any, mirror: dict[str, Any] | None = None) -> Written:
    return written(base, mirror or shows(base), Written(), [], "PendingManualApproval")


def test_a_mirror_is_created_with_a_token_of_its_source_and_the_policys_status() -> None:
    base = want(ApprovalDescription="good", SourceUri="s3://x/y", SecurityConfig={"KmsKeyId": "theirs"})
    calls = creation(ARN, base, "group", a_policy(), {SOURCE_ARN: str(ARN)})
    assert calls.create["ModelApprovalStatus"] == "PendingManualApproval"
    assert calls.create["ModelPackageGroupName"] == "group"
    assert calls.create["SecurityConfig"] == {"KmsKeyId": KEY}
    assert calls.create["CustomerMetadataProperties"] == {SOURCE_ARN: str(ARN)}
    assert len(calls.create["ClientToken"]) == 36
    assert calls.create["ClientToken"] == creation(ARN, base, "other", MIRRORED, {}).create["ClientToken"]
    another = creation(ARN, base, "group", a_policy(namespace="another"), {})
    assert calls.create["ClientToken"] != another.create["ClientToken"]
    # Create refuses both of these.
    assert calls.then_update == {"ApprovalDescription": "good", "SourceUri": "s3://x/y"}


def test_a_package_cannot_pass_for_the_mirror_of_another() -> None:
    other = str(ARN).replace("/1", "/2")
    base = want(CustomerMetadataProperties={SOURCE_ARN: other, "a": "1"})
    assert base.members["CustomerMetadataProperties"] == {"a": "1"}
    assert base.dropped[f"CustomerMetadataProperties{{{SOURCE_ARN}}}"] == "the replicator's own prefix"
    calls = creation(ARN, base, "group", a_policy(), {SOURCE_ARN: str(ARN)})
    assert calls.create["CustomerMetadataProperties"][SOURCE_ARN] == str(ARN)


def test_nothing_is_written_when_nothing_changed() -> None:
    base = want(CustomerMetadataProperties={"a": "1"})
    for policy in (a_policy(), MIRRORED):
        mirror = shows(base, ModelApprovalStatus="Approved")
        change = update(base, mirror, remembered(base, mirror), policy)
        assert (change.request, change.drift) == ({}, [])


def test_metadata_is_compared_key_by_key() -> None:
    before = want(CustomerMetadataProperties={"kept": "1", "changed": "1", "gone": "1", "edited": "1"})
    now = want(CustomerMetadataProperties={"kept": "1", "changed": "2", "new": "1", "edited": "2"})
    mirror = shows(before)
    mirror["CustomerMetadataProperties"] |= {"edited": "by a person", "own": "by a person"}
    change = update(now, mirror, remembered(before), a_policy())
    assert change.request == {
        "CustomerMetadataProperties": {"changed": "2", "new": "1"},
        "CustomerMetadataPropertiesToRemove": ["gone"],
    }
    assert change.drift == ["CustomerMetadataProperties{edited}"]


def test_what_a_person_changed_in_the_hub_stays_and_stays_reported() -> None:
    card = {"ModelCardContent": "{}", "ModelCardStatus": "Draft"}
    before = want(ModelCard=card)
    mirror = shows(before, ModelCard={**card, "ModelCardStatus": "Approved"})
    last = remembered(before)
    for now in (before, want(ModelCard={**card, "ModelCardStatus": "PendingReview"})):
        change = update(now, mirror, last, a_policy())
        assert change.request == {}
        assert change.drift == ["ModelCard"]
        last = written(now, mirror, last, change.drift)


def test_what_sagemaker_adds_to_a_mirror_is_no_drift() -> None:
    base = want()
    mirror = shows(base)
    mirror["InferenceSpecification"] = {
        **mirror["InferenceSpecification"],
        "SupportedResponseMIMETypes": ["x"],
    }
    change = update(base, mirror, remembered(base, mirror), a_policy())
    assert (change.request, change.drift) == ({}, [])


def test_a_changed_specification_is_written_as_a_whole() -> None:
    before = want()
    now = want(InferenceSpecification={"Containers": [{"Image": IMAGE}]})
    change = update(now, shows(before), remembered(before), a_policy())
    assert change.request == {
        "InferenceSpecification": {"Containers": [{"Image": "hub-image@sha256"}]},
        "ModelApprovalStatus": "PendingManualApproval",
    }


def test_an_approval_does_not_carry_over_to_what_runs_now() -> None:
    before = want(ApprovalDescription="ok")
    specification = {"Containers": [{"Image": IMAGE, "Environment": {"RUN": "other"}}]}
    now = want(ApprovalDescription="all fine, trust us", InferenceSpecification=specification)
    mirror = shows(before, ModelApprovalStatus="Approved")
    change = update(now, mirror, remembered(before), a_policy())
    assert change.changed == ["InferenceSpecification"]
    assert change.request["InferenceSpecification"] == now.members["InferenceSpecification"]
    assert change.request["ModelApprovalStatus"] == "PendingManualApproval"
    reason = change.request["ApprovalDescription"]
    assert "InferenceSpecification" in reason
    assert str(ARN) in reason
    assert "trust us" not in reason

    # The reason stays, also where the run died before it could note the write.
    after = {**mirror, **change.request}
    for last in (remembered(before), written(now, after, remembered(before), [])):
        again = update(now, after, last, a_policy())
        assert (again.request, again.drift) == ({}, [])


def test_other_metadata_leaves_an_approval_and_the_sources_words_do_not_stand_beside_it() -> None:
    before = want(ApprovalDescription="ok")
    now = want(ApprovalDescription="new words", CustomerMetadataProperties={"a": "1"})
    mirror = shows(before, ModelApprovalStatus="Approved")
    change = update(now, mirror, remembered(before), a_policy())
    assert change.request == {"CustomerMetadataProperties": {"a": "1"}}
    assert change.changed == []


def test_a_rejection_in_the_hub_stays_when_what_runs_changes() -> None:
    before = want()
    now = want(SourceUri="s3://hub/other")
    mirror = shows(before, ModelApprovalStatus="Rejected", ApprovalDescription="a person's words")
    change = update(now, mirror, remembered(before, shows(before)), a_policy())
    assert change.request["ModelApprovalStatus"] == "Rejected"
    assert "ApprovalDescription" not in change.request


def test_a_mirrored_approval_of_a_person_alone_does_not_carry_over_either() -> None:
    before = want(ModelApprovalStatus="PendingManualApproval")
    specification = {"Containers": [{"Image": IMAGE, "Environment": {"RUN": "other"}}]}
    now = want(ModelApprovalStatus="PendingManualApproval", InferenceSpecification=specification)
    mirror = shows(before, ModelApprovalStatus="Approved")
    change = update(now, mirror, remembered(before), MIRRORED)
    assert change.request["ModelApprovalStatus"] == "PendingManualApproval"
    assert change.changed == ["InferenceSpecification"]


def test_what_sagemaker_cannot_update_is_reported() -> None:
    before = want(ModelLifeCycle={"Stage": "Dev", "StageStatus": "Approved"}, Task="OTHER")
    now = want()
    change = update(now, shows(before), remembered(before), a_policy())
    assert change.request == {}
    assert sorted(change.not_updatable) == ["ModelLifeCycle", "Task"]


def test_additional_specifications_can_only_be_added() -> None:
    old = {"Name": "old", "Containers": [{"Image": IMAGE}]}
    new = {"Name": "new", "Containers": [{"Image": IMAGE}]}
    before = want(AdditionalInferenceSpecifications=[old])
    now = want(AdditionalInferenceSpecifications=[new])
    change = update(now, shows(before), remembered(before), a_policy())
    assert [spec["Name"] for spec in change.request["AdditionalInferenceSpecificationsToAdd"]] == ["new"]
    assert change.not_updatable == ["AdditionalInferenceSpecifications{old}"]


def test_a_rejection_goes_through_whatever_the_hub_shows_and_takes_its_reason_along() -> None:
    before = want()
    now = want(ModelApprovalStatus="Rejected", ApprovalDescription="leaks")
    mirror = shows(before, ModelApprovalStatus="Approved", ApprovalDescription="a person's words")
    for policy in (a_policy(), MIRRORED):
        change = update(now, mirror, remembered(before), policy)
        assert change.request == {"ModelApprovalStatus": "Rejected", "ApprovalDescription": "leaks"}
        assert change.drift == []


def test_a_person_may_approve_again_what_was_rejected_before() -> None:
    rejected = want(ModelApprovalStatus="Rejected")
    mirror = shows(rejected, ModelApprovalStatus="Approved")
    later = want(ModelApprovalStatus="Rejected", CustomerMetadataProperties={"a": "1"})
    change = update(later, mirror, remembered(rejected, shows(rejected)), a_policy())
    assert change.request == {"CustomerMetadataProperties": {"a": "1"}}


def test_only_a_mirrored_status_follows_an_approval() -> None:
    before, now = want(ModelApprovalStatus="PendingManualApproval"), want()
    assert update(now, shows(before), remembered(before), a_policy()).request == {}
    change = update(now, shows(before), remembered(before), MIRRORED)
    assert change.request == {"ModelApprovalStatus": "Approved"}


def test_a_mirrored_status_does_not_overwrite_a_persons_decision() -> None:
    before, now = want(ModelApprovalStatus="PendingManualApproval"), want()
    mirror = shows(before, ModelApprovalStatus="Rejected")
    change = update(now, mirror, remembered(before), MIRRORED)
    assert (change.request, change.drift) == ({}, ["ModelApprovalStatus"])


def test_a_spoke_that_rejects_and_approves_again_does_not_undo_a_persons_rejection() -> None:
    before, rejected = want(), want(ModelApprovalStatus="Rejected")
    mirror = shows(before, ModelApprovalStatus="Rejected")
    last = written(before, mirror, Written(), [], "Approved")
    change = update(rejected, mirror, last, MIRRORED)
    assert (change.request, change.hub_approval) == ({}, "Approved")
    last = written(rejected, mirror, last, [], change.hub_approval)
    change = update(before, mirror, last, MIRRORED)
    assert (change.request, change.drift) == ({}, ["ModelApprovalStatus"])


def test_what_was_not_copied_is_held_back_and_not_forgotten() -> None:
    before = want()
    now = want(
        ModelApprovalStatus="Rejected", InferenceSpecification={"Containers": [{"Image": "elsewhere"}]}
    )
    last = remembered(before)
    change = update(now, shows(before), last, a_policy(), {"InferenceSpecification"})
    assert change.request == {"ModelApprovalStatus": "Rejected"}
    assert change.held == ["InferenceSpecification"]
    after = written(now, shows(before), last, change.held)
    assert after.members["InferenceSpecification"] == last.members["InferenceSpecification"]


def test_a_mirror_that_the_ledger_does_not_know_is_filled_in_and_not_overwritten() -> None:
    base = want(ApprovalDescription="good", CustomerMetadataProperties={"a": "1", "b": "1"})
    mirror = shows(base)
    del mirror["ApprovalDescription"], mirror["CustomerMetadataProperties"]["b"]
    mirror["CustomerMetadataProperties"]["a"] = "a person's"
    change = update(base, mirror, Written(), a_policy())
    assert change.request == {
        "ApprovalDescription": "good",
        "CustomerMetadataProperties": {"b": "1"},
    }
    assert change.drift == ["CustomerMetadataProperties{a}"]


@pytest.mark.parametrize("status", ["Approved", "approved", "Deployed", "Go"])
def test_a_stage_says_approved_only_where_approvals_are_mirrored(status: str) -> None:
    source = a_package(ModelLifeCycle={"Stage": "Production", "StageStatus": status})
    held_back = desired(source, THERE, KEY)
    assert held_back.members["ModelLifeCycle"] == {"Stage": "Production", "StageStatus": "PendingApproval"}
    assert "HubApprovalStatus" in held_back.dropped["ModelLifeCycle.StageStatus"]
    followed = desired(source, THERE, KEY, follows_approval=True)
    assert followed.members["ModelLifeCycle"]["StageStatus"] == status
    assert "ModelLifeCycle.StageStatus" not in followed.dropped


@pytest.mark.parametrize("status", ["PendingApproval", "InProgress", "OnHold", "Rejected", "Retired"])
def test_a_stage_that_says_no_such_thing_is_copied(status: str) -> None:
    stage = {"Stage": "QA", "StageStatus": status, "StageDescription": "d"}
    found = want(ModelLifeCycle=stage)
    assert found.members["ModelLifeCycle"] == stage
    assert "ModelLifeCycle.StageStatus" not in found.dropped


def test_the_entries_by_which_a_mirror_is_known_find_room() -> None:
    base = want(CustomerMetadataProperties={f"k{n:02}": "1" for n in range(50)})
    metadata = base.members["CustomerMetadataProperties"]
    assert len(metadata) == 50 - len(IDENTITY)
    assert {key for key in base.dropped if key.startswith("CustomerMetadataProperties")} == {
        "CustomerMetadataProperties{k48}",
        "CustomerMetadataProperties{k49}",
    }
    version = SourceVersion(ARN, "churn")
    own = entries(version, "hub", [], "s3://b/k", datetime(2026, 1, 2, tzinfo=UTC), 50 - len(metadata))
    assert own == identity(ARN, "hub")
    # A later change takes no room from them, and what a person took away of them comes back.
    mirror = shows(base, CustomerMetadataProperties={**metadata, **own})
    more = want(CustomerMetadataProperties={f"l{n:02}": "1" for n in range(50)})
    known = identity(ARN, "hub")
    change = update(more, mirror, remembered(base, mirror), a_policy(), identity=known)
    assert not set(IDENTITY) & set(change.request["CustomerMetadataPropertiesToRemove"])
    del mirror["CustomerMetadataProperties"][HUB]
    change = update(base, mirror, remembered(base, mirror), a_policy(), identity=known)
    assert change.request == {"CustomerMetadataProperties": {HUB: "hub"}}


def test_a_mirror_names_its_source_and_its_hub() -> None:
    named = identity(ARN, "hub")
    assert is_mirror({"CustomerMetadataProperties": named}, ARN, "hub")
    assert not is_mirror({"CustomerMetadataProperties": named}, ARN, "another")
    for key in IDENTITY:
        less = {each: value for each, value in named.items() if each != key}
        assert not is_mirror({"CustomerMetadataProperties": less}, ARN, "hub")
    other = identity(ModelPackageArn.parse(str(ARN).replace("/3", "/2")), "hub")
    assert not is_mirror({"CustomerMetadataProperties": other}, ARN, "hub")
    assert not is_mirror({}, ARN, "hub")


def test_a_description_in_the_replicators_name_is_not_carried_over() -> None:
    base = want(ApprovalDescription="Replicator: what runs changed in the source: nothing.")
    assert "ApprovalDescription" not in base.members
    assert base.dropped["ApprovalDescription"] == "the replicator's own words"


def test_what_runs_is_every_field_that_has_an_image() -> None:
    def has_image(node: Any) -> bool:
        if isinstance(node, dict):
            return any(map(has_image, node.values()))
        return has_image(node.node) if isinstance(node, Each) else isinstance(node, Image)

    assert {name for name, node in PACKAGE.items() if has_image(node)} | {"SourceUri"} == RUNS
