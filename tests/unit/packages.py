"""Descriptions of model packages for tests, as `DescribeModelPackage` gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from replicator.identifiers import ModelPackageArn
from replicator.policy import Policy

SPOKE, HUB = "111111111111", "999999999999"
ARN = ModelPackageArn.parse(f"arn:aws:sagemaker:us-east-1:{SPOKE}:model-package/churn/3")
IMAGE = f"{SPOKE}.dkr.ecr.us-east-1.amazonaws.com/churn:1"
DIGEST = "sha256:" + "ab" * 32
MODEL = f"s3://sagemaker-us-east-1-{SPOKE}/churn/model.tar.gz"


def a_policy(**changes: Any) -> Policy:
    options: dict[str, Any] = {
        "partition": "aws",
        "region": "us-east-1",
        "hub_account": HUB,
        "hub_bucket": "hub-bucket",
        "namespace": "registry-replicator",
        "hub_approval_status": "PendingManualApproval",
        "group_name_template": "{account}-{group}",
        "aws_registries": frozenset({"683313688378"}),
        "aws_buckets": frozenset({"jumpstart-cache-prod-us-east-1"}),
    }
    return Policy(**(options | changes))


def a_package(**changes: Any) -> dict[str, Any]:
    package: dict[str, Any] = {
        "ModelPackageGroupName": "churn",
        "ModelPackageVersion": 3,
        "ModelPackageArn": str(ARN),
        "ModelPackageDescription": "Churn",
        "CreationTime": datetime(2026, 1, 2, tzinfo=UTC),
        "LastModifiedTime": datetime(2026, 1, 3, tzinfo=UTC),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {
            "Containers": [
                {"Image": IMAGE, "ImageDigest": DIGEST, "ModelDataUrl": MODEL, "ModelDataETag": '"etag"'}
            ],
            "SupportedContentTypes": ["text/csv"],
            "SupportedTransformInstanceTypes": [],
        },
    }
    return package | changes
