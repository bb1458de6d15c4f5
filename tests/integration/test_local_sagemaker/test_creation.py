"""CreateModelPackage and CreateModelPackageGroup.

"Model" is the installed botocore's service model with its embedded documentation, the same text as
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import botocore.session
import pytest

from tests.integration.test_local_sagemaker.conftest import REGION, SPOKE, refusal, register, specification
from tests.integration.test_local_sagemaker.members import FULL

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Server, Serving


def test_every_member_of_create_comes_back_from_describe(client: SageMakerClient) -> None:
    """Model: every member of Create but Tags and ClientToken is in Describe at the same path."""
    request = botocore.session.get_session().get_service_model("sagemaker")
    members = set(request.operation_model("CreateModelPackage").input_shape.members)  # type: ignore[union-attr]
    not_asked = {"ModelPackageName", "Tags", "ClientToken", "SourceUri", "ModelPackageGroupName"}
    assert members - not_asked == set(FULL), "a member is new in botocore: add it to the sample"

    arn = register(client, **FULL)

    described = client.describe_model_package(ModelPackageName=arn)
    assert {name: described.get(name) for name in FULL} == FULL


def test_a_source_uri_is_kept(client: SageMakerClient) -> None:
    """Model: SourceUri is in Describe."""
    arn = client.create_model_package(ModelPackageGroupName="churn", SourceUri="s3://models/churn/")
    described = client.describe_model_package(ModelPackageName=arn["ModelPackageArn"])
    assert described["SourceUri"] == "s3://models/churn/"


def test_a_source_uri_beside_a_specification_is_refused(client: SageMakerClient) -> None:
    """https://github.com/aws/sagemaker-python-sdk/pull/4492: not both on create."""
    code, message = refusal(
        client.create_model_package, ModelPackageGroupName="churn",
        SourceUri="s3://models/churn/", InferenceSpecification=specification(),
    )  # fmt: skip
    assert code == "ValidationException"
    assert "SourceUri" in message


def test_a_source_uri_that_is_a_package_clones_its_specification(client: SageMakerClient) -> None:
    """Model: "If you want to clone a model package, set it to the model package ARN"."""
    original = register(client)
    clone = client.create_model_package(ModelPackageGroupName="churn", SourceUri=original)["ModelPackageArn"]
    described = client.describe_model_package(ModelPackageName=clone)
    containers = described["InferenceSpecification"]["Containers"]
    assert containers == specification()["Containers"]


def test_tags_on_a_version_are_refused(client: SageMakerClient) -> None:
    """Model: "In this case, you cannot supply a tag argument"; words: https://github.com/aws/aws-cdk/issues/33699."""
    answer = refusal(
        client.create_model_package, ModelPackageGroupName="churn",
        InferenceSpecification=specification(), Tags=[{"Key": "a", "Value": "b"}],
    )  # fmt: skip
    expected = "Tags are not supported in Model Package versions. Please add them to the Model Package Group."
    assert answer == ("ValidationException", expected)


def test_neither_or_both_names_are_refused(client: SageMakerClient) -> None:
    """Model: one of them is required; words: https://github.com/getmoto/moto/pull/7165."""
    assert refusal(client.create_model_package, InferenceSpecification=specification()) == (
        "ValidationException", "Missing ARN.",
    )  # fmt: skip
    _, message = refusal(client.create_model_package, ModelPackageName="a", ModelPackageGroupName="churn")
    assert message.startswith("Both ModelPackageName and ModelPackageGroupName are provided")


def test_additional_s3_data_source_is_refused_in_the_main_specification(client: SageMakerClient) -> None:
    """https://github.com/boto/boto3/issues/4510, though the model has the member there."""
    source = {"S3DataType": "S3Object", "S3Uri": "s3://models/extra.tar.gz"}
    answer = refusal(
        client.create_model_package, ModelPackageGroupName="churn",
        InferenceSpecification=specification(AdditionalS3DataSource=source),
    )  # fmt: skip
    expected = "AdditionalS3DataSource is not allowed in InferenceSpecification"
    assert answer == ("ValidationException", expected)


def test_the_group_must_exist(client: SageMakerClient) -> None:
    """Model: "the model package group that this model version belongs to"; words as of moto, inferred."""
    code, message = refusal(
        client.create_model_package, ModelPackageGroupName="other", InferenceSpecification=specification()
    )
    assert code == "ValidationException"
    assert (
        message
        == f"ModelPackageGroup arn:aws:sagemaker:{REGION}:{SPOKE}:model-package-group/other does not exist."
    )


def test_versions_start_at_one_and_are_never_given_again(client: SageMakerClient) -> None:
    """DG model-registry-models: "starts at 1 and is incremented"; that a deleted one stays used is inferred."""
    assert register(client).endswith(":model-package/churn/1")
    second = register(client)
    client.delete_model_package(ModelPackageName=second)
    assert register(client).endswith(":model-package/churn/3")


def test_the_group_can_be_given_by_arn(client: SageMakerClient) -> None:
    """Model: "The name or Amazon Resource Name (ARN) of the model package group"."""
    group = client.describe_model_package_group(ModelPackageGroupName="churn")["ModelPackageGroupArn"]
    assert register(client, group) == f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/churn/1"


def test_the_arn_spells_the_group_as_given(server: Server) -> None:
    """DG model-registry-details: the sample's ARN has the group's capitals (moto lowers them)."""
    client = server.client()
    client.create_model_package_group(ModelPackageGroupName="ModelGroup")
    assert register(client, "ModelGroup").endswith(":model-package/ModelGroup/1")


def test_a_client_token_used_again_returns_the_first_package(client: SageMakerClient) -> None:
    """Model: "A unique token that guarantees that the call to this API is idempotent"."""
    first = register(client, ClientToken="once")
    assert register(client, ClientToken="once") == first
    assert register(client) != first
    listed = client.list_model_packages(ModelPackageGroupName="churn")["ModelPackageSummaryList"]
    assert len(listed) == 2


def test_a_client_token_with_other_parameters_is_a_conflict(client: SageMakerClient) -> None:
    """Inferred: ConflictException is the one fitting error that the model has for CreateModelPackage."""
    register(client, ClientToken="once")
    code, message = refusal(
        client.create_model_package, ModelPackageGroupName="churn", ModelPackageDescription="other",
        InferenceSpecification=specification(), ClientToken="once",
    )  # fmt: skip
    assert code == "ConflictException"
    assert "once" in message


def test_a_client_token_is_forgotten_after_its_time(serving: Serving) -> None:
    """How long it is honoured is documented nowhere: a setting, so that both sides can be tried."""
    client = serving.start(client_token_seconds=0.0).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    assert register(client, ClientToken="once") != register(client, ClientToken="once")


def test_a_second_group_of_the_same_name_is_refused(client: SageMakerClient) -> None:
    """Public code matches ValidationException and "Model Package Group already exists" (moto overwrites)."""
    code, message = refusal(client.create_model_package_group, ModelPackageGroupName="churn")
    assert code == "ValidationException"
    assert "Model Package Group already exists" in message


def test_a_package_outside_a_group(client: SageMakerClient) -> None:
    """Model: "Unversioned - a model package that is not part of a model group"; it may have tags."""
    made = client.create_model_package(
        ModelPackageName="product", InferenceSpecification=specification(), Tags=[{"Key": "a", "Value": "b"}]
    )["ModelPackageArn"]
    assert made == f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/product"
    described = client.describe_model_package(ModelPackageName="product")
    assert described["ModelPackageName"] == "product"
    assert "ModelPackageVersion" not in described
    assert "ModelApprovalStatus" not in described, "the status does not apply to unversioned models"
    assert client.list_tags(ResourceArn=made)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refusal(client.create_model_package, ModelPackageName="product")[0] == "ValidationException"


def test_missing_artifacts_are_refused_when_the_server_looks(serving: Serving) -> None:
    """DG model-registry-version: the registry's account needs read access; words as of CreateModel, inferred."""
    missing = {"s3://models/churn/model.tar.gz"}
    looked: list[tuple[str, str, str, str]] = []

    def exists(*location: str) -> bool:
        looked.append(location)  # type: ignore[arg-type]
        return location[3] not in missing

    client = serving.start(hooks={"exists": exists}).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    code, message = refusal(
        client.create_model_package, ModelPackageGroupName="churn", InferenceSpecification=specification()
    )
    assert (code, message) == (
        "ValidationException", "Could not find model data at s3://models/churn/model.tar.gz.",
    )  # fmt: skip
    missing.clear()
    assert register(client).endswith("/1"), "a refused registration uses up no version (inferred)"
    image = specification()["Containers"][0]["Image"]
    assert (SPOKE, REGION, "image", image) in looked


def test_missing_artifacts_are_registered_when_the_server_does_not_look(client: SageMakerClient) -> None:
    """The default here, so that a package whose artifact is gone can be shown; not documented of the service."""
    assert register(client).endswith("/1")


@pytest.mark.parametrize("content", ["not json", "[]"])
def test_a_card_that_is_no_json_object_is_refused(client: SageMakerClient, content: str) -> None:
    """Model, ModelCardContent: "must follow the schema"; only the outermost level is checked here."""
    code, _ = refusal(
        client.create_model_package, ModelPackageGroupName="churn", InferenceSpecification=specification(),
        ModelCard={"ModelCardContent": content, "ModelCardStatus": "Draft"},
    )  # fmt: skip
    assert code == "ValidationException"
