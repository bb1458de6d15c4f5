import json
from typing import Any

import pytest

from replicator.package import fingerprint, other_digests, readable_card, rewrite
from tests.unit.packages import DIGEST, IMAGE, MODEL, a_package

THERE = {IMAGE: "hub-image@sha256", MODEL: "s3://hub/model.tar.gz"}


def members(**changes: Any) -> dict[str, Any]:
    return rewrite(a_package(**changes), THERE).members


def test_locations_are_rewritten_and_what_belongs_to_the_source_is_left_out() -> None:
    assert members() == {
        "ModelPackageDescription": "Churn",
        "InferenceSpecification": {
            "Containers": [{"Image": "hub-image@sha256", "ModelDataUrl": "s3://hub/model.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
        },
    }


def test_every_dropped_member_is_named_with_its_reason() -> None:
    dropped = rewrite(
        a_package(
            ValidationSpecification={"ValidationRole": "arn"},
            CertifyForMarketplace=False,
            SourceUri="arn:aws:sagemaker:us-east-1:111111111111:model-package/churn/1",
            Novelty={"Unheard": "of"},
        ),
        THERE,
    ).dropped
    assert set(dropped) == {
        "InferenceSpecification.Containers[0].ImageDigest",
        "InferenceSpecification.Containers[0].ModelDataETag",
        "ValidationSpecification",
        "CertifyForMarketplace",
        "SourceUri",
        "Novelty",
    }
    assert all(dropped.values())


def test_empty_structures_are_pruned_to_the_top() -> None:
    found = members(ModelMetrics={"Bias": {}, "Explainability": {"Report": {}}}, DriftCheckBaselines={})
    assert "ModelMetrics" not in found
    assert "DriftCheckBaselines" not in found


def test_free_text_is_rewritten_only_when_it_is_the_location() -> None:
    found = members(CustomerMetadataProperties={"model": MODEL, "note": f"see {MODEL}"})
    assert found["CustomerMetadataProperties"] == {"model": "s3://hub/model.tar.gz", "note": f"see {MODEL}"}


def test_a_card_is_rewritten_inside_and_else_kept_to_the_byte() -> None:
    card = json.dumps({"model_overview": {"model_artifact": [MODEL, "s3://b/else"]}, "x": "ü"}, indent=3)
    rewritten = members(ModelCard={"ModelCardContent": card, "ModelCardStatus": "Draft"})["ModelCard"]
    assert json.loads(rewritten["ModelCardContent"]) == {
        "model_overview": {"model_artifact": ["s3://hub/model.tar.gz", "s3://b/else"]},
        "x": "ü",
    }
    for same in ('{ "model_overview":  {} }', "not json", "[1]", '{"model_overview": {"model_artifact": 3}}'):
        assert members(ModelCard={"ModelCardContent": same})["ModelCard"]["ModelCardContent"] == same


def test_the_fingerprint_follows_what_a_mirror_can_depend_on() -> None:
    same = a_package(LastModifiedTime="x", LastModifiedBy={"UserProfileName": "y"})
    assert fingerprint(same) == fingerprint(a_package())
    for changes in (
        {"ModelApprovalStatus": "Rejected"},
        {"ApprovalDescription": "d"},
        {"ModelCard": {"a": "b"}},
    ):
        assert fingerprint(a_package(**changes)) != fingerprint(a_package())


def test_a_time_of_modification_before_the_first_update_changes_nothing() -> None:
    """Some descriptions of new versions have it and some have not."""
    assert fingerprint(a_package(LastModifiedTime="2026-01-01T00:00:14Z")) == fingerprint(a_package())


AWS_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/xgboost"


@pytest.mark.parametrize(
    ("image", "digest", "expected"),
    [
        (f"{AWS_IMAGE}:1.7", DIGEST, f"{AWS_IMAGE}@{DIGEST}"),
        (AWS_IMAGE, DIGEST, f"{AWS_IMAGE}@{DIGEST}"),
        (f"{AWS_IMAGE}:1.7", DIGEST.upper(), f"{AWS_IMAGE}@{DIGEST}"),
        (f"{AWS_IMAGE}:1.7@{DIGEST}", DIGEST, f"{AWS_IMAGE}@{DIGEST}"),
        (f"{AWS_IMAGE}:1.7", None, f"{AWS_IMAGE}:1.7"),
    ],
)
@pytest.mark.parametrize("additional", [False, True])
def test_an_image_that_stays_is_named_by_its_recorded_digest(
    image: str, digest: str | None, expected: str, additional: bool
) -> None:
    specification = {"Containers": [{"Image": image} | ({"ImageDigest": digest} if digest else {})]}
    package = (
        a_package(AdditionalInferenceSpecifications=[{"Name": "a", **specification}])
        if additional
        else a_package(InferenceSpecification=specification)
    )
    found = rewrite(package, THERE, images_by_digest=True).members
    shown = found["AdditionalInferenceSpecifications"][0] if additional else found["InferenceSpecification"]
    assert shown["Containers"] == [{"Image": expected}]


def test_another_digest_than_an_image_was_registered_by_is_seen() -> None:
    def mirror(digest: str) -> dict[str, Any]:
        container = {"Image": f"{AWS_IMAGE}@{DIGEST}", "ImageDigest": digest}
        specification = {"Containers": [container]}
        return {
            "InferenceSpecification": specification,
            "AdditionalInferenceSpecifications": [{"Name": "a", **specification}],
        }

    assert other_digests(mirror(DIGEST)) == other_digests(mirror(DIGEST.upper())) == []
    assert other_digests(mirror("sha256:" + "cd" * 32)) == [
        "InferenceSpecification.Containers[0].Image",
        "AdditionalInferenceSpecifications[0].Containers[0].Image",
    ]


@pytest.mark.parametrize(
    ("card", "readable"),
    [
        ("[" * 100 + "]" * 100, True),
        ("[" * 101 + "]" * 101, False),
        ('{"a":' * 101 + "1" + "}" * 101, False),
        ("[" * 100_000, False),
        (json.dumps({"a": "[{" * 400, "b": '"[' * 400, "c": "\\"}), True),
        ('"' + "\\" * 400 + "[" * 400 + '"', True),
        (" " * 1_000_001, False),
    ],
    ids=["100", "101", "objects", "endless", "in texts", "escapes", "long"],
)
def test_a_card_is_read_up_to_so_many_levels(card: str, readable: bool) -> None:
    assert readable_card(card) is readable
    kept = members(ModelCard={"ModelCardContent": card, "ModelCardStatus": "Draft"})["ModelCard"]
    assert kept["ModelCardContent"] == card


def test_a_card_full_of_lists_of_artifacts_is_read_in_a_moment() -> None:
    decoy = f'"model_artifact":["{MODEL}"],'
    card = "{" + '"x":{' + decoy * 10_000 + '"y":1},' + '"model_overview":{' + decoy.rstrip(",") + "}}"
    found = members(ModelCard={"ModelCardContent": card, "ModelCardStatus": "Draft"})["ModelCard"]
    assert json.loads(found["ModelCardContent"])["model_overview"]["model_artifact"] == [THERE[MODEL]]
