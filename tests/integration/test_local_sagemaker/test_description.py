"""DescribeModelPackage, BatchDescribeModelPackage, DescribeModelPackageGroup and deletions.

"Model" is the installed botocore's service model with its embedded documentation, the same text as
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3

from tests.integration.test_local_sagemaker.conftest import (
    REGION,
    ROLE,
    SPOKE,
    Clock,
    refusal,
    register,
    specification,
)
from tests.integration.test_local_sagemaker.members import CARD, FULL

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Server, Serving

DIGEST = "sha256:" + "d" * 64


def test_a_version_has_no_package_name(client: SageMakerClient) -> None:
    """DG model-registry-details (sample) and aws/sagemaker-python-sdk#5606, though the model requires it."""
    described = client.describe_model_package(ModelPackageName=register(client))
    assert "ModelPackageName" not in described
    assert (described["ModelPackageGroupName"], described["ModelPackageVersion"]) == ("churn", 1)


def test_a_new_version_is_completed_with_empty_details(client: SageMakerClient) -> None:
    """DG model-registry-details, sample: empty lists; the default approval status is inferred."""
    described = client.describe_model_package(ModelPackageName=register(client))
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelPackageStatusDetails"] == {"ValidationStatuses": [], "ImageScanStatuses": []}
    assert described["CertifyForMarketplace"] is False
    assert described["ModelApprovalStatus"] == "PendingManualApproval"


def test_registration_can_take_its_time(serving: Serving) -> None:
    """Model, ModelPackageStatus: Pending and InProgress come before Completed; how long is not documented."""
    clock = Clock()
    client = serving.start(completion_delay=600, clock=clock).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    arn = register(client)
    seen = []
    for _ in range(3):
        seen.append(client.describe_model_package(ModelPackageName=arn)["ModelPackageStatus"])
        clock.tick(300)
    assert seen == ["Pending", "InProgress", "Completed"]


def test_times_and_identities(serving: Serving) -> None:
    """Model, IamIdentity: "the ARN of the IAM identity", "the ID of the principal that assumes"; ids inferred."""
    clock = Clock()
    client = serving.start(clock=clock).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    arn = register(client)
    created = clock.now
    described = client.describe_model_package(ModelPackageName=arn)
    assert described["CreationTime"] == created
    assert "LastModifiedTime" not in described
    identity = described["CreatedBy"]["IamIdentity"]
    assert identity["Arn"] == f"arn:aws:sts::{SPOKE}:assumed-role/{ROLE}/anna"
    assert identity["PrincipalId"].startswith("AROA")
    assert identity["PrincipalId"].endswith(":anna")

    clock.tick()
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    described = client.describe_model_package(ModelPackageName=arn)
    assert (described["CreationTime"], described["LastModifiedTime"]) == (created, clock.now)
    assert described["LastModifiedBy"]["IamIdentity"] == identity


def test_users_are_named_too(server: Server) -> None:
    """Model, UserContext: an IAM user's key gives the user."""
    keys = server.assume(SPOKE)
    iam = boto3.client(
        "iam",
        endpoint_url=server.url,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    user = iam.create_user(UserName="otto")["User"]
    key = iam.create_access_key(UserName="otto")["AccessKey"]
    client = boto3.client(
        "sagemaker",
        endpoint_url=server.url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    client.create_model_package_group(ModelPackageGroupName="churn")
    created_by = client.describe_model_package_group(ModelPackageGroupName="churn")["CreatedBy"]
    assert created_by["IamIdentity"] == {"Arn": user["Arn"], "PrincipalId": user["UserId"]}


def test_the_digest_of_an_image_is_filled_in(serving: Serving) -> None:
    """DG model-registry-details, sample: ImageDigest that nobody gave. Once, at registration: inferred."""
    asked: list[tuple[str, ...]] = []

    def resolve(*image: str) -> str | None:
        asked.append(image)
        return DIGEST if image[2].endswith("churn:1") else None

    client = serving.start(hooks={"resolve_image": resolve}).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    image = specification()["Containers"][0]["Image"]
    arn = register(client)
    for _ in range(2):
        described = client.describe_model_package(ModelPackageName=arn)
        assert described["InferenceSpecification"]["Containers"][0]["ImageDigest"] == DIGEST
    assert asked == [(SPOKE, REGION, image)]

    unknown = register(client, InferenceSpecification=specification(Image="unknown:2"))
    described = client.describe_model_package(ModelPackageName=unknown)
    assert "ImageDigest" not in described["InferenceSpecification"]["Containers"][0]

    pinned = register(client, InferenceSpecification=specification(Image=f"{image}@{DIGEST}"))
    described = client.describe_model_package(ModelPackageName=pinned)
    assert described["InferenceSpecification"]["Containers"][0]["ImageDigest"] == DIGEST


def test_metadata_only_cuts_the_card_and_nothing_else(client: SageMakerClient) -> None:
    """Model, IncludedData: the card "sanitized", the rest "unchanged"; that the risk rating stays is inferred."""
    request: dict[str, Any] = {"ModelPackageName": register(client, **FULL)}  # newer than the stubs
    whole = client.describe_model_package(**request | {"IncludedData": "AllData"})
    cut = client.describe_model_package(**request | {"IncludedData": "MetadataOnly"})
    assert json.loads(whole["ModelCard"]["ModelCardContent"]) == CARD
    assert json.loads(cut["ModelCard"]["ModelCardContent"]) == {"intended_uses": {"risk_rating": "Low"}}
    for described in (whole, cut):
        del described["ModelCard"]["ModelCardContent"]
        del described["ResponseMetadata"]  # type: ignore[misc]
    assert whole == cut


def test_what_is_not_there_is_a_validation_exception(client: SageMakerClient) -> None:
    """Model: Describe has no error of its own, so a missing package is a ValidationException; words inferred."""
    register(client)
    arn = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/churn/2"
    answer = refusal(client.describe_model_package, ModelPackageName=arn)
    assert answer == ("ValidationException", f"ModelPackage {arn} does not exist.")
    bare = refusal(client.describe_model_package, ModelPackageName="churn")
    assert bare[0] == "ValidationException", "moto answers the latest version"
    assert refusal(client.update_model_package, ModelPackageArn=arn)[0] == "ValidationException"
    assert refusal(client.delete_model_package, ModelPackageName=arn)[0] == "ValidationException"
    code, message = refusal(client.describe_model_package_group, ModelPackageGroupName="other")
    assert code == "ValidationException"
    assert message.endswith("model-package-group/other does not exist.")


def test_a_version_can_be_named_without_its_arn(client: SageMakerClient) -> None:
    """Model: the pattern of VersionedArnOrName allows ``name/version`` (inferred)."""
    arn = register(client)
    assert client.describe_model_package(ModelPackageName="churn/1")["ModelPackageArn"] == arn
    for other in ("churn/01", f"{arn}/1", arn.replace(":model-package/churn/1", ":model-package/churn/01")):
        assert refusal(client.describe_model_package, ModelPackageName=other)[0] == "ValidationException"


def test_accounts_and_regions_are_apart(server: Server, client: SageMakerClient) -> None:
    """Model registries are regional: the region is in every ARN."""
    arn = register(client)
    elsewhere = server.client(region="eu-west-1")
    assert elsewhere.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert refusal(elsewhere.describe_model_package, ModelPackageName=arn)[0] == "ValidationException"
    elsewhere.create_model_package_group(ModelPackageGroupName="churn")
    assert register(elsewhere) == f"arn:aws:sagemaker:eu-west-1:{SPOKE}:model-package/churn/1"


def test_a_group_is_described_by_name_and_by_arn(client: SageMakerClient) -> None:
    """Model, DescribeModelPackageGroup: ArnOrName in, CreatedBy and status out."""
    client.create_model_package_group(ModelPackageGroupName="g", ModelPackageGroupDescription="all of them")
    by_name = client.describe_model_package_group(ModelPackageGroupName="g")
    arn = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package-group/g"
    by_arn = client.describe_model_package_group(ModelPackageGroupName=arn)
    assert by_name["ModelPackageGroupArn"] == arn
    assert by_name["ModelPackageGroupDescription"] == "all of them"
    assert by_name["ModelPackageGroupStatus"] == "Completed"
    assert by_name["CreatedBy"]["IamIdentity"]["Arn"].endswith("/anna")
    assert by_arn["CreationTime"] == by_name["CreationTime"]


def test_a_deleted_package_is_gone(client: SageMakerClient) -> None:
    """Model, DeleteModelPackage; that its ClientToken may then register again is inferred."""
    arn = register(client, ClientToken="once")
    client.delete_model_package(ModelPackageName=arn)
    assert refusal(client.describe_model_package, ModelPackageName=arn)[0] == "ValidationException"
    assert register(client, ClientToken="once").endswith("/2")


def test_only_an_empty_group_is_deleted(client: SageMakerClient) -> None:
    """DG model-registry-delete-model-group; the code is the one error that the model has for it (inferred)."""
    arn = register(client)
    assert refusal(client.delete_model_package_group, ModelPackageGroupName="churn")[0] == "ConflictException"
    client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName="churn")
    gone = refusal(client.describe_model_package_group, ModelPackageGroupName="churn")
    assert gone[0] == "ValidationException"


def test_batch_describe_answers_summaries_and_errors(client: SageMakerClient) -> None:
    """Model, BatchDescribeModelPackage: a map of summaries and a map of errors; the codes are inferred."""
    arn = register(client, **FULL)
    missing = arn.removesuffix("1") + "9"
    answer = client.batch_describe_model_package(ModelPackageArnList=[arn, missing])
    summary = answer["ModelPackageSummaries"][arn]
    assert summary["ModelPackageVersion"] == 1
    assert summary["InferenceSpecification"] == FULL["InferenceSpecification"]
    assert "ModelMetrics" not in summary
    assert answer["BatchDescribeModelPackageErrorMap"][missing]["ErrorCode"] == "ValidationException"
