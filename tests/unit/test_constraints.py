from typing import Any

import botocore.session
import pytest

from replicator.constraints import violations

SHAPE = (
    botocore.session.get_session()
    .get_service_model("sagemaker")
    .operation_model("CreateModelPackage")
    .input_shape
)


def container(**members: Any) -> dict[str, Any]:
    return {"InferenceSpecification": {"Containers": [{"Image": "i", **members}]}}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"ModelPackageDescription": "x" * 1025}, "ModelPackageDescription has 1025 characters, and at most 1024"),
        ({"ModelPackageDescription": "a\nb"}, "does not match the pattern"),
        ({"CustomerMetadataProperties": {"k": "x" * 257}}, "CustomerMetadataProperties{k} has 257 characters"),
        ({"CustomerMetadataProperties": {str(i): "v" for i in range(51)}}, "has 51 entries, and at most 50"),
        ({"CustomerMetadataProperties": {"k(": "v"}}, "CustomerMetadataProperties key 'k('"),
        ({"ModelApprovalStatus": "Maybe"}, "none of Approved, Rejected, PendingManualApproval"),
        (container(Image="i" * 256), "InferenceSpecification.Containers[0].Image has 256 characters"),
        ({"InferenceSpecification": {"Containers": []}}, "0 entries, and at least 1"),
        ({"InferenceSpecification": {}}, "InferenceSpecification.Containers is required"),
        (container(Novelty="x"), "InferenceSpecification.Containers[0].Novelty is not a member"),
    ],
)  # fmt: skip
def test_a_value_outside_its_limits_is_named_with_limit_and_length(
    request_: dict[str, Any], said: str
) -> None:
    found = list(violations(SHAPE, request_))
    assert len(found) == 1
    assert said in found[0]


def test_what_is_within_its_limits_passes() -> None:
    request = {
        "ModelPackageGroupName": "g",
        "ModelPackageDescription": "Übersicht: 1 + 1 = 2 (ok)",
        "CustomerMetadataProperties": {"replicator:source-arn": "arn:aws:x:1/2=3+4@5-6_7. é"},
        **container(ModelDataUrl="s3://b/k", Environment={"A": "x" * 1024}),
    }
    assert list(violations(SHAPE, request)) == []
