"""What a data scientist does in a spoke account: puts an artifact and an image there, registers, approves."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from local.images import OciImage, build_image, push

if TYPE_CHECKING:
    from local.server import LocalAws

GROUP = "churn"
REPOSITORY = "churn-inference"
TAG = "1"


@dataclass(frozen=True)
class SpokeAccount:
    """One spoke account, with SageMaker's default bucket and a repository."""

    aws: LocalAws
    account: str

    @property
    def bucket(self) -> str:
        return f"sagemaker-{self.aws.region}-{self.account}"

    @property
    def image_uri(self) -> str:
        return f"{self.account}.dkr.ecr.{self.aws.region}.amazonaws.com/{REPOSITORY}:{TAG}"

    def key(self, version: int) -> str:
        return f"{GROUP}/{version}/model.tar.gz"

    def client(self, service: str) -> Any:
        return self.aws.client(service, self.account)

    def prepare(self) -> OciImage:
        """Make bucket, repository, image and group, and give the image."""
        self.client("s3").create_bucket(Bucket=self.bucket)
        self.client("ecr").create_repository(repositoryName=REPOSITORY)
        image = build_image(
            {"opt/program/serve": b"#!/bin/sh\n", "opt/program/weights": os.urandom(40_000)}, layers=2
        )
        push(image, *registry(self.client("ecr")), REPOSITORY, TAG)
        self.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
        return image

    def put_artifact(self, version: int) -> bytes:
        data = os.urandom(150_000)
        self.client("s3").put_object(Bucket=self.bucket, Key=self.key(version), Body=data)
        return data

    def delete_artifact(self, version: int) -> None:
        self.client("s3").delete_object(Bucket=self.bucket, Key=self.key(version))

    def register(self, version: int) -> str:
        """Register the version that comes next, and give its ARN."""
        answer = self.client("sagemaker").create_model_package(
            ModelPackageGroupName=GROUP,
            ModelPackageDescription=f"Churn, version {version}",
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [
                    {"Image": self.image_uri, "ModelDataUrl": f"s3://{self.bucket}/{self.key(version)}"}
                ],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
        return str(answer["ModelPackageArn"])

    def approve(self, arn: str) -> None:
        self.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")


def registry(ecr: Any) -> tuple[str, str]:
    """Give the base URL of an account's registry, and the Authorization header for it."""
    (data,) = ecr.get_authorization_token()["authorizationData"]
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")
    return data["proxyEndpoint"], f"Basic {data['authorizationToken']}"


def pull(ecr: Any, repository: str, path: str) -> bytes:
    """Get a manifest or blob (``manifests/<reference>``, ``blobs/<digest>``) out of an account's registry."""
    url, authorization = registry(ecr)
    accepted = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    answer = urllib3.request(
        "GET", f"{url}/v2/{repository}/{path}", headers={"Authorization": authorization, "Accept": accepted}
    )
    assert answer.status == 200, answer.data
    return answer.data
