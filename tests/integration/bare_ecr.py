"""Asks moto's Amazon ECR, with nothing of it replaced, and prints what it answered as JSON.

It is a program of its own because other tests of the same process may have moto replaced. Each function tries what
the attribute of moto that it is named after does; the first is the one that `local.ecr.control` replaces.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.ecr import models

from local.images import build_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ecr import ECRClient

REGION, NAME, OTHER = "eu-west-1", "team/scorer", "444455556666"
WRONG = f"sha256:{'0' * 64}"
IMAGE = build_image({"opt/model": bytes(50_000)}, layers=2)
MANIFEST = IMAGE.manifest.data.decode()


def _layer(ecr: ECRClient, digest: str, data: bytes) -> None:
    session = ecr.initiate_layer_upload(repositoryName=NAME)["uploadId"]
    ecr.upload_layer_part(
        repositoryName=NAME, uploadId=session, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data
    )
    ecr.complete_layer_upload(repositoryName=NAME, uploadId=session, layerDigests=[digest])


def create_repository(ecr: ECRClient) -> list[str]:
    """Make one repository twice at once, both between looking and making."""
    made, together, answers = models.Repository.__init__, threading.Barrier(2), []

    def slowly(*args: Any, **more: Any) -> None:
        together.wait(10)
        made(*args, **more)

    def create() -> None:
        try:
            ecr.create_repository(repositoryName=NAME)
            answers.append("made")
        except (ClientError, threading.BrokenBarrierError) as error:
            answers.append(type(error).__name__)

    models.Repository.__init__ = slowly
    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    models.Repository.__init__ = made
    return answers


def put_image(ecr: ECRClient) -> str:
    """Put a manifest without its layers, under the digest of another."""
    ecr.create_repository(repositoryName=NAME)
    answer = ecr.put_image(repositoryName=NAME, imageManifest=MANIFEST, imageTag="1.0", imageDigest=WRONG)
    return answer["image"]["imageId"]["imageDigest"]


def complete_layer_upload(ecr: ECRClient) -> str:
    """Complete a layer with the digest of another."""
    ecr.create_repository(repositoryName=NAME)
    _layer(ecr, WRONG, b"bytes")
    return "taken"


def get_image_size_in_bytes(ecr: ECRClient) -> str:
    """Compare the size of an image with that of its configuration."""
    ecr.create_repository(repositoryName=NAME)
    for blob in IMAGE.blobs:
        _layer(ecr, blob.digest, blob.data)
    ecr.put_image(repositoryName=NAME, imageManifest=MANIFEST, imageTag="1.0")
    [detail] = ecr.describe_images(repositoryName=NAME)["imageDetails"]
    return "the configuration's" if detail["imageSizeInBytes"] == len(IMAGE.blobs[0].data) else "another"


def get_authorization_token(ecr: ECRClient) -> str:
    """Ask where the registry is."""
    return ecr.get_authorization_token()["authorizationData"][0]["proxyEndpoint"]


def get_download_url_for_layer(ecr: ECRClient) -> str:
    """Ask where a layer is."""
    ecr.create_repository(repositoryName=NAME)
    _layer(ecr, IMAGE.blobs[0].digest, IMAGE.blobs[0].data)
    return ecr.get_download_url_for_layer(repositoryName=NAME, layerDigest=IMAGE.blobs[0].digest)[
        "downloadUrl"
    ]


def ecr_backend(ecr: ECRClient) -> str:
    """Look from another account, which the repository's policy lets in."""
    ecr.create_repository(repositoryName=NAME)
    allow = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "ecr:DescribeImages"}
    ecr.set_repository_policy(
        repositoryName=NAME, policyText=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    sts = boto3.client("sts", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
    role = sts.assume_role(RoleArn=f"arn:aws:iam::{OTHER}:role/other", RoleSessionName="other")
    keys = role["Credentials"]
    other = boto3.client(
        "ecr",
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    own = sts.get_caller_identity()["Account"]
    other.describe_images(registryId=own, repositoryName=NAME)
    return "found"


QUESTIONS: tuple[Callable[[ECRClient], Any], ...] = (
    create_repository,
    put_image,
    complete_layer_upload,
    get_image_size_in_bytes,
    get_authorization_token,
    get_download_url_for_layer,
    ecr_backend,
)


def answers() -> dict[str, Any]:
    """Ask every question in an empty account; a refusal is told by its code."""
    found: dict[str, Any] = {}
    for question in QUESTIONS:
        with mock_aws():
            ecr = boto3.client("ecr", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
            try:
                found[question.__name__] = question(ecr)
            except ClientError as error:
                found[question.__name__] = error.response.get("Error", {}).get("Code")
            except NotImplementedError:
                found[question.__name__] = "not implemented"
    return found


if __name__ == "__main__":
    print(json.dumps(answers()))
