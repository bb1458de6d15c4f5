"""Another account reaches into the hub: a consumer, a stranger, or the administrator of a spoke.

Each is administrator of the own account, so that only the hub's own policies are in the way. The assets: the
mirrors, and the hub's queues, functions, executions and roles. What holds: a consumer may read mirrors, and nothing
else; the others may do nothing at all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.accounts import role_arn
from local.landscape import BREAK_GLASS
from replicator.identifiers import ImageReference, S3Uri
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B
from tests.integration.data_scientist import DataScientist
from tests.security.conftest import CONSUMER, SHARED, STRANGER
from tests.security.refusals import DENIED, assert_denied, code_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.landscape import Landscape
    from tests.integration.operator_of_hub import Hub

ACTORS = {"consumer": CONSUMER, "stranger": STRANGER, "spoke": SPOKE_B}


@dataclass(frozen=True)
class Target:
    """The hub, and one mirror in it with its artifact and its image."""

    hub: Hub
    group: str
    mirror: str
    artifact: S3Uri
    image: ImageReference
    provenance: S3Uri

    @property
    def repository(self) -> dict[str, str]:
        """Names the mirrored image's repository in a call."""
        return {"registryId": HUB, "repositoryName": self.image.repository}

    def name(self, service: str, resource: str) -> str:
        """Give the ARN of something of the hub's."""
        return f"arn:aws:{service}:{self.hub.aws.region}:{HUB}:{resource}"


@pytest.fixture(scope="module")
def target(deployment: Landscape, shared_hub: Hub) -> Target:
    spoke = DataScientist(deployment.aws, SPOKE_A, f"{SHARED}-model")
    spoke.push()
    arn = spoke.register({"Image": spoke.image, "ModelDataUrl": spoke.put("model.tar.gz")})
    spoke.approve(arn)
    mirror = shared_hub.mirror(arn)
    (container,) = mirror["InferenceSpecification"]["Containers"]
    return Target(
        hub=shared_hub,
        group=mirror["ModelPackageGroupName"],
        mirror=mirror["ModelPackageArn"],
        artifact=S3Uri.parse(container["ModelDataUrl"]),
        image=ImageReference.parse(container["Image"]),
        provenance=S3Uri.parse(mirror["CustomerMetadataProperties"]["replicator:provenance"]),
    )


type Attempt = tuple[str, Callable[[Any, Target], Any]]

READS: dict[str, Attempt] = {
    "an artifact": ("s3", lambda s3, t: s3.get_object(Bucket=t.artifact.bucket, Key=t.artifact.key)),
    "its provenance": ("s3", lambda s3, t: s3.get_object(Bucket=t.provenance.bucket, Key=t.provenance.key)),
    "the list of artifacts": (
        "s3", lambda s3, t: s3.list_objects_v2(Bucket=t.artifact.bucket, Prefix="models/"),
    ),
    "the mirror": ("sagemaker", lambda each, t: each.describe_model_package(ModelPackageName=t.mirror)),
    "the image": (
        "ecr",
        lambda ecr, t: ecr.batch_get_image(**t.repository, imageIds=[{"imageDigest": t.image.digest}]),
    ),
}  # fmt: skip
"""What a consumer is there for."""

FORBIDDEN: dict[str, Attempt] = {
    # Bytes
    "overwrite an artifact": (
        "s3", lambda s3, t: s3.put_object(Bucket=t.artifact.bucket, Key=t.artifact.key, Body=b"x"),
    ),
    "add an artifact": (
        "s3", lambda s3, t: s3.put_object(Bucket=t.artifact.bucket, Key=f"models/{CONSUMER}/x", Body=b"x"),
    ),
    "begin an upload": (
        "s3", lambda s3, t: s3.create_multipart_upload(Bucket=t.artifact.bucket, Key=t.artifact.key),
    ),
    "delete an artifact": (
        "s3", lambda s3, t: s3.delete_object(Bucket=t.artifact.bucket, Key=t.artifact.key),
    ),
    "write provenance": (
        "s3", lambda s3, t: s3.put_object(Bucket=t.provenance.bucket, Key=t.provenance.key, Body=b"{}"),
    ),
    "read what is no mirror": ("s3", lambda s3, t: s3.get_object(Bucket=t.artifact.bucket, Key="notes.txt")),
    "list what is no mirror": ("s3", lambda s3, t: s3.list_objects_v2(Bucket=t.artifact.bucket)),
    "list provenance": (
        "s3", lambda s3, t: s3.list_objects_v2(Bucket=t.provenance.bucket, Prefix="provenance/"),
    ),
    "open the bucket": (
        "s3",
        lambda s3, t: s3.put_bucket_policy(
            Bucket=t.artifact.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []})
        ),
    ),
    # The registry
    "approve a mirror": (
        "sagemaker",
        lambda each, t: each.update_model_package(ModelPackageArn=t.mirror, ModelApprovalStatus="Approved"),
    ),
    "delete a mirror": ("sagemaker", lambda each, t: each.delete_model_package(ModelPackageName=t.mirror)),
    "plant a package": (
        "sagemaker",
        lambda each, t: each.create_model_package(
            ModelPackageGroupName=t.name("sagemaker", f"model-package-group/{t.group}"),
            ModelApprovalStatus="Approved",
        ),
    ),
    "open a group": (
        "sagemaker",
        lambda each, t: each.put_model_package_group_policy(
            ModelPackageGroupName=t.name("sagemaker", f"model-package-group/{t.group}"), ResourcePolicy="{}"
        ),
    ),
    # Images
    "push an image": (
        "ecr", lambda ecr, t: ecr.put_image(**t.repository, imageManifest="{}", imageTag="1"),
    ),
    "delete an image": (
        "ecr",
        lambda ecr, t: ecr.batch_delete_image(**t.repository, imageIds=[{"imageDigest": t.image.digest}]),
    ),
    "send a layer": ("ecr", lambda ecr, t: ecr.initiate_layer_upload(**t.repository)),
    "open a repository": (
        "ecr", lambda ecr, t: ecr.set_repository_policy(**t.repository, policyText="{}"),
    ),
    # What runs
    "send to the intake queue": (
        "sqs", lambda sqs, t: sqs.send_message(QueueUrl=t.hub.stack.resources["IntakeQueue"], MessageBody="x"),
    ),
    "send to the dead-letter queue": (
        "sqs",
        lambda sqs, t: sqs.send_message(QueueUrl=t.hub.stack.resources["DeadLetterQueue"], MessageBody="x"),
    ),
    "read dead letters": (
        "sqs", lambda sqs, t: sqs.receive_message(QueueUrl=t.hub.stack.resources["DeadLetterQueue"]),
    ),
    "start an execution": (
        "stepfunctions",
        lambda states, t: states.start_execution(stateMachineArn=t.hub.stack.outputs["StateMachineArn"]),
    ),
    "invoke register": (
        "lambda", lambda each, t: each.invoke(FunctionName=t.name("lambda", f"function:{SHARED}-register")),
    ),
    "invoke redrive": (
        "lambda", lambda each, t: each.invoke(FunctionName=t.name("lambda", f"function:{SHARED}-redrive")),
    ),
    "speak for the replicator": (
        "events",
        lambda events, t: events.put_events(
            Entries=[
                {
                    "Source": "model-registry-replicator",
                    "DetailType": "Model Replication State Change",
                    "Detail": "{}",
                    "EventBusName": t.hub.stack.outputs["BusArn"],
                }
            ]
        ),
    ),
    # Roles. Of keys: tests/infra/test_resources.py, because moto keeps the keys of each account apart.
    "take the copy role": (
        "sts",
        lambda sts, t: sts.assume_role(
            RoleArn=role_arn(HUB, f"{SHARED}-{t.hub.aws.region}-s3-copy"),
            RoleSessionName="attack",
            Tags=[{"Key": "spoke", "Value": SPOKE_A}],
        ),
    ),
    "take register's role": (
        "sts",
        lambda sts, t: sts.assume_role(
            RoleArn=role_arn(HUB, f"{SHARED}-{t.hub.aws.region}-register"), RoleSessionName="attack"
        ),
    ),
    "take a spoke's read role": (
        "sts",
        lambda sts, t: sts.assume_role(
            RoleArn=role_arn(SPOKE_A, f"{SHARED}-{t.hub.aws.region}-read"),
            RoleSessionName="attack",
            Tags=[{"Key": "spoke", "Value": SPOKE_A}],
        ),
    ),
}  # fmt: skip
"""What no other account may do."""


@pytest.mark.parametrize("what", FORBIDDEN)
@pytest.mark.parametrize("actor", ACTORS)
def test_no_other_account_may(target: Target, actor: str, what: str) -> None:
    service, call = FORBIDDEN[what]
    client = target.hub.aws.client(service, ACTORS[actor])
    assert_denied(lambda: call(client, target))


@pytest.mark.parametrize("what", READS)
@pytest.mark.parametrize("actor", ["stranger", "spoke"])
def test_only_a_consumer_reads_mirrors(target: Target, actor: str, what: str) -> None:
    service, call = READS[what]
    client = target.hub.aws.client(service, ACTORS[actor])
    assert_denied(lambda: call(client, target))


@pytest.mark.parametrize("what", READS)
def test_a_consumer_reads_mirrors(target: Target, what: str) -> None:
    service, call = READS[what]
    client = target.hub.aws.client(service, CONSUMER)
    assert code_of(lambda: call(client, target)) is None


HARMLESS = [
    what
    for what in FORBIDDEN
    if what.startswith(("add ", "read what", "list ", "begin ", "plant ", "push ", "send a"))
]


@pytest.mark.parametrize("what", HARMLESS)
def test_the_administrator_of_the_hub_may(target: Target, what: str) -> None:
    """So that a denial above is not that of a call that no caller could make. What mirrors name, one role may write."""
    service, call = FORBIDDEN[what]
    assert code_of(lambda: call(target.hub.client(service, BREAK_GLASS), target)) not in DENIED
