"""A bug in one function, or an attacker in it, reads from a spoke what another function is there for.

The asset: what the spoke's read role reaches. What holds: each function takes that role for one purpose, and the
policy of its session leaves the actions of that purpose. What does not hold: who can run code with the function's own
credentials can take the role without a policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from replicator.aws.sessions import Reads, Sessions
from tests.integration.conftest import HUB, SPOKE_A, Landscape
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.data_scientist import DataScientist

PREFIX = "registry-replicator-eu-west-1"
FUNCTIONS = {
    Reads.VERSION: "plan",
    Reads.REGISTRY: "reconcile",
    Reads.ARTIFACTS: "copy-artifact",
    Reads.IMAGES: "copy-image",
}


def calls(spoke: DataScientist, arn: str) -> dict[str, tuple[set[Reads], Callable[[Any, Any, Any], Any]]]:
    """Give calls of SageMaker, S3 and ECR by their names, and the purposes that each belongs to."""
    both, one = {Reads.VERSION, Reads.REGISTRY}, {Reads.REGISTRY}
    place = {"Bucket": spoke.bucket, "Key": f"{spoke.group}/model.tar.gz"}
    images = {"repositoryName": spoke.repository, "imageIds": [{"imageTag": "1"}]}
    group = f"{arn.rpartition(':')[0]}:model-package-group/{spoke.group}"
    approval = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}
    return {
        "describe": (both, lambda sm, *_: sm.describe_model_package(ModelPackageName=arn)),
        "tags": (both, lambda sm, *_: sm.list_tags(ResourceArn=group)),
        "list groups": (one, lambda sm, *_: sm.list_model_package_groups()),
        "list versions": (one, lambda sm, *_: sm.list_model_packages(ModelPackageGroupName=spoke.group)),
        "get an object": ({Reads.ARTIFACTS}, lambda _, s3, __: s3.get_object(**place)),
        "list objects": ({Reads.ARTIFACTS}, lambda _, s3, __: s3.list_objects_v2(Bucket=spoke.bucket)),
        "sign in": ({Reads.IMAGES}, lambda *clients: clients[-1].get_authorization_token()),
        "get an image": ({Reads.IMAGES}, lambda *clients: clients[-1].batch_get_image(**images)),
        "put an object": (set(), lambda _, s3, __: s3.put_object(**place, Body=b"")),
        "approve": (set(), lambda sm, *_: sm.update_model_package(**approval)),
    }


@pytest.mark.parametrize("reads", Reads, ids=lambda reads: reads.name.lower())
def test_a_session_in_a_spoke_is_for_one_purpose(
    deployment: Landscape, spoke: DataScientist, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoke.push()
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    own = deployment.aws.session(HUB, f"{PREFIX}-{FUNCTIONS[reads]}")
    for name, value in deployment.aws.environment(HUB).items():
        monkeypatch.setenv(name, value)
    session = Sessions("aws", deployment.aws.region, own).spoke(SPOKE_A, f"/{PREFIX}-read", reads)
    clients = [session.client("sagemaker"), session.client("s3"), session.client("ecr")]
    for name, (purposes, call) in calls(spoke, arn).items():
        if reads in purposes:
            assert call(*clients), name
        else:
            with pytest.raises(ClientError, match=r"AccessDenied|is not authorized"):
                call(*clients)
