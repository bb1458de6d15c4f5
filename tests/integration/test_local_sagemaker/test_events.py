"""The SageMaker Model Package State Change event.

Source of all of it: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html,
section "model package state change" (DG below); what goes beyond it says so.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.test_local_sagemaker.conftest import (
    REGION,
    SPOKE,
    Clock,
    refusal,
    register,
    specification,
)
from tests.integration.test_local_sagemaker.members import FULL

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

    from tests.integration.test_local_sagemaker.conftest import Server, Serving

DOCUMENTED = {
    "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "CreationTime", "InferenceSpecification",
    "ModelPackageStatus", "ModelPackageStatusDetails", "CertifyForMarketplace", "ModelApprovalStatus",
    "MetadataProperties", "ModelMetrics", "ModelLifeCycle", "UpdatedModelPackageFields", "LastModifiedTime",
}  # fmt: skip


def test_a_registration_sends_an_event(server: Server, client: SageMakerClient) -> None:
    """DG: envelope with the package's ARN as the one resource, from aws.sagemaker."""
    arn = register(client)
    [(account, region, source, detail_type, detail, resources)] = server.events
    assert (account, region, source) == (SPOKE, REGION, "aws.sagemaker")
    assert detail_type == "SageMaker Model Package State Change"
    assert resources == [arn]
    assert detail["ModelPackageArn"] == arn
    assert detail["ModelPackageVersion"] == 1
    assert "UpdatedModelPackageFields" not in detail
    json.dumps(detail)


def test_the_detail_has_the_documented_members_and_no_other(server: Server, client: SageMakerClient) -> None:
    """DG, sample: no description, card, baselines, metadata properties, creator, additional specifications."""
    arn = register(client, **FULL)
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    detail = server.details()[-1]
    assert set(detail) == DOCUMENTED
    container = FULL["InferenceSpecification"]["Containers"][0]
    assert detail["InferenceSpecification"] == {
        "Containers": [{"Image": container["Image"], "ImageDigest": container["ImageDigest"]}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    assert detail["ModelMetrics"] == FULL["ModelMetrics"]
    assert detail["ModelApprovalStatus"] == "Rejected"


def test_times_are_iso_seconds(serving: Serving) -> None:
    """DG, sample: "2021-02-24T17:00:14Z"; LastModifiedTime is there from the start."""
    clock = Clock()
    server = serving.start(clock=clock)
    client = server.client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    arn = register(client)
    clock.tick(61)
    client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    first, second = server.details()
    assert (first["CreationTime"], first["LastModifiedTime"]) == (
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00Z",
    )
    assert (second["CreationTime"], second["LastModifiedTime"]) == (
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:01:01Z",
    )


CARD = {"ModelCardContent": "{}", "ModelCardStatus": "Draft"}


@pytest.mark.parametrize(
    ("update", "fields"),
    [
        ({"ModelApprovalStatus": "Approved"}, ["ModelApprovalStatus"]),
        ({"ApprovalDescription": "good"}, ["ApprovalDescription"]),
        ({"SourceUri": "s3://models/"}, ["sourceUri"]),
        ({"ModelLifeCycle": {"Stage": "s", "StageStatus": "t"}}, ["ModelLifeCycle"]),
        ({"InferenceSpecification": specification()}, ["InferenceSpecification"]),
        (
            {"CustomerMetadataProperties": {"a": "1"}, "CustomerMetadataPropertiesToRemove": ["b"]},
            ["CustomerMetadataProperties"],
        ),
        ({"ModelCard": CARD}, None),
        ({"ModelPackageRegistrationType": "Logged"}, None),
    ],
)
def test_updated_fields_have_their_documented_names(
    server: Server, client: SageMakerClient, update: dict[str, Any], fields: list[str] | None
) -> None:
    """DG: the values of UpdatedModelPackageFields; that other members are not in it is inferred."""
    arn = register(client)
    client.update_model_package(ModelPackageArn=arn, **update)
    assert len(server.events) == 2
    assert server.details()[-1].get("UpdatedModelPackageFields") == fields


def test_what_changes_nothing_sends_no_event(server: Server, client: SageMakerClient) -> None:
    """Inferred: neither a replay, nor a refusal, nor an update without members, nor a deletion sends one."""
    arn = register(client, ClientToken="once")
    register(client, ClientToken="once")
    client.update_model_package(ModelPackageArn=arn)
    refusal(client.create_model_package, ModelPackageGroupName="none")
    client.delete_model_package(ModelPackageName=arn)
    assert len(server.events) == 1


def test_events_can_be_sent_more_than_once(serving: Serving) -> None:
    """DG: "may send multiple events to EventBridge for each state change"."""
    server = serving.start(duplicate_events=2)
    client = server.client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    register(client)
    assert len(server.events) == 3
    assert server.events[0] == server.events[2]


def test_completion_is_announced_when_it_comes_later(serving: Serving) -> None:
    """Inferred: a change of ModelPackageStatus is a state change."""
    server = serving.start(completion_delay=0.2)
    client = server.client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    register(client)
    deadline = time.monotonic() + 10
    while len(server.events) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [detail["ModelPackageStatus"] for detail in server.details()] == ["Pending", "Completed"]


def test_a_failing_bus_does_not_undo_a_registration(serving: Serving) -> None:
    """Events are sent beside the call (inferred)."""

    def broken(*event: Any) -> None:
        raise RuntimeError("no bus")

    client = serving.start(hooks={"emit": broken}).client()
    client.create_model_package_group(ModelPackageGroupName="churn")
    assert register(client).endswith("/1")


def test_a_package_outside_a_group_sends_its_own_members(server: Server, client: SageMakerClient) -> None:
    """EventBridge schema registry, aws.sagemaker@SageMakerModelPackageStateChange: name, description, tags.

    https://docs.aws.amazon.com/cdk/api/v2/docs/@aws-cdk_mixins-preview.aws_sagemaker.events.SageMakerModelPackageStateChange.html
    """
    tags: Any = [{"Key": "a", "Value": "b"}]
    client.create_model_package(ModelPackageName="product", ModelPackageDescription="for sale", Tags=tags)
    [detail] = server.details()
    assert (detail["ModelPackageName"], detail["ModelPackageDescription"]) == ("product", "for sale")
    assert detail["Tags"] == tags
    assert "ModelPackageGroupName" not in detail


def test_many_registrations_at_once_get_a_version_each(server: Server, client: SageMakerClient) -> None:
    """DG model-registry-models: versions are counted; here under 16 threads, half with the same ClientToken."""
    arns: list[str] = []

    def run(n: int) -> None:
        own = {"ClientToken": "shared"} if n % 2 else {}
        arns.append(register(client, **own))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(arns)) == 9
    assert {int(arn.rpartition("/")[2]) for arn in arns} == set(range(1, 10))
    assert len(server.events) == 9
