"""What a data scientist does in a spoke, with plain boto3: buckets, images, versions, approvals."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local.images import build_image, push
from local.landscape import default_bucket
from tests.integration.object_times import received_at

if TYPE_CHECKING:
    from datetime import datetime

    from local.images import OciImage
    from local.server import LocalAws


@dataclass(frozen=True)
class DataScientist:
    """Works in one spoke account.

    Parameters
    ----------
    group
        Of the versions; also the prefix of the artifacts, and in lower case the name of the repository.
    """

    aws: LocalAws
    account: str
    group: str
    artifacts: dict[str, bytes] = field(default_factory=dict)
    """What was put into the bucket, by its location."""

    @property
    def bucket(self) -> str:
        """SageMaker's default bucket."""
        return f"sagemaker-{self.aws.region}-{self.account}"

    @property
    def repository(self) -> str:
        """The repository of the group. Names in Amazon ECR and Amazon S3 have no capitals."""
        return self.group.lower()

    @property
    def image(self) -> str:
        """The image that versions use."""
        return f"{self.account}.dkr.ecr.{self.aws.region}.amazonaws.com/{self.repository}:1"

    def client(self, service: str) -> Any:
        return self.aws.client(service, self.account)

    def put(self, name: str, data: bytes | None = None) -> str:
        """Put an object of random bytes into the default bucket, and give its location."""
        key = f"{self.group}/{name}"
        data = os.urandom(150_000) if data is None else data
        default_bucket(self.aws, self.account)
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=data)
        self.artifacts[f"s3://{self.bucket}/{key}"] = data
        return f"s3://{self.bucket}/{key}"

    def share(self, name: str, with_account: str) -> str:
        """Put an object into a bucket of its own that another account may read, and give its location."""
        s3, bucket = self.client("s3"), f"shared-{self.repository}"
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.aws.region})
        s3.put_object(Bucket=bucket, Key=name, Body=b"secret")
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{with_account}:root"},
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        return f"s3://{bucket}/{name}"

    def remove(self, name: str) -> None:
        """Delete an object, so that it can be brought back: the bucket keeps versions from now on."""
        s3 = self.client("s3")
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        s3.delete_object(Bucket=self.bucket, Key=f"{self.group}/{name}")

    def bring_back(self, name: str) -> None:
        """Undo the deletion of an object, by deleting its delete marker."""
        s3, key = self.client("s3"), f"{self.group}/{name}"
        for marker in s3.list_object_versions(Bucket=self.bucket, Prefix=key)["DeleteMarkers"]:
            s3.delete_object(Bucket=self.bucket, Key=key, VersionId=marker["VersionId"])

    def exchange(self, name: str, time: datetime) -> None:
        """Put another object in the place of one, received at a time, and leave no version of the one before."""
        s3, key = self.client("s3"), f"{self.group}/{name}"
        for version in s3.list_object_versions(Bucket=self.bucket, Prefix=key)["Versions"]:
            s3.delete_object(Bucket=self.bucket, Key=key, VersionId=version["VersionId"])
        self.put(name)
        received_at(self.account, self.bucket, key, time)

    def push(self, tag: str = "1") -> OciImage:
        """Build an image and push it into the repository of the group."""
        ecr = self.client("ecr")
        ecr.create_repository(repositoryName=self.repository)
        image = build_image({"opt/program/serve": b"#!/bin/sh\n", "weights": os.urandom(40_000)}, layers=2)
        (data,) = ecr.get_authorization_token()["authorizationData"]
        push(image, data["proxyEndpoint"], f"Basic {data['authorizationToken']}", self.repository, tag)
        return image

    def register(self, *containers: dict[str, Any], **members: Any) -> str:
        """Register a version, and give its ARN."""
        sagemaker = self.client("sagemaker")
        try:
            sagemaker.create_model_package_group(ModelPackageGroupName=self.group)
        except ClientError as error:
            if "already exists" not in str(error):
                raise
        specification = {
            "Containers": list(containers),
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }
        arn: str = sagemaker.create_model_package(
            **{
                "ModelPackageGroupName": self.group,
                "ModelPackageDescription": f"A version of {self.group}",
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": specification,
            }
            | members
        )["ModelPackageArn"]
        return arn

    def update(self, arn: str, **members: Any) -> None:
        self.client("sagemaker").update_model_package(ModelPackageArn=arn, **members)

    def approve(self, arn: str, **members: Any) -> None:
        self.update(arn, ModelApprovalStatus="Approved", **members)

    def reject(self, arn: str, **members: Any) -> None:
        self.update(arn, ModelApprovalStatus="Rejected", **members)

    def describe(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client("sagemaker").describe_model_package(ModelPackageName=arn)
        return found

    def event(self, arn: str, **changes: Any) -> dict[str, Any]:
        """Give the event about a version, as it reaches the hub."""
        return {
            "version": "0",
            "id": os.urandom(8).hex(),
            "detail-type": "SageMaker Model Package State Change",
            "source": "aws.sagemaker",
            "account": self.account,
            "time": "2026-01-01T00:00:00Z",
            "region": self.aws.region,
            "resources": [arn],
            "detail": {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"},
        } | changes


def deny_everybody(scientist: DataScientist, prefix: str) -> None:
    """Put a bucket policy that denies reading a prefix to all but the account itself."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject*",
        "Resource": f"arn:aws:s3:::{scientist.bucket}/{prefix}*",
        "Condition": {"StringNotLike": {"aws:PrincipalArn": "*local-admin"}},
    }
    scientist.client("s3").put_bucket_policy(
        Bucket=scientist.bucket,
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
