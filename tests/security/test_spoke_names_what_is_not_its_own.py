"""A spoke names what belongs to others, so that the hub fetches it with rights that the spoke does not have.

The assets: what lies in the hub, in another spoke and in a stranger's account, of which each lets the hub in. What
holds: every location is parsed by one parser, every request names the owner that it expects, and IAM ties each session
to one spoke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.landscape import BREAK_GLASS
from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.security.conftest import AWS_IMAGE, STRANGER
from tests.security.members import MEMBERS, register, unchecked

if TYPE_CHECKING:
    from local.landscape import Landscape

NOT_OWN = {"SOURCE_OWNER_MISMATCH", "SOURCE_ACCESS_DENIED"}
SECRET = b"of somebody else"


def theirs(hub: Hub, owner: str) -> str:
    """Put something secret into a bucket of another owner, which the hub may read; give its location."""
    if owner == "hub":
        bucket, name = hub.stack.resources["HubBucket"], f"models/{SPOKE_B}/secret/1/model.tar.gz"
        hub.client("s3", BREAK_GLASS).put_object(Bucket=bucket, Key=name, Body=SECRET)
        return f"s3://{bucket}/{name}"
    account = {"another spoke": SPOKE_B, "stranger": STRANGER}[owner]
    other = DataScientist(hub.aws, account, f"secret-of-{account}")
    location = other.share("secret/model.tar.gz", HUB)
    other.client("s3").put_object(Bucket=location.split("/")[2], Key="secret/model.tar.gz", Body=SECRET)
    return location


@pytest.fixture(scope="module", params=["hub", "another spoke", "stranger"])
def registered(deployment: Landscape, request: pytest.FixtureRequest) -> dict[str, str]:
    """Approve one version for each member that names such a location, all at once; give their ARNs by member."""
    hub = Hub(deployment.aws, deployment.hub)
    location = theirs(hub, request.param)
    found = {}
    for number, (name, member) in enumerate(MEMBERS.items()):
        spoke = DataScientist(deployment.aws, SPOKE_A, f"reach-{request.param.replace(' ', '-')}-{number}")
        uri = location.removesuffix("model.tar.gz") if member.kind == "prefix" else location
        with unchecked():
            found[name] = register(spoke, member, uri)
        spoke.approve(found[name])
    return found


@pytest.mark.parametrize("name", MEMBERS)
def test_a_location_of_another_owner_is_not_read(hub: Hub, registered: dict[str, str], name: str) -> None:
    arn = registered[name]
    entry = hub.settled(arn)
    assert entry["state"] == "FAILED"
    assert entry["code"] in NOT_OWN
    assert "hub_arn" not in entry
    s3, bucket = hub.client("s3"), hub.stack.resources["HubBucket"]
    group = arn.split("/")[-2]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"models/{SPOKE_A}/{group}/").get("Contents", [])
    bodies = [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed]
    assert SECRET not in bodies


IMAGES = {
    "another spoke's repository": f"{SPOKE_B}.dkr.ecr.{{region}}.amazonaws.com/secret:1",
    "a mirror in the hub": f"{HUB}.dkr.ecr.{{region}}.amazonaws.com/registry-replicator/{SPOKE_B}/secret:1",
    "a stranger's repository": f"{STRANGER}.dkr.ecr.{{region}}.amazonaws.com/secret:1",
    "a public registry": "public.ecr.aws/secret/secret:1",
    "Docker Hub": "secret:1",
    "another host": f"{SPOKE_A}.dkr.ecr.{{region}}.amazonaws.com.example.com/secret:1",
    "a host with a port": f"{SPOKE_A}.dkr.ecr.{{region}}.amazonaws.com:8443/secret:1",
    "another partition": f"{SPOKE_A}.dkr.ecr.{{region}}.amazonaws.com.cn/secret:1",
    "another Region": f"{SPOKE_A}.dkr.ecr.us-east-1.amazonaws.com/secret:1",
    "a path that climbs": f"{SPOKE_A}.dkr.ecr.{{region}}.amazonaws.com/../{SPOKE_B}/secret:1",
    "a host in front": f"example.com/{SPOKE_A}.dkr.ecr.{{region}}.amazonaws.com/secret:1",
    "digits of another script": "\u0661" * 12 + ".dkr.ecr.{region}.amazonaws.com/secret:1",
}


@pytest.fixture(scope="module")
def with_images(deployment: Landscape) -> dict[str, str]:
    """Approve one version for each image, all at once; give their ARNs."""
    found = {}
    for number, (name, image) in enumerate(IMAGES.items()):
        spoke = DataScientist(deployment.aws, SPOKE_A, f"reach-image-{number}")
        container = {
            "Image": image.format(region=deployment.aws.region),
            "ModelDataUrl": spoke.put("model.tar.gz"),
        }
        more = [{"Name": "more", "Containers": [container]}]
        own = {"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")}
        with unchecked():
            # Every second one is hidden in an additional specification.
            found[name] = (
                spoke.register(own, AdditionalInferenceSpecifications=more)
                if number % 2
                else spoke.register(container)
            )
        spoke.approve(found[name])
    return found


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_another_owner_is_not_read(hub: Hub, with_images: dict[str, str], name: str) -> None:
    entry = hub.settled(with_images[name])
    assert entry["state"] == "FAILED"
    assert entry["code"] in {"FOREIGN_REGISTRY", "FOREIGN_REGION", "INVALID_LOCATION"}
    assert "hub_arn" not in entry
