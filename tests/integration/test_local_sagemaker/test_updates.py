"""UpdateModelPackage.

"Model" is the installed botocore's service model with its embedded documentation, the same text as
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_local_sagemaker.conftest import refusal, register, specification
from tests.integration.test_local_sagemaker.members import FULL

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Serving


def members(client: SageMakerClient, arn: str) -> dict[str, Any]:
    described: dict[str, Any] = dict(client.describe_model_package(ModelPackageName=arn))
    return {
        name: described[name]
        for name in described
        if name in FULL or name in ("SourceUri", "ApprovalDescription")
    }


@pytest.mark.parametrize(
    "update",
    [
        {"ModelApprovalStatus": "Rejected"},
        {"ApprovalDescription": "drifts"},
        {"InferenceSpecification": specification(ModelDataUrl="s3://models/other.tar.gz")},
        {"SourceUri": "s3://models/churn/"},
        {"ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"}},
        {"ModelPackageRegistrationType": "Logged"},
    ],
    ids=lambda update: next(iter(update)),
)
def test_a_member_is_replaced_and_the_others_stay(client: SageMakerClient, update: dict[str, Any]) -> None:
    """Model: the members of UpdateModelPackage; SourceUri beside a specification: sagemaker-python-sdk#4492."""
    arn = register(client, **FULL)
    answer = client.update_model_package(ModelPackageArn=arn, **update)
    assert answer["ModelPackageArn"] == arn
    assert members(client, arn) == FULL | update


def test_customer_metadata_is_merged(client: SageMakerClient) -> None:
    """Inferred from the model: a list of keys to remove is only of use when the map is additive (moto replaces)."""
    arn = register(client, CustomerMetadataProperties={"a": "1", "b": "2"})
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"b": "3", "c": "4"})
    assert members(client, arn)["CustomerMetadataProperties"] == {"a": "1", "b": "3", "c": "4"}


def test_customer_metadata_is_removed_by_key(client: SageMakerClient) -> None:
    """Model, CustomerMetadataPropertiesToRemove; unknown keys and an emptied map: inferred."""
    arn = register(client, CustomerMetadataProperties={"a": "1", "b": "2"})
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["a", "x"])
    assert members(client, arn)["CustomerMetadataProperties"] == {"b": "2"}
    client.update_model_package(
        ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["b"], CustomerMetadataProperties={"c": "3"}
    )
    assert members(client, arn)["CustomerMetadataProperties"] == {"c": "3"}
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["c"])
    assert "CustomerMetadataProperties" not in members(client, arn)


def test_more_than_fifty_properties_are_refused(client: SageMakerClient) -> None:
    """Model, CustomerMetadataMap: at most 50; that it holds for the merged map is inferred."""
    arn = register(client, CustomerMetadataProperties={f"k{n}": "v" for n in range(30)})
    more = {f"m{n}": "v" for n in range(21)}
    code, _ = refusal(
        client.update_model_package,
        ModelPackageArn=arn,
        CustomerMetadataProperties=more,
        ModelApprovalStatus="Approved",
    )
    assert code == "ValidationException"
    assert members(client, arn)["ModelApprovalStatus"] == "PendingManualApproval", "all or nothing"
    more.popitem()
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties=more)
    assert len(members(client, arn)["CustomerMetadataProperties"]) == 50


def test_additional_specifications_are_added_up_to_fifteen(client: SageMakerClient) -> None:
    """Model: "Total number of additional Inference Specifications can not exceed 15"."""

    def additional(first: int, last: int) -> list[Any]:
        image = "111111111111.dkr.ecr.eu-central-1.amazonaws.com/neo:1"
        return [{"Name": f"n{n}", "Containers": [{"Image": image}]} for n in range(first, last)]

    arn = register(client, AdditionalInferenceSpecifications=additional(0, 2))
    client.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=additional(2, 15))
    assert members(client, arn)["AdditionalInferenceSpecifications"] == additional(0, 15)
    code, message = refusal(
        client.update_model_package,
        ModelPackageArn=arn,
        AdditionalInferenceSpecificationsToAdd=additional(15, 16),
    )
    assert code == "ValidationException"
    assert "can not exceed 15" in message


def test_the_content_of_an_archived_card_stays(client: SageMakerClient) -> None:
    """Model, ModelCardStatus: "you will receive the message Model Card is in Archived state"."""
    arn = register(client, ModelCard={"ModelCardContent": json.dumps({"a": 1}), "ModelCardStatus": "Draft"})
    new: Any = {"ModelCardContent": json.dumps({"a": 2}), "ModelCardStatus": "Archived"}
    client.update_model_package(ModelPackageArn=arn, ModelCard=new)
    assert members(client, arn)["ModelCard"] == new
    newer: Any = {"ModelCardContent": json.dumps({"a": 3})}
    answer = refusal(client.update_model_package, ModelPackageArn=arn, ModelCard=newer)
    assert answer == ("ValidationException", "Model Card is in Archived state")
    assert members(client, arn)["ModelCard"] == new


def test_the_status_of_a_card_can_change_alone(client: SageMakerClient) -> None:
    """Model: both members of the card are optional; that the content then stays is inferred."""
    arn = register(client, ModelCard={"ModelCardContent": json.dumps({"a": 1}), "ModelCardStatus": "Draft"})
    client.update_model_package(ModelPackageArn=arn, ModelCard={"ModelCardStatus": "Approved"})
    assert members(client, arn)["ModelCard"] == {
        "ModelCardContent": json.dumps({"a": 1}),
        "ModelCardStatus": "Approved",
    }


def test_a_changed_image_gets_its_digest(serving: Serving) -> None:
    """As at registration (inferred)."""
    digest = "sha256:" + "e" * 64
    client = serving.start(hooks={"resolve_image": lambda *image: digest}).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    arn = client.create_model_package(ModelPackageGroupName="churn", SourceUri="s3://models/churn/")
    arn_text = arn["ModelPackageArn"]
    client.update_model_package(ModelPackageArn=arn_text, InferenceSpecification=specification())
    container = members(client, arn_text)["InferenceSpecification"]["Containers"][0]
    assert container["ImageDigest"] == digest


def test_a_client_token_used_again_changes_nothing(client: SageMakerClient) -> None:
    """Model: "guarantees that the call to this API is idempotent"; the conflict is inferred."""
    arn = register(client)
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ClientToken="once")
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ClientToken="once")
    assert members(client, arn)["ModelApprovalStatus"] == "Rejected"
    code, _ = refusal(
        client.update_model_package, ModelPackageArn=arn, ApprovalDescription="x", ClientToken="once"
    )
    assert code == "ConflictException"
