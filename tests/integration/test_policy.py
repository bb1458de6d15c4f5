"""A hub whose operator chose otherwise: aliases, mirrored approvals, groups left out, consumers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.deploy import deploy
from replicator.identifiers import ImageReference, S3Uri
from tests.integration.conftest import ROOT, SPOKE_A, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

OTHER_HUB, CONSUMER, STRANGER = "888888888888", "777777777777", "666666666666"
WITHOUT_STACK = "555555555555"
NAMESPACE = "other-hub"
AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture(scope="module")
def hub(local_aws: LocalAws) -> Hub:
    """A second hub with every choice made, fed by spoke A alone."""
    choices = {
        "Namespace": NAMESPACE,
        "SpokeAccounts": f"{SPOKE_A},{WITHOUT_STACK}",
        "SpokeAliases": f"{SPOKE_A}=research",
        "HubApprovalStatus": "Mirrored",
        "GroupNameTemplate": "{alias}-{group}",
        "ExcludeGroups": "scratch",
        "ExcludeTag": "replicate=no",
        "FollowGroupTags": "team,secret-team",
        "ReplicatedStatuses": "Approved,PendingManualApproval",
        "ConsumerAccounts": CONSUMER,
        "AcceptEulas": "true",
    }
    stack = deploy(local_aws, OTHER_HUB, ROOT / "template.yaml", choices, NAMESPACE)
    assert stack.missing == ()
    every = "Approved,PendingManualApproval,Rejected"
    spoke = {"HubAccount": OTHER_HUB, "Namespace": NAMESPACE, "ForwardedStatuses": every}
    deploy(local_aws, SPOKE_A, ROOT / "spoke.yaml", spoke, NAMESPACE)
    return Hub(local_aws, stack, NAMESPACE)


@pytest.fixture
def scientist(local_aws: LocalAws, fresh: Callable[[str], str]) -> DataScientist:
    return DataScientist(local_aws, SPOKE_A, fresh("model"))


def a_version(scientist: DataScientist, **members: Any) -> str:
    return scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")}, **members)


def test_names_by_alias_and_statuses_as_in_the_spoke(hub: Hub, scientist: DataScientist) -> None:
    # Registered as pending: ReplicatedStatuses has that too, so nothing has to be approved first.
    arn = a_version(scientist)
    mirror = hub.mirror(arn)
    assert mirror["ModelPackageGroupName"] == f"research-{scientist.group}"
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"
    scientist.approve(arn)
    wait_for(lambda: hub.mirror(arn)["ModelApprovalStatus"] == "Approved", what="the approval")
    scientist.update(arn, ModelApprovalStatus="PendingManualApproval")
    wait_for(lambda: hub.mirror(arn)["ModelApprovalStatus"] == "PendingManualApproval", what="its end")


def test_every_later_change_reaches_the_same_mirror(hub: Hub, scientist: DataScientist) -> None:
    arn = a_version(scientist, CustomerMetadataProperties={"a": "1", "b": "1"})
    first = hub.mirror(arn)
    container = {"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("second/model.tar.gz")}
    card = {"ModelCardContent": '{"model_overview": {}}', "ModelCardStatus": "Draft"}
    changes: dict[str, Any] = {
        "CustomerMetadataProperties": {"a": "2", "report": scientist.put("report.json")},
        "CustomerMetadataPropertiesToRemove": ["b"],
        "ModelLifeCycle": {"Stage": "Staging", "StageStatus": "PendingApproval"},
        "ModelCard": card,
        "InferenceSpecification": {"Containers": [container], "SupportedContentTypes": ["text/csv"]},
        "AdditionalInferenceSpecificationsToAdd": [{"Name": "more", "Containers": [container]}],
        "SourceUri": scientist.put("source.txt"),
    }
    for member, value in changes.items():
        scientist.update(arn, **{member: value})
    wait_for(lambda: "SourceUri" in hub.mirror(arn), seconds=60, what="the last change")
    mirror = hub.mirror(arn)
    assert mirror["ModelPackageArn"] == first["ModelPackageArn"]
    metadata = mirror["CustomerMetadataProperties"]
    assert metadata["a"] == "2"
    assert "b" not in metadata
    assert mirror["ModelLifeCycle"]["Stage"] == "Staging"
    assert mirror["ModelCard"] == card
    (one,) = mirror["InferenceSpecification"]["Containers"]
    (more,) = mirror["AdditionalInferenceSpecifications"]
    assert more["Containers"][0]["ModelDataUrl"] == one["ModelDataUrl"] != first
    for there, name in ((one["ModelDataUrl"], "second/model.tar.gz"), (metadata["report"], "report.json")):
        assert hub.read(there) == scientist.artifacts[f"s3://{scientist.bucket}/{scientist.group}/{name}"]
    assert hub.read(mirror["SourceUri"])


def test_groups_that_the_operator_left_out_are_left_out(
    hub: Hub, scientist: DataScientist, fresh: Callable[[str], str], local_aws: LocalAws
) -> None:
    by_name = a_version(DataScientist(local_aws, SPOKE_A, fresh("scratch")))
    tags = [{"Key": "replicate", "Value": "no"}]
    scientist.client("sagemaker").create_model_package_group(ModelPackageGroupName=scientist.group, Tags=tags)
    by_tag = a_version(scientist)
    for arn in (by_name, by_tag):
        entry = hub.settled(arn)
        assert entry["state"] == "IDLE"
        assert "hub_arn" not in entry


def test_only_named_tags_follow_and_none_can_pass_for_the_hubs_own(
    hub: Hub, scientist: DataScientist
) -> None:
    forged = {"replicator:source": "999999999999/forged", "replicator:hub": "another"}
    tags = {"team": "risk", "cost": "1", **forged}
    scientist.client("sagemaker").create_model_package_group(
        ModelPackageGroupName=scientist.group,
        ModelPackageGroupDescription="Churn models",
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    name = hub.mirror(a_version(scientist))["ModelPackageGroupName"]
    group = hub.sagemaker.describe_model_package_group(ModelPackageGroupName=name)
    assert group["ModelPackageGroupDescription"] == "Churn models"
    found = hub.sagemaker.list_tags(ResourceArn=group["ModelPackageGroupArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in found} == {
        "source:team": "risk",
        "replicator:source": f"{SPOKE_A}/{scientist.group}",
        "replicator:hub": hub.namespace,
    }


def test_a_group_of_somebody_else_is_not_written_to(hub: Hub, scientist: DataScientist) -> None:
    hub.sagemaker.create_model_package_group(ModelPackageGroupName=f"research-{scientist.group}")
    letter = hub.dead_letter(a_version(scientist))
    assert letter["code"] == "GROUP_NAME_TAKEN"
    assert hub.mirrors(f"research-{scientist.group}") == []


def test_consumers_read_group_artifact_and_image_and_nobody_else_does(
    hub: Hub, scientist: DataScientist, local_aws: LocalAws
) -> None:
    image = scientist.push()
    arn = scientist.register({"Image": scientist.image, "ModelDataUrl": scientist.put("model.tar.gz")})
    mirror = hub.mirror(arn)
    (container,) = mirror["InferenceSpecification"]["Containers"]
    artifact = S3Uri.parse(container["ModelDataUrl"])
    repository = ImageReference.parse(container["Image"]).repository

    def reads(account: str) -> list[Any]:
        s3, ecr = local_aws.client("s3", account), local_aws.client("ecr", account)
        return [
            local_aws.client("sagemaker", account)
            .describe_model_package(ModelPackageName=mirror["ModelPackageArn"])
            ["ModelPackageVersion"],
            s3.get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"].read(),
            ecr.batch_get_image(
                registryId=OTHER_HUB,
                repositoryName=repository,
                imageIds=[{"imageDigest": image.digest}],
            )["images"][0]["imageManifest"].encode(),
        ]  # fmt: skip

    assert reads(CONSUMER) == [1, hub.read(str(artifact)), image.manifest.data]
    with pytest.raises(ClientError):
        reads(STRANGER)
    with pytest.raises(ClientError, match="AccessDenied"):
        local_aws.client("s3", STRANGER).get_object(Bucket=artifact.bucket, Key=artifact.key)
    with pytest.raises(ClientError, match="AccessDenied"):
        local_aws.client("s3", CONSUMER).put_object(Bucket=artifact.bucket, Key=artifact.key, Body=b"")


def test_a_spoke_without_its_stack_is_a_dead_letter_and_no_endless_run(
    hub: Hub, scientist: DataScientist
) -> None:
    arn = f"arn:aws:sagemaker:{hub.aws.region}:{WITHOUT_STACK}:model-package/{scientist.group}/1"
    hub.send(json.dumps(scientist.event(arn, account=WITHOUT_STACK)))
    letter = hub.dead_letter(arn)
    assert letter["code"] == "SOURCE_ACCESS_DENIED"
    assert "deploy spoke.yaml" in letter["reason"]
    assert hub.settled(arn)["state"] == "FAILED"
