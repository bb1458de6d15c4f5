"""What a data scientist does in a spoke account, with ordinary API calls.

Registration sends the requests that the SageMaker Python SDK's ``model.register()`` sends
(``get_create_model_package_request`` in its ``session.py``); no SDK of that size is needed for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.demo.packing import program_image
from local.images import push

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.demo.models import Trained
    from local.server import LocalAws

AWS_REGISTRIES = {"us-east-1": "683313688378", "eu-west-1": "141502667606"}
"""Accounts of AWS's scikit-learn images in the regions that are played in here."""


def aws_sklearn(region: str) -> str:
    """Give AWS's own scikit-learn image in one of the regions of `AWS_REGISTRIES`.

    https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/ecr-us-east-1.html
    """
    registry = f"{AWS_REGISTRIES[region]}.dkr.ecr.{region}.amazonaws.com"
    return f"{registry}/sagemaker-scikit-learn:1.2-1-cpu-py3"


@dataclass(frozen=True)
class Registered:
    """A version in a spoke, and everything that its mirror is held against.

    Parameters
    ----------
    artifacts
        sha256 in hex by the location of what was uploaded.
    images
        Digest by the image as the package names it; None for one that is not copied.
    """

    account: str
    arn: str
    trained: Trained
    artifacts: Mapping[str, str]
    images: Mapping[str, str | None]

    @property
    def version(self) -> str:
        """Give the version's number."""
        return self.arn.rpartition("/")[2]

    @property
    def label(self) -> str:
        """Name it for people."""
        return f"{self.trained.name} {self.version}"


@dataclass
class Scientist:
    """Somebody at work in one spoke."""

    aws: LocalAws
    account: str
    _digests: dict[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """SageMaker's default bucket, into which the SDK puts everything.

        https://sagemaker.readthedocs.io/en/stable/api/utility/session.html (default_bucket)
        """
        return f"sagemaker-{self.aws.region}-{self.account}"

    def make_bucket(self) -> None:
        """Make the default bucket, as the SDK does at its first use."""
        where = {"LocationConstraint": self.aws.region}
        more = {} if self.aws.region == "us-east-1" else {"CreateBucketConfiguration": where}
        self._client("s3").create_bucket(Bucket=self.bucket, **more)

    def push(self, repository: str, flavour: str) -> str:
        """Build the serving program into an image, push it, and give the image's reference by tag."""
        ecr = self._client("ecr")
        registry = ecr.create_repository(repositoryName=repository)["repository"]["repositoryUri"]
        data = ecr.get_authorization_token()["authorizationData"][0]
        image, tag = program_image(flavour), "1.0"
        push(image, data["proxyEndpoint"], f"Basic {data['authorizationToken']}", repository, tag)
        self._digests[f"{registry}:{tag}"] = image.digest
        return f"{registry}:{tag}"

    def register(self, trained: Trained, images: Mapping[str, str]) -> Registered:
        """Upload a model's artifacts and register it, pending approval.

        Parameters
        ----------
        trained
            The model.
        images
            Image by the name of the container.
        """
        folder = f"s3://{self.bucket}/{trained.name}-{hashlib.sha256(trained.evaluation).hexdigest()[:8]}"
        uploads = {f"{folder}/{step}/model.tar.gz": data for step, data in trained.archives.items()}
        uploads[f"{folder}/evaluation.json"] = trained.evaluation
        uploads[f"{folder}/payload.tar.gz"] = trained.sample_payload
        for uri, data in uploads.items():
            self.put(uri, data)
        self._ensure_group(trained)
        containers = [
            self._container(images[step], f"{folder}/{step}/model.tar.gz", len(trained.steps) > 1 and step)
            for step in trained.steps
        ]
        answer = self._client("sagemaker").create_model_package(**_request(trained, containers, folder))
        return Registered(
            self.account,
            answer["ModelPackageArn"],
            trained,
            {uri: hashlib.sha256(data).hexdigest() for uri, data in uploads.items()},
            {image: self._digests.get(image) for image in images.values()},
        )

    def approve(self, arn: str, why: str) -> None:
        """Approve a version."""
        self._decide(arn, "Approved", why)

    def reject(self, arn: str, why: str) -> None:
        """Reject a version."""
        self._decide(arn, "Rejected", why)

    def put(self, uri: str, data: bytes) -> None:
        """Upload an artifact."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._client("s3").put_object(Bucket=bucket, Key=key, Body=data)

    def delete(self, uri: str) -> None:
        """Delete an artifact, so that it can be brought back: the bucket keeps versions from now on."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        s3 = self._client("s3")
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.delete_object(Bucket=bucket, Key=key)

    def bring_back(self, uri: str) -> None:
        """Undo the deletion of an artifact, by deleting its delete marker."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        s3 = self._client("s3")
        for marker in s3.list_object_versions(Bucket=bucket, Prefix=key)["DeleteMarkers"]:
            s3.delete_object(Bucket=bucket, Key=key, VersionId=marker["VersionId"])

    def delete_everything(self) -> tuple[int, int]:
        """Delete the account's SageMaker bucket and all its repositories; give how many objects and images."""
        s3, ecr = self._client("s3"), self._client("ecr")
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        versions, markers = [], []
        for page in pages:
            versions += page.get("Versions", [])
            markers += page.get("DeleteMarkers", [])
        for version in versions + markers:
            s3.delete_object(Bucket=self.bucket, Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=self.bucket)
        images = 0
        for repository in ecr.describe_repositories()["repositories"]:
            name = repository["repositoryName"]
            images += len(ecr.list_images(repositoryName=name)["imageIds"])
            ecr.delete_repository(repositoryName=name, force=True)
        return len(versions), images

    def leftovers(self) -> list[str]:
        """List what is left of the SageMaker bucket and the repositories."""
        buckets = [bucket["Name"] for bucket in self._client("s3").list_buckets()["Buckets"]]
        repositories = self._client("ecr").describe_repositories()["repositories"]
        return [b for b in buckets if b == self.bucket] + [r["repositoryUri"] for r in repositories]

    def _client(self, service: str) -> Any:
        return self.aws.client(service, self.account)

    def _decide(self, arn: str, status: str, why: str) -> None:
        self._client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=why
        )

    def _ensure_group(self, trained: Trained) -> None:
        # The SDK makes the group and lets "already exists" pass.
        try:
            self._client("sagemaker").create_model_package_group(
                ModelPackageGroupName=trained.name, ModelPackageGroupDescription=f"Tells {trained.title}"
            )
        except ClientError as error:
            if "already exists" not in str(error):
                raise

    def _container(self, image: str, model_data: str, hostname: str | bool) -> dict[str, Any]:
        container: dict[str, Any] = {
            "Image": image,
            "ModelDataUrl": model_data,
            "Environment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
                "SAGEMAKER_REGION": self.aws.region,
            },
        }
        return container | ({"ContainerHostname": hostname} if hostname else {})


def _request(trained: Trained, containers: list[dict[str, Any]], folder: str) -> dict[str, Any]:
    """Give the request of CreateModelPackage, member for member as the SDK makes it."""
    report = {"ContentType": "application/json", "S3Uri": f"{folder}/evaluation.json"}
    return {
        "ModelPackageGroupName": trained.name,
        "ModelPackageDescription": f"{trained.algorithm} that tells {trained.title}",
        "ModelMetrics": {"ModelQuality": {"Statistics": report}},
        "MetadataProperties": {
            "CommitId": hashlib.sha256(trained.evaluation).hexdigest()[:40],
            "Repository": f"https://git.example.com/models/{trained.name}.git",
            "GeneratedBy": f"{trained.name} training",
        },
        "CustomerMetadataProperties": {name: f"{value:.4f}" for name, value in trained.quality.items()},
        "Domain": "MACHINE_LEARNING",
        "Task": trained.task,
        "SamplePayloadUrl": f"{folder}/payload.tar.gz",
        "InferenceSpecification": {
            "Containers": containers,
            "SupportedContentTypes": ["application/json", "text/csv"],
            "SupportedResponseMIMETypes": ["application/json", "text/csv"],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.t2.medium", "ml.m5.large"],
            "SupportedTransformInstanceTypes": ["ml.m5.large"],
        },
        "CertifyForMarketplace": False,
        "ModelApprovalStatus": "PendingManualApproval",
        "SkipModelValidation": "None",
    }
