"""A spoke names what only looks like AWS's own, so that the hub neither copies nor pins it.

The asset: the bytes that an approved mirror runs. What holds: AWS's buckets and registries are known by whole
names, for the hub's Region alone; everything else is the spoke's own, or refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from replicator.policy import aws_owned_buckets, aws_owned_registries
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub

LIKE_AWSS = [
    "jumpstart-cache-prod-zz",
    "jumpstart-cache-prod-eu-west-1-x",
    "jumpstart-cache-prod-eu-north-1",
    "jumpstart-private-cache-prod-x",
    "sagemaker-sd-models-prod-x",
]


def squat(attacker: DataScientist, account: str, bucket: str) -> str:
    """Make a bucket in an account, which lets the attacker's account read, and put a model into it."""
    s3 = attacker.aws.client("s3", account)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": attacker.aws.region})
    s3.put_object(Bucket=bucket, Key="model.tar.gz", Body=b"weights")
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    return f"s3://{bucket}/model.tar.gz"


@pytest.mark.parametrize("name", LIKE_AWSS)
def test_a_bucket_of_a_stranger_with_such_a_name_is_not_read(
    hub: Hub, spoke: DataScientist, fresh: Callable[[str], str], name: str
) -> None:
    location = squat(spoke, SPOKE_B, f"{name}-{fresh('s')}"[:63])
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    spoke.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] in {"SOURCE_OWNER_MISMATCH", "SOURCE_ACCESS_DENIED"}
    assert location in letter["reason"]
    assert "hub_arn" not in hub.entry(arn)


@pytest.mark.parametrize("name", LIKE_AWSS)
def test_a_bucket_of_the_spokes_own_with_such_a_name_is_copied(
    hub: Hub, spoke: DataScientist, fresh: Callable[[str], str], name: str
) -> None:
    location = squat(spoke, SPOKE_A, f"{name}-{fresh('s')}"[:63])
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    spoke.approve(arn)
    (container,) = hub.mirror(arn)["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith(f"s3://{hub.namespace}-{HUB}-{hub.aws.region}/models/")
    # What lies in the spoke may be exchanged; what was approved is in the hub.
    squatted = spoke.client("s3")
    squatted.put_object(Bucket=location.split("/")[2], Key="model.tar.gz", Body=b"exchanged")
    assert hub.read(container["ModelDataUrl"]) == b"weights"


def test_the_register_role_is_given_no_bucket_that_the_list_does_not_have(hub: Hub) -> None:
    documents = hub.client("iam").get_role_policy(
        RoleName=f"{hub.namespace}-{hub.aws.region}-register", PolicyName="register"
    )["PolicyDocument"]
    document = documents if isinstance(documents, dict) else json.loads(documents)
    resources = [
        resource
        for statement in document["Statement"]
        for resource in (
            statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        )
    ]
    buckets = {resource.split(":::")[1].split("/")[0] for resource in resources if ":s3:::" in resource}
    assert buckets == {
        f"{hub.namespace}-{HUB}-{hub.aws.region}",
        *aws_owned_buckets(hub.aws.region),
    }


def test_an_account_that_is_awss_elsewhere_is_a_strangers_here(hub: Hub, spoke: DataScientist) -> None:
    elsewhere = "257758044811"
    assert elsewhere in aws_owned_registries("us-east-2") - aws_owned_registries(hub.aws.region)
    image = f"{elsewhere}.dkr.ecr.{hub.aws.region}.amazonaws.com/sagemaker-xgboost:1.7-1"
    arn = spoke.register({"Image": image, "ModelDataUrl": spoke.put("model.tar.gz")})
    spoke.approve(arn)
    letter = hub.dead_letter(arn)
    assert letter["code"] == "FOREIGN_REGISTRY"
    assert elsewhere in letter["reason"]
