"""A spoke moves a tag, deletes what it named, or writes manifests that send the hub elsewhere for layers.

The asset: the image behind an approved mirror. What holds: an image is copied by the digest that SageMaker recorded at
registration, each layer comes from the spoke's own repository, and a manifest that sends readers elsewhere is refused.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from local.images import Blob, OciImage, build_image, build_index, push
from replicator.identifiers import ImageReference
from tests.integration.conftest import HUB, SPOKE_B, wait_for
from tests.integration.data_scientist import DataScientist

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.operator_of_hub import Hub

EVIL = "https://evil.example.com/layer"


def an_image() -> OciImage:
    return build_image({"opt/program/serve": b"#!/bin/sh\n", "weights": os.urandom(20_000)}, layers=2)


def push_to(owner: DataScientist | Hub, image: OciImage, tag: str = "1", repository: str = "") -> None:
    """Push an image into a repository, which is made unless it is there; by default that of a spoke's group."""
    ecr, name = owner.client("ecr"), repository or getattr(owner, "repository", "")
    with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName=name)
    (data,) = ecr.get_authorization_token()["authorizationData"]
    push(image, data["proxyEndpoint"], f"Basic {data['authorizationToken']}", name, tag)


def register(spoke: DataScientist, image: str, member: str = "main") -> str:
    container = {"Image": image, "ModelDataUrl": spoke.put("model.tar.gz")}
    if member == "main":
        return spoke.register(container)
    more = [{"Name": "more", "Containers": [container]}]
    own = {"Image": image, "ModelDataUrl": spoke.put("own.tar.gz")}
    return spoke.register(own, AdditionalInferenceSpecifications=more)


def image_of(package: dict[str, Any], member: str) -> ImageReference:
    """Give the image that a member of a package names."""
    holder = package if member == "main" else package["AdditionalInferenceSpecifications"][0]
    containers = holder["InferenceSpecification"]["Containers"] if member == "main" else holder["Containers"]
    return ImageReference.parse(containers[0]["Image"])


@pytest.mark.parametrize("member", ["main", "additional"])
@pytest.mark.parametrize("named", ["by tag", "by tag and digest", "by digest"])
def test_a_tag_that_moved_before_the_approval_brings_no_other_image(
    hub: Hub, spoke: DataScientist, member: str, named: str
) -> None:
    registered = an_image()
    push_to(spoke, registered)
    repository, digest = spoke.image.rpartition(":")[0], f"@{registered.digest}"
    image = {
        "by tag": spoke.image, "by tag and digest": spoke.image + digest, "by digest": repository + digest,
    }[named]  # fmt: skip
    arn = register(spoke, image, member)
    push_to(spoke, an_image())
    spoke.approve(arn)
    assert image_of(hub.mirror(arn), member).digest == registered.digest


def test_a_tag_that_moved_behind_an_approved_mirror_brings_no_other_image(
    hub: Hub, spoke: DataScientist
) -> None:
    registered = an_image()
    push_to(spoke, registered)
    arn = register(spoke, spoke.image)
    spoke.approve(arn)
    before = hub.mirror(arn)
    push_to(spoke, an_image())
    spoke.update(arn, CustomerMetadataProperties={"moved": "yes"})
    wait_for(
        lambda: hub.mirror(arn).get("CustomerMetadataProperties", {}).get("moved"),
        seconds=60,
        what="the update",
    )
    assert image_of(hub.mirror(arn), "main") == image_of(before, "main")
    assert image_of(before, "main").digest == registered.digest


def test_an_image_that_was_deleted_and_whose_tag_names_another_is_missing(
    hub: Hub, spoke: DataScientist
) -> None:
    registered = an_image()
    push_to(spoke, registered)
    arn = register(spoke, spoke.image)
    spoke.client("ecr").batch_delete_image(
        repositoryName=spoke.repository, imageIds=[{"imageDigest": registered.digest}]
    )
    push_to(spoke, an_image())
    spoke.approve(arn)
    entry = hub.settled(arn)
    assert (entry["state"], entry["code"]) == ("FAILED", "SOURCE_IMAGE_MISSING")


def with_layers(image: OciImage, change: Callable[[dict[str, Any]], None]) -> OciImage:
    """Write another manifest over an image's: each layer is changed."""
    manifest = json.loads(image.manifest.data)
    for layer in manifest["layers"]:
        change(layer)
    return replace(image, manifest=Blob(image.manifest.media_type, json.dumps(manifest).encode()))


def from_urls(layer: dict[str, Any]) -> None:
    layer["urls"] = [EVIL]


def foreign(layer: dict[str, Any]) -> None:
    layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layer["urls"] = [EVIL]


def nondistributable(layer: dict[str, Any]) -> None:
    layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layer["urls"] = [EVIL]


@pytest.mark.parametrize("listed", [False, True], ids=["image", "index"])
@pytest.mark.parametrize("change", [from_urls, foreign, nondistributable], ids=lambda change: change.__name__)
def test_a_layer_from_elsewhere_is_refused(
    hub: Hub, spoke: DataScientist, change: Callable[[dict[str, Any]], None], listed: bool
) -> None:
    image = with_layers(an_image(), change)
    push_to(spoke, build_index([an_image(), image]) if listed else image)
    arn = register(spoke, spoke.image)
    spoke.approve(arn)
    entry = hub.settled(arn)
    assert (entry["state"], entry["code"]) == ("FAILED", "IMAGE_UNSUPPORTED")
    assert "hub_arn" not in entry


@pytest.mark.parametrize("whose", ["another spoke's", "the hub's"])
def test_a_layer_of_somebody_else_is_not_had_by_naming_its_digest(
    hub: Hub, spoke: DataScientist, fresh: Callable[[str], str], whose: str
) -> None:
    """Amazon ECR refuses such a manifest; a registry that took it would have nothing to give."""
    other = DataScientist(hub.aws, SPOKE_B if whose == "another spoke's" else HUB, fresh("private"))
    secret = other.push()
    push_to(spoke, an_image())
    with pytest.raises(RuntimeError, match=r"MANIFEST_BLOB_UNKNOWN|BLOB_UNKNOWN|LAYERS"):
        push_to(spoke, replace(secret, blobs=()), "stolen")


def test_an_image_that_was_planted_in_the_hub_is_not_taken_for_the_copy(
    hub: Hub, spoke: DataScientist
) -> None:
    """By a person in the hub, who makes the repository before the hub does, with an image under the same tag."""
    registered, planted = an_image(), an_image()
    push_to(hub, planted, repository=f"{hub.namespace}/{spoke.account}/{spoke.repository}")
    push_to(spoke, registered)
    arn = register(spoke, spoke.image)
    spoke.approve(arn)
    mirrored = image_of(hub.mirror(arn), "main")
    assert mirrored.digest == registered.digest
    (found,) = hub.client("ecr").batch_get_image(
        repositoryName=mirrored.repository, imageIds=[{"imageDigest": registered.digest}]
    )["images"]
    assert found["imageManifest"].encode() == registered.manifest.data
