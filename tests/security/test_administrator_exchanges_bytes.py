"""Somebody with every right in the hub's account exchanges the bytes under an approved mirror.

The attacker: an administrator of the hub, or who has got hold of one of its functions' roles. The asset: the artifacts
that approved mirrors name, and their provenance. What holds: the bucket's policy denies everybody to write there but
the role that copies, the one that registers, and a break-glass role that the operator names. What does not hold: an
administrator can change the policy of the bucket, which CloudTrail shows.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.accounts import PERSONA
from local.deploy import deploy
from local.landscape import BREAK_GLASS, ROOT
from tests.integration.conftest import HUB, SPOKE_A, Landscape
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.security.conftest import AWS_IMAGE

PREFIX = "registry-replicator-eu-west-1"
FUNCTIONS = (
    "intake", "plan", "copy-artifact", "copy-image", "ecr-copy", "register", "record-failure", "sweep", "redrive",
    "reconcile",
)  # fmt: skip
READ = {"Bucket": "b", "Key": "k"}
WRITES: dict[str, dict[str, Any]] = {
    "put_object": {"Body": b"other"},
    "copy_object": {"CopySource": READ},
    "create_multipart_upload": {},
    "delete_object": {},
    "put_object_tagging": {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
    "delete_object_tagging": {},
    "put_object_acl": {"ACL": "private"},
}


@pytest.fixture(scope="module")
def mirrored(deployment: Landscape) -> dict[str, str]:
    """Give the artifact of an approved mirror, and its provenance: their keys."""
    hub, spoke = Hub(deployment.aws, deployment.hub), DataScientist(deployment.aws, SPOKE_A, "administered")
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    spoke.approve(arn)
    artifact = hub.mirror(arn)["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    return {
        "models": artifact.partition("/models/")[2],
        "provenance": f"{SPOKE_A}/administered/1.json",
    }


def attempt(deployment: Landscape, role: str, operation: str, key: str) -> None:
    bucket = deployment.hub.resources["HubBucket"]
    arguments = dict(WRITES[operation])
    if "CopySource" in arguments:
        arguments["CopySource"] = {"Bucket": bucket, "Key": key}
    s3 = deployment.aws.client("s3", HUB, role)
    getattr(s3, operation)(Bucket=bucket, Key=key, **arguments)


@pytest.mark.parametrize("folder", ["models", "provenance"])
@pytest.mark.parametrize("operation", WRITES)
def test_an_administrator_does_not_write_what_mirrors_name(
    deployment: Landscape, mirrored: dict[str, str], operation: str, folder: str
) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied.*explicit deny"):
        attempt(deployment, PERSONA, operation, f"{folder}/{mirrored[folder]}")


@pytest.mark.parametrize("role", FUNCTIONS)
@pytest.mark.parametrize("operation", ["put_object", "delete_object"])
def test_no_function_writes_artifacts_itself(
    deployment: Landscape, mirrored: dict[str, str], role: str, operation: str
) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        attempt(deployment, f"{PREFIX}-{role}", operation, f"models/{mirrored['models']}")


@pytest.mark.parametrize("role", [name for name in FUNCTIONS if name != "register"])
def test_only_register_writes_provenance(deployment: Landscape, mirrored: dict[str, str], role: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        attempt(deployment, f"{PREFIX}-{role}", "put_object", f"provenance/{mirrored['provenance']}")


@pytest.mark.parametrize("account", [SPOKE_A, "333333333333"], ids=["a spoke", "a stranger"])
@pytest.mark.parametrize("folder", ["models", "provenance"])
def test_nobody_outside_writes_it(
    deployment: Landscape, mirrored: dict[str, str], account: str, folder: str
) -> None:
    s3, bucket = deployment.aws.client("s3", account), deployment.hub.resources["HubBucket"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key=f"{folder}/{mirrored[folder]}", Body=b"other")


def test_the_break_glass_role_may(deployment: Landscape) -> None:
    for operation in ("put_object", "put_object_tagging", "delete_object"):
        attempt(deployment, BREAK_GLASS, operation, "models/111111111111/administered/1/by-hand")


def test_without_a_break_glass_role_nobody_may(deployment: Landscape) -> None:
    options = {"Namespace": "no-glass", "SpokeAccounts": SPOKE_A}
    stack = deploy(deployment.aws, HUB, ROOT / "template.yaml", options, "no-glass")
    for role in (PERSONA, BREAK_GLASS):
        s3 = deployment.aws.client("s3", HUB, role)
        with pytest.raises(ClientError, match=r"AccessDenied.*explicit deny"):
            s3.put_object(Bucket=stack.resources["HubBucket"], Key="models/x", Body=b"")


def test_what_is_read_stays_readable(deployment: Landscape, mirrored: dict[str, str], hub: Hub) -> None:
    bucket = deployment.hub.resources["HubBucket"]
    body = hub.client("s3").get_object(Bucket=bucket, Key=f"provenance/{mirrored['provenance']}")["Body"]
    assert json.loads(body.read())["hubModelPackageArn"]
