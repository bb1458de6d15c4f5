"""One location that several members name: copied once, and as all of them mean it."""

import json
from typing import Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.package import rewrite
from replicator.plan import Known, find_copies, pin, plan, uncopied_members
from replicator.steps import Action, ArtifactCopy, ImageCopy
from tests.unit.packages import ARN, IMAGE, MODEL, a_package, a_policy

POLICY = a_policy()
FOLDER = "s3://sagemaker-us-east-1-111111111111/code"


def copies(*containers: dict[str, Any], **members: Any) -> list[ArtifactCopy | ImageCopy]:
    more = [{"Name": f"n{i}", "Containers": [each]} for i, each in enumerate(containers[1:])]
    specification = {"Containers": [containers[0]]}
    package = a_package(
        InferenceSpecification=specification, AdditionalInferenceSpecifications=more, **members
    )
    return find_copies(ARN, package, POLICY)


def refusal(*containers: dict[str, Any]) -> ErrorCode:
    with pytest.raises(PermanentError) as raised:
        copies(*containers)
    return raised.value.code


def prefix(uri: str) -> dict[str, Any]:
    return {"AdditionalS3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}


def test_a_pin_is_kept_whichever_member_has_it() -> None:
    (found,) = copies({"ModelDataUrl": MODEL}, {"ModelDataUrl": MODEL, "ModelDataETag": '"e"'})
    assert isinstance(found, ArtifactCopy)
    assert found.etag == "e"
    (image,) = copies({"Image": IMAGE}, {"Image": IMAGE, "ImageDigest": "sha256:" + "ab" * 32})
    assert isinstance(image, ImageCopy)
    assert image.digest == "sha256:" + "ab" * 32


def test_one_name_for_different_bytes_is_refused() -> None:
    a, b = ({"Image": IMAGE, "ImageDigest": f"sha256:{x * 32}"} for x in ("ab", "cd"))
    assert refusal(a, b) is ErrorCode.SOURCE_CHANGED
    a, b = ({"ModelDataUrl": MODEL, "ModelDataETag": x} for x in ("a", "b"))
    assert refusal(a, b) is ErrorCode.SOURCE_CHANGED


def test_a_digest_in_capitals_is_the_same_digest() -> None:
    found = copies(
        {"Image": IMAGE, "ImageDigest": "SHA256:" + "AB" * 32},
        {"Image": IMAGE, "ImageDigest": "sha256:" + "ab" * 32},
    )
    assert [copy.digest for copy in found if isinstance(copy, ImageCopy)] == ["sha256:" + "ab" * 32]


def test_a_member_for_locations_says_what_free_text_leaves_open() -> None:
    text = {"Environment": {"CODE": FOLDER}}
    for containers in (({}, {**text, **prefix(FOLDER)}), (text, prefix(FOLDER)), (prefix(FOLDER), text)):
        (found,) = copies(*containers)
        assert isinstance(found, ArtifactCopy)
        assert found.type == "prefix"


def test_an_object_and_a_prefix_of_one_name_are_refused() -> None:
    assert refusal({"ModelDataUrl": FOLDER}, prefix(FOLDER)) is ErrorCode.INVALID_LOCATION


def test_an_empty_container_keeps_its_place() -> None:
    specification = {"Containers": [{}, {"Image": IMAGE, "Environment": {}}, {"ImageDigest": "sha256:x"}]}
    found = rewrite(a_package(InferenceSpecification=specification), {IMAGE: "hub"})
    assert found.members["InferenceSpecification"] == {"Containers": [{}, {"Image": "hub"}, {}]}
    assert "InferenceSpecification.Containers[2].ImageDigest" in found.dropped


@pytest.mark.parametrize("big", [1.0e22, "\\u00e9" * 10, 10**30])
def test_a_card_keeps_its_spelling_around_what_is_rewritten(big: Any) -> None:
    before = '{"a":1e5,"x":"\\ud800\\/","note":"\\"model_artifact\\": []",'
    card = before + '"model_overview":{"model_artifact":["%s"]},"b":%s}'
    content = card % (MODEL, json.dumps(big))
    package = a_package(ModelCard={"ModelCardContent": content, "ModelCardStatus": "Draft"})
    found = rewrite(package, {MODEL: "s3://hub/m"}).members["ModelCard"]["ModelCardContent"]
    assert found == content.replace(MODEL, "s3://hub/m")


def test_what_was_registered_anew_under_the_same_name_is_copied_anew() -> None:
    there = {MODEL: "s3://hub/1/model.tar.gz", IMAGE: "hub@1"}
    before = {MODEL: "old", IMAGE: "sha256:1"}
    found = plan(ARN, a_package(), Known("hub", "other", there, pins=before), POLICY)
    assert found.action is Action.UPDATE
    assert sorted(copy.uri for copy in found.copies) == sorted([MODEL, IMAGE])
    same = {copy.uri: pin(copy) or "" for copy in found.copies}
    assert not plan(ARN, a_package(), Known("hub", "other", there, pins=same), POLICY).copies


def test_a_rejection_is_passed_on_to_a_mirror_that_may_have_been_made() -> None:
    rejected = a_package(ModelApprovalStatus="Rejected")
    assert plan(ARN, rejected, None, POLICY).action is Action.NOTHING
    found = plan(ARN, rejected, None, POLICY, begun=True)
    assert (found.action, found.copies) == (Action.UPDATE, [])


@pytest.mark.parametrize(
    "spelling",
    [
        "https://sagemaker-us-east-1-111111111111.s3.us-east-1.amazonaws.com/churn/model.tar.gz",
        "https://sagemaker-us-east-1-111111111111.s3.amazonaws.com/churn/model.tar.gz",
        "https://s3.us-east-1.amazonaws.com/sagemaker-us-east-1-111111111111/churn/model.tar.gz",
        "https://s3-us-east-1.amazonaws.com/sagemaker-us-east-1-111111111111/churn/model%2Etar.gz",
    ],
)
def test_another_spelling_is_the_same_location(spelling: str) -> None:
    (found,) = copies({"ModelDataUrl": spelling}, {"ModelDataUrl": MODEL})
    assert found.uri == MODEL
    package = a_package(InferenceSpecification={"Containers": [{"ModelDataUrl": spelling}]})
    known = Known("hub", "other", {MODEL: "s3://hub/m"})
    assert not plan(ARN, package, known, POLICY).copies, "mirrored bytes are looked at once more"
    assert rewrite(package, known.locations).members["InferenceSpecification"] == {
        "Containers": [{"ModelDataUrl": "s3://hub/m"}]
    }
    assert not uncopied_members(package, known.locations, POLICY)


def test_bytes_must_be_as_old_as_the_package_and_those_of_an_update_as_old_as_that() -> None:
    package = a_package(
        SamplePayloadUrl=FOLDER + "/payload",
        InferenceSpecification={"Containers": [{"ModelDataUrl": MODEL, **prefix(FOLDER)}]},
    )
    registered, updated = "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00"

    def asked(known: Known | None) -> set[tuple[str, str | None, bool]]:
        found = plan(ARN, package, known, POLICY).copies
        return {(copy.uri, copy.registered_at, copy.runs) for copy in found if isinstance(copy, ArtifactCopy)}

    assert asked(None) == {
        (MODEL, registered, True),
        (FOLDER, registered, True),
        (FOLDER + "/payload", registered, False),
    }
    assert asked(Known("hub", "other", {MODEL: "s3://hub/m", FOLDER + "/payload": "s3://hub/p"})) == {
        (FOLDER, updated, True)
    }
