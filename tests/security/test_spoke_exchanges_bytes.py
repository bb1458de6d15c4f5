"""The bytes behind an approval are exchanged: after the mirror was made, or between registration and approval.

The asset: what an approved mirror runs. What holds: bytes in the hub are never overwritten, a location is remembered in
one spelling, and what was written after the registration is not what was registered.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from tests.integration.conftest import SPOKE_A, wait_for
from tests.integration.object_times import received_at
from tests.security.conftest import AWS_IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.data_scientist import DataScientist
    from tests.integration.operator_of_hub import Hub

SPELLINGS: list[Callable[[str, str, str], str]] = [
    lambda bucket, key, region: f"https://{bucket}.s3.{region}.amazonaws.com/{key}",
    lambda bucket, key, region: f"https://s3.{region}.amazonaws.com/{bucket}/{key}",
    lambda bucket, key, region: f"https://{bucket}.s3-{region}.amazonaws.com/{key}",
]


def collide(spoke: DataScientist, name: str, body: bytes) -> None:
    """Exchange the bytes of an object and keep its ETag, size and checksum: what a collision would do."""
    found: Any = s3_backends[spoke.account]["aws"].get_object(spoke.bucket, f"{spoke.group}/{name}")
    assert len(found.value) == len(body)
    etag = found.etag
    found.value = body
    found._etag = etag


@pytest.mark.parametrize("spell", SPELLINGS, ids=["virtual host", "path", "dash"])
def test_another_spelling_brings_no_other_bytes_under_an_approved_mirror(
    hub: Hub, spoke: DataScientist, spell: Callable[[str, str, str], str]
) -> None:
    location = spoke.put("model.tar.gz")
    approved = spoke.artifacts[location]
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    spoke.approve(arn)
    (before,) = hub.mirror(arn)["InferenceSpecification"]["Containers"]

    collide(spoke, "model.tar.gz", approved[::-1])
    other = spell(spoke.bucket, f"{spoke.group}/model.tar.gz", spoke.aws.region)
    specification = {
        "Containers": [{"Image": AWS_IMAGE, "ModelDataUrl": other}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    spoke.update(arn, InferenceSpecification=specification, CustomerMetadataProperties={"spelled": "anew"})
    wait_for(
        lambda: hub.mirror(arn).get("CustomerMetadataProperties", {}).get("spelled"),
        seconds=60,
        what="the update",
    )
    (after,) = hub.mirror(arn)["InferenceSpecification"]["Containers"]
    assert after["ModelDataUrl"] == before["ModelDataUrl"]
    assert hub.read(before["ModelDataUrl"]) == approved


@pytest.mark.parametrize("member", ["main", "source", "additional", "prefix"])
def test_bytes_that_came_after_the_registration_are_refused(
    hub: Hub, spoke: DataScientist, member: str
) -> None:
    name = "weights/model.bin" if member == "prefix" else "model.tar.gz"
    location = spoke.put(name)
    source = {"S3Uri": location, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    container: dict[str, Any] = {"Image": AWS_IMAGE}
    more: dict[str, Any] = {}
    match member:
        case "main":
            container["ModelDataUrl"] = location
        case "source":
            container["ModelDataSource"] = {"S3DataSource": source}
        case "prefix":
            prefix = {**source, "S3Uri": location.removesuffix("model.bin"), "S3DataType": "S3Prefix"}
            container["ModelDataSource"] = {"S3DataSource": {**prefix, "CompressionType": "None"}}
        case "additional":
            container["ModelDataUrl"] = spoke.put("registered.tar.gz")
            more["AdditionalInferenceSpecifications"] = [
                {"Name": "more", "Containers": [{"Image": AWS_IMAGE, "ModelDataUrl": location}]}
            ]
    arn = spoke.register(container, **more)
    spoke.exchange(name, spoke.describe(arn)["CreationTime"] + timedelta(minutes=5))
    spoke.approve(arn)
    message = hub.dead_letter(arn)
    assert message["code"] == "SOURCE_CHANGED"
    assert location in message["reason"]
    assert "hub_arn" not in hub.entry(arn)


def test_a_report_that_came_later_is_copied_and_says_so(hub: Hub, spoke: DataScientist) -> None:
    location, report = spoke.put("model.tar.gz"), spoke.put("report.json")
    quality = {"Statistics": {"ContentType": "application/json", "S3Uri": report}}
    arn = spoke.register(
        {"Image": AWS_IMAGE, "ModelDataUrl": location}, ModelMetrics={"ModelQuality": quality}
    )
    spoke.exchange("report.json", spoke.describe(arn)["CreationTime"] + timedelta(minutes=5))
    spoke.approve(arn)
    mirror = hub.mirror(arn)
    copied = mirror["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert hub.read(copied) == spoke.artifacts[report]
    assert mirror["CustomerMetadataProperties"]["replicator:pinned"] == "none"


def test_of_a_bucket_with_versions_the_registered_one_is_mirrored(hub: Hub, spoke: DataScientist) -> None:
    location = spoke.put("model.tar.gz")
    registered = spoke.artifacts[location]
    spoke.client("s3").put_bucket_versioning(
        Bucket=spoke.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    location = spoke.put("model.tar.gz", registered)
    arn = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": location})
    spoke.put("model.tar.gz")
    later = spoke.describe(arn)["CreationTime"] + timedelta(minutes=5)
    received_at(SPOKE_A, spoke.bucket, f"{spoke.group}/model.tar.gz", later)
    spoke.approve(arn)
    (container,) = hub.mirror(arn)["InferenceSpecification"]["Containers"]
    assert hub.read(container["ModelDataUrl"]) == registered
