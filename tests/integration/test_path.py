"""The whole path: approved in a spoke, mirrored in the hub; through the shipped templates and handlers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from replicator.aws.ledger import Ledger
from replicator.aws.sessions import Reads, Sessions
from replicator.errors import RetryableError
from replicator.identifiers import ImageReference, version_key
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B, Landscape, wait_for
from tests.integration.data_scientist import DataScientist, deny_everybody
from tests.integration.operator_of_hub import Hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.sagemaker import ArnSpelling

AWS_IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture
def hub(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture
def scientist(deployment: Landscape, fresh: Callable[[str], str], spelling: ArnSpelling) -> DataScientist:
    return DataScientist(deployment.aws, SPOKE_A, fresh("Model"))


def test_an_approved_version_is_mirrored_byte_for_byte(hub: Hub, scientist: DataScientist) -> None:
    image, model = scientist.push(), scientist.put("model.tar.gz")
    arn = scientist.register(
        {"Image": scientist.image, "ModelDataUrl": model}, CustomerMetadataProperties={"auc": "0.97"}
    )
    scientist.approve(arn, ApprovalDescription="good enough")

    mirror = hub.mirror(arn)
    assert mirror["ModelPackageGroupName"] == f"{SPOKE_A}-{scientist.group}"
    assert mirror["ModelApprovalStatus"] == "PendingManualApproval"
    assert mirror["ApprovalDescription"] == "good enough"
    assert mirror["ModelPackageDescription"] == f"A version of {scientist.group}"
    (container,) = mirror["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith(
        f"s3://registry-replicator-{HUB}-{hub.aws.region}/models/{SPOKE_A}/{scientist.group}/1/"
    )
    assert hub.read(container["ModelDataUrl"]) == scientist.artifacts[model]
    reference = ImageReference.parse(container["Image"])
    assert (reference.account, reference.digest) == (HUB, image.digest)
    (pulled,) = hub.aws.client("ecr", HUB).batch_get_image(
        repositoryName=reference.repository, imageIds=[{"imageDigest": image.digest}]
    )["images"]
    assert pulled["imageManifest"].encode() == image.manifest.data

    metadata = mirror["CustomerMetadataProperties"]
    assert metadata["auc"] == "0.97"
    assert metadata["replicator:source-arn"] == arn
    assert metadata["replicator:image-1"] == image.digest
    provenance = json.loads(hub.read(metadata["replicator:provenance"]))
    assert provenance["hubModelPackageArn"] == mirror["ModelPackageArn"]
    assert {copy["kind"] for copy in provenance["copies"]} == {"artifact", "image"}


def test_the_same_event_many_times_and_late_makes_one_mirror(hub: Hub, scientist: DataScientist) -> None:
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.approve(arn)
    stale = json.dumps(scientist.event(arn))
    hub.send(*[stale] * 5)
    first = hub.mirror(arn)
    scientist.reject(arn)
    wait_for(lambda: hub.mirror(arn)["ModelApprovalStatus"] == "Rejected", what="the rejection")
    wanted = hub.settled(arn)["wanted"]
    # An old "Approved" comes last. The mirror has seen it, so it starts nothing.
    hub.send(*[stale] * 3)
    # One that claims to be new starts a run, which looks at the source and not at what the event says.
    fresh = scientist.event(arn, time=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    hub.send(json.dumps(fresh))
    wait_for(lambda: hub.entry(arn)["wanted"] != wanted, what="the new event")
    assert int(hub.settled(arn)["wanted"]) == int(wanted) + 1
    assert hub.mirror(arn)["ModelApprovalStatus"] == "Rejected"
    assert hub.mirrors(first["ModelPackageGroupName"]) == [first["ModelPackageArn"]]


def test_two_containers_and_an_image_that_aws_owns(hub: Hub, scientist: DataScientist) -> None:
    image = scientist.push()
    one, two = scientist.put("pre/model.tar.gz"), scientist.put("main/model.tar.gz")
    arn = scientist.register(
        {"Image": AWS_IMAGE, "ModelDataUrl": one, "ContainerHostname": "preprocess"},
        {"Image": scientist.image, "ModelDataUrl": two, "Environment": {"SAGEMAKER_SUBMIT_DIRECTORY": one}},
    )
    scientist.approve(arn)
    first, second = hub.mirror(arn)["InferenceSpecification"]["Containers"]
    recorded = scientist.describe(arn)["InferenceSpecification"]["Containers"][0]["ImageDigest"]
    assert first["Image"] == f"{AWS_IMAGE.rpartition(':')[0]}@{recorded}"
    assert second["Image"].endswith(f"@{image.digest}")
    assert hub.read(first["ModelDataUrl"]) == scientist.artifacts[one]
    assert hub.read(second["ModelDataUrl"]) == scientist.artifacts[two]
    assert second["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] == first["ModelDataUrl"]


def test_a_missing_artifact_is_a_dead_letter_until_it_is_there(hub: Hub, scientist: DataScientist) -> None:
    location = scientist.put("model.tar.gz")
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    scientist.remove("model.tar.gz")
    scientist.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "SOURCE_OBJECT_MISSING"
    assert location in letter["reason"]
    entry = hub.settled(arn)
    assert (entry["state"], entry["code"]) == ("FAILED", "SOURCE_OBJECT_MISSING")

    scientist.bring_back("model.tar.gz")
    assert hub.redrive(source_arn=arn, dry_run=True)["redriven"] == 0
    assert hub.redrive(code="SOURCE_OBJECT_MISSING", source_arn=arn)["redriven"] == 1
    wait_for(lambda: hub.settled(arn)["state"] == "IDLE", what="the redriven run")
    (container,) = hub.mirror(arn)["InferenceSpecification"]["Containers"]
    assert hub.read(container["ModelDataUrl"]) == scientist.artifacts[location]


def test_an_artifact_that_is_written_again_is_not_what_was_registered(
    hub: Hub, scientist: DataScientist
) -> None:
    location = scientist.put("model.tar.gz")
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    later = scientist.describe(arn)["CreationTime"] + timedelta(minutes=1)
    scientist.exchange("model.tar.gz", later)
    scientist.approve(arn)
    message = hub.dead_letter(arn)
    assert message["code"] == "SOURCE_CHANGED"
    assert location in message["reason"]


def test_a_missing_image_is_a_dead_letter(hub: Hub, scientist: DataScientist) -> None:
    scientist.push()
    arn = scientist.register({"Image": scientist.image, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.client("ecr").delete_repository(repositoryName=scientist.repository, force=True)
    scientist.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "SOURCE_IMAGE_MISSING"
    assert scientist.image.partition(":")[0] in letter["reason"]
    assert hub.settled(arn)["state"] == "FAILED"


def test_an_image_of_somebody_else_is_refused(hub: Hub, scientist: DataScientist) -> None:
    other = DataScientist(scientist.aws, SPOKE_B, scientist.group)
    other.push()
    arn = scientist.register({"Image": other.image, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "FOREIGN_REGISTRY"
    assert SPOKE_B in letter["reason"]
    entry = hub.settled(arn)
    assert (entry["state"], entry["code"]) == ("FAILED", "FOREIGN_REGISTRY")


def test_another_spokes_bucket_is_never_read(hub: Hub, scientist: DataScientist) -> None:
    # The other spoke lets this one read, so SageMaker takes the package; the hub still must not follow it.
    victim = DataScientist(scientist.aws, SPOKE_B, scientist.group)
    secret = victim.share("model.tar.gz", with_account=SPOKE_A)
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": secret})
    scientist.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] in {"SOURCE_OWNER_MISMATCH", "SOURCE_ACCESS_DENIED"}
    assert secret in letter["reason"]


def test_a_denied_bucket_says_what_to_allow(hub: Hub, scientist: DataScientist) -> None:
    model = scientist.put("model.tar.gz")
    deny_everybody(scientist, scientist.group)
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": model})
    scientist.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "SOURCE_ACCESS_DENIED"
    assert model in letter["reason"]


def test_a_bad_message_harms_none_of_its_neighbours(hub: Hub, scientist: DataScientist) -> None:
    good = [
        scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put(f"{i}.gz")}) for i in (1, 2)
    ]
    for arn in good:
        scientist.client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Approved"
        )
    forged = scientist.event(good[0], account=SPOKE_B)
    foreign = f"arn:aws:sagemaker:{hub.aws.region}:333333333333:model-package/{scientist.group}/1"
    unknown = scientist.event(foreign, account="333333333333")
    bad = ["not json " + scientist.group, json.dumps(forged), json.dumps(unknown)]
    hub.send(bad[0], json.dumps(scientist.event(good[0])), *bad[1:], json.dumps(scientist.event(good[1])))
    for arn in good:
        assert hub.mirror(arn)
    for body, code in zip(bad, ["MALFORMED_EVENT", "ACCOUNT_MISMATCH", "UNKNOWN_ACCOUNT"], strict=True):
        assert hub.code_of(body) == code


def test_a_persons_decision_in_the_hub_stays_but_for_a_rejection(hub: Hub, scientist: DataScientist) -> None:
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.approve(arn)
    mirror = hub.mirror(arn)
    hub.sagemaker.update_model_package(
        ModelPackageArn=mirror["ModelPackageArn"], ModelApprovalStatus="Approved"
    )
    # The spoke's rule forwards decisions; what else changed comes with the next of them.
    scientist.approve(arn, CustomerMetadataProperties={"note": "checked"})
    wait_for(
        lambda: hub.mirror(arn)["CustomerMetadataProperties"].get("note") == "checked", what="the metadata"
    )
    assert hub.mirror(arn)["ModelApprovalStatus"] == "Approved"
    scientist.reject(arn, ApprovalDescription="biased")
    wait_for(lambda: hub.mirror(arn)["ModelApprovalStatus"] == "Rejected", what="the rejection")
    assert hub.mirror(arn)["ApprovalDescription"] == "biased"


def test_a_throttled_registry_delays_and_loses_nothing(hub: Hub, scientist: DataScientist) -> None:
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")})
    hub.aws.registry.throttle("CreateModelPackage", 7, f"-{hub.aws.region}-register/")
    with hub.in_haste("register"):
        scientist.approve(arn)
        assert hub.mirror(arn)
    assert hub.aws.registry.failing == {}


def test_a_throttled_ledger_and_a_throttled_role_are_tried_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = hub.aws.session(HUB)
    throttled = ClientError(
        {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "AnyOperation"
    )

    def refuse(*_: object, **__: object) -> None:
        raise throttled

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", refuse)
    sessions, ledger = Sessions("aws", hub.aws.region, session), Ledger(session, "any")
    for call in (
        lambda: ledger.get("arn"),
        lambda: ledger.begin_round("arn", 1, datetime.now(UTC)),
        lambda: sessions.spoke(SPOKE_A, "any", Reads.VERSION),
        lambda: sessions.for_spoke(f"arn:aws:iam::{HUB}:role/any", SPOKE_A),
    ):
        with pytest.raises(RetryableError, match="THROTTLED"):
            call()


def test_a_mirror_that_was_deleted_is_made_again_as_the_message_says(
    hub: Hub, scientist: DataScientist
) -> None:
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.approve(arn)
    first = hub.mirror(arn)["ModelPackageArn"]
    hub.sagemaker.delete_model_package(ModelPackageName=first)
    scientist.approve(arn, CustomerMetadataProperties={"note": "again"})
    letter = hub.dead_letter(arn)
    assert letter["code"] == "MIRROR_DELETED"
    members = "hub_arn, fingerprint, locations, written and creating_since"
    assert members in letter["reason"]
    hub.client("dynamodb").update_item(
        TableName="registry-replicator-ledger",
        Key={"source_arn": {"S": version_key(arn)}},
        UpdateExpression=f"REMOVE {members.replace(' and', ',')}",
    )
    assert hub.redrive(source_arn=arn)["redriven"] == 1
    wait_for(lambda: hub.settled(arn)["state"] == "IDLE", what="the redriven run")
    assert hub.mirror(arn)["ModelPackageArn"] != first


def test_the_loss_of_an_item_loses_no_version(hub: Hub, scientist: DataScientist) -> None:
    arn = scientist.register({"Image": AWS_IMAGE, "ModelDataUrl": scientist.put("model.tar.gz")})
    scientist.approve(arn)
    first = hub.mirror(arn)["ModelPackageArn"]
    hub.client("dynamodb").delete_item(
        TableName="registry-replicator-ledger", Key={"source_arn": {"S": version_key(arn)}}
    )
    # The name of the first execution is used up.
    hub.send(json.dumps(scientist.event(arn)))
    assert hub.mirror(arn)["ModelPackageArn"] == first
    assert int(hub.entry(arn)["attempt"]) == 2
