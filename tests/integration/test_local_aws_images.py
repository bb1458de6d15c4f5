"""Images of AWS's own registries in the local AWS: each has a digest, tags move, and a tag may not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.aws_images import AwsImage, AwsImages
from local.lookups import aws_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ONE = "333333333341"
DLC = "763104351884.dkr.ecr.eu-west-1.amazonaws.com"


def register(local_aws: LocalAws, group: str, image: str, **more: Any) -> dict[str, Any]:
    """Register a version and give its only container as Describe shows it."""
    sagemaker = local_aws.client("sagemaker", ONE)
    made = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification={
            "Containers": [{"Image": image, **more}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
    return shown(local_aws, made["ModelPackageArn"])


def shown(local_aws: LocalAws, arn: str) -> dict[str, Any]:
    described = local_aws.client("sagemaker", ONE).describe_model_package(ModelPackageName=arn)
    [container] = described["InferenceSpecification"]["Containers"]
    return {**container, "arn": arn}


@pytest.fixture
def group(local_aws: LocalAws, fresh: Callable[[str], str]) -> str:
    """Make a group."""
    name = fresh("group")
    local_aws.client("sagemaker", ONE).create_model_package_group(ModelPackageGroupName=name)
    return name


def test_an_image_of_aws_has_its_digest(local_aws: LocalAws, group: str) -> None:
    # https://github.com/aws-controllers-k8s/sagemaker-controller, describe_success.json
    image = f"{DLC}/pytorch-inference:2.1.0-cpu-py310"
    first, again = (register(local_aws, group, image) for _ in range(2))
    assert first["ImageDigest"] == again["ImageDigest"]
    assert first["ImageDigest"].startswith("sha256:")
    elsewhere = image.replace("eu-west-1", "us-east-1")
    assert register(local_aws, group, elsewhere)["ImageDigest"] == first["ImageDigest"]
    other = image.replace("2.1.0", "2.2.0")
    assert register(local_aws, group, other)["ImageDigest"] != first["ImageDigest"]
    by_digest = f"{DLC}/pytorch-inference@{first['ImageDigest']}"
    assert register(local_aws, group, by_digest)["ImageDigest"] == first["ImageDigest"]


def test_a_tag_of_aws_that_moves_changes_nothing_that_was_registered(
    local_aws: LocalAws, group: str, fresh: Callable[[str], str]
) -> None:
    image = f"{DLC}/{fresh('inference')}:1.0"
    before = register(local_aws, group, image)

    moved = local_aws.aws_images.move(aws_image(image))

    assert register(local_aws, group, image)["ImageDigest"] == moved != before["ImageDigest"]
    assert shown(local_aws, before["arn"]) == before
    assert local_aws.aws_images.move(aws_image(image)) not in (moved, before["ImageDigest"])


def test_a_tag_of_aws_that_does_not_exist_is_refused(
    local_aws: LocalAws, group: str, fresh: Callable[[str], str]
) -> None:
    removed = f"{DLC}/{fresh('inference')}:1.0"
    local_aws.aws_images.remove(aws_image(removed))
    for image in (removed, f"{DLC}/pytorch-inference:no-such-tag"):
        with pytest.raises(ClientError, match=f'ECR image "{image}" is invalid'):
            register(local_aws, group, image)
    assert register(local_aws, group, f"{DLC}/xgboost:latest")["ImageDigest"]


def test_what_is_no_image_in_amazon_ecr_has_no_place() -> None:
    assert aws_image(f"{DLC}/xgboost") == AwsImage("763104351884", "eu-west-1", "xgboost")
    assert AwsImages().digest(aws_image(f"{DLC}/xgboost"))
    with pytest.raises(ValueError, match=r"python:3\.13 is no image in Amazon ECR"):
        aws_image("docker.io/library/python:3.13")
