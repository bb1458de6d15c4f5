"""Validation by the service model, the wire protocol, and faults on demand.

"Model" is the installed botocore's service model. The words of a violated constraint are those reported in
https://github.com/aws/amazon-sagemaker-examples/issues/2289 and 4843; those of lengths, counts, enumerations and
missing members follow the same form in the other AWS services built alike.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_local_sagemaker.conftest import (
    HUB,
    REGION,
    SPOKE,
    refusal,
    register,
    specification,
)

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Server

CASES: list[tuple[dict[str, Any], str]] = [
    (
        {"ModelApprovalStatus": "Great"},
        "Value 'Great' at 'modelApprovalStatus' failed to satisfy constraint: Member must satisfy enum value "
        "set: [Approved, Rejected, PendingManualApproval]",
    ),
    (
        {"ModelPackageDescription": "x" * 1025},
        f"Value '{'x' * 1025}' at 'modelPackageDescription' failed to satisfy constraint: Member must have "
        "length less than or equal to 1024",
    ),
    (
        {"ModelPackageDescription": "two\nlines"},
        "Value 'two\nlines' at 'modelPackageDescription' failed to satisfy constraint: Member must satisfy "
        r"regular expression pattern: [\p{L}\p{M}\p{Z}\p{S}\p{N}\p{P}]*",
    ),
    (
        {"InferenceSpecification": specification(ModelDataUrl="models/model.tar.gz")},
        "Value 'models/model.tar.gz' at 'inferenceSpecification.containers.1.member.modelDataUrl' failed to "
        "satisfy constraint: Member must satisfy regular expression pattern: (https|s3)://([^/]+)/?(.*)",
    ),
    (
        {"InferenceSpecification": specification(Image="x" * 256)},
        f"Value '{'x' * 256}' at 'inferenceSpecification.containers.1.member.image' failed to satisfy "
        "constraint: Member must have length less than or equal to 255",
    ),
    (
        {"CustomerMetadataProperties": {"a": "(b)"}},
        "Value '{a=(b)}' at 'customerMetadataProperties' failed to satisfy constraint: Map value must satisfy "
        r"constraint: [Member must satisfy regular expression pattern: ([\p{L}\p{Z}\p{N}_.:\/=+\-@]*)${1,256}]",
    ),
    (
        {"CustomerMetadataProperties": {"k" * 129: "v"}},
        f"Value '{{{'k' * 129}=v}}' at 'customerMetadataProperties' failed to satisfy constraint: Map keys must "
        "satisfy constraint: [Member must have length less than or equal to 128]",
    ),
    (
        {"ModelCard": {"ModelCardContent": "x" * 100_001}},
        "Value at 'modelCard.modelCardContent' failed to satisfy constraint: Member must have length less than "
        "or equal to 100000",
    ),
]


@pytest.mark.parametrize(("members", "sentence"), CASES, ids=[next(iter(case[0])) for case in CASES])
def test_constraints_of_the_model_hold(
    client: SageMakerClient, members: dict[str, Any], sentence: str
) -> None:
    """Model: lengths, patterns and enumerations, none of which botocore checks. Sensitive values are not shown."""
    request = {"ModelPackageGroupName": "churn", "InferenceSpecification": specification()} | members
    answer = refusal(client.create_model_package, **request)
    assert answer == ("ValidationException", f"1 validation error detected: {sentence}")


def test_counts_and_several_errors(client: SageMakerClient) -> None:
    """Model, CustomerMetadataMap: at most 50; the number of errors is in front."""
    many = {f"k{n}": "v" for n in range(51)}
    code, message = refusal(
        client.create_model_package, ModelPackageGroupName="churn",
        CustomerMetadataProperties=many, Task="x", SkipModelValidation="Some",
    )  # fmt: skip
    assert code == "ValidationException"
    assert message.startswith("2 validation errors detected: Value '{k0=v, ")
    assert (
        "Member must have length less than or equal to 50; Value 'Some' at 'skipModelValidation'" in message
    )


def post(
    server: Server, operation: str, body: bytes, *, key: str | None = None
) -> tuple[int, dict[str, Any]]:
    headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    if key:
        scope = f"{key}/20260301/{REGION}/sagemaker/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    request = urllib.request.Request(server.url, data=body, headers=headers)  # noqa: S310 - the local AWS
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - the local AWS
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_missing_required_member_is_named(server: Server, client: SageMakerClient) -> None:
    """Model: required members. boto3 stops these itself, so the request is made by hand."""
    key = server.assume(SPOKE)["AccessKeyId"]
    status, answer = post(server, "UpdateModelPackage", b'{"InferenceSpecification": {}}', key=key)
    assert status == 400
    assert answer == {
        "__type": "ValidationException",
        "message": "2 validation errors detected: "
        "Value null at 'modelPackageArn' failed to satisfy constraint: Member must not be null; "
        "Value null at 'inferenceSpecification.containers' failed to satisfy constraint: Member must not be null",
    }


@pytest.mark.parametrize(
    "body", [b"not json", b"[]", b'{"ModelPackageArn": 1}', b'{"ModelPackageArn": true}']
)
def test_the_wrong_type_is_a_serialization_error(server: Server, body: bytes) -> None:
    """Smithy's AWS JSON protocols: SerializationException; its words are not documented."""
    status, answer = post(server, "UpdateModelPackage", body, key=server.assume(SPOKE)["AccessKeyId"])
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_unknown_members_and_nulls_are_left_out(server: Server, client: SageMakerClient) -> None:
    """Smithy's AWS JSON protocols: unknown members and nulls are ignored; times are epoch seconds on the wire."""
    arn = register(client)
    key = server.assume(SPOKE)["AccessKeyId"]
    body = json.dumps({"ModelPackageName": arn, "IncludedData": None, "Later": 1}).encode()
    status, answer = post(server, "DescribeModelPackage", body, key=key)
    assert status == 200
    assert isinstance(answer["CreationTime"], float)


def test_an_unsigned_request_is_refused(server: Server) -> None:
    """API reference, common errors: MissingAuthenticationToken; its code in JSON services is inferred."""
    status, answer = post(server, "ListModelPackages", b"{}")
    assert (status, answer["__type"]) == (400, "MissingAuthenticationTokenException")


def test_calls_can_be_throttled(server: Server, client: SageMakerClient) -> None:
    """ThrottlingException, "Rate exceeded": aws/sagemaker-python-sdk#645 and #2293."""
    server.registry.throttle("DescribeModelPackage", 2)
    arn = register(client)
    for _ in range(2):
        answer = refusal(client.describe_model_package, ModelPackageName=arn)
        assert answer == ("ThrottlingException", "Rate exceeded")
    assert client.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn
    with pytest.raises(ValueError, match="DescribeEndpoint"):
        server.registry.throttle("DescribeEndpoint")
    server.registry.throttle("DescribeModelPackage", 1, "role/somebody-else")
    assert client.describe_model_package(ModelPackageName=arn)["ModelPackageArn"] == arn
    assert server.registry.failing == {"DescribeModelPackage": 1}


def test_a_failing_hook_is_an_internal_failure(serving: Any) -> None:
    """API reference, common errors: InternalFailure with status 500; nothing is registered."""
    server = serving.start(hooks={"resolve_image": lambda *image: 1 / 0})
    client = server.client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    with pytest.raises(client.exceptions.ClientError) as caught:
        register(client)
    assert caught.value.response["Error"]["Code"] == "InternalFailure"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert client.list_model_packages(ModelPackageGroupName="churn")["ModelPackageSummaryList"] == []


def test_everything_else_goes_on_to_moto(server: Server, client: SageMakerClient) -> None:
    """Other operations, other services, and tags of other resources are moto's."""
    role = f"arn:aws:iam::{SPOKE}:role/x"
    made = client.create_model(
        ModelName="m",
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": "i"},
        Tags=[{"Key": "a", "Value": "b"}],
    )
    assert client.list_tags(ResourceArn=made["ModelArn"])["Tags"] == [{"Key": "a", "Value": "b"}]
    assert [model["ModelName"] for model in client.list_models()["Models"]] == ["m"]
    assert server.client(HUB).list_models()["Models"] == []


def test_a_reset_of_moto_resets_the_registry(server: Server, client: SageMakerClient) -> None:
    """https://docs.getmoto.org/en/latest/docs/server_mode.html: POST /moto-api/reset."""
    request = urllib.request.Request(f"{server.url}/moto-api/reset", method="POST")  # noqa: S310 - the local AWS
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the local AWS
        assert answer.status == 200
    assert server.client().list_model_package_groups()["ModelPackageGroupSummaryList"] == []
