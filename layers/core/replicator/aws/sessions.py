"""Whose credentials a call is made with: the function's own, or those of a role in or for one spoke."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader

from replicator.aws.failures import in_hub, translated
from replicator.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.loaders import Loader
    from mypy_boto3_sts.type_defs import TagTypeDef

SPOKE_TAG = "spoke"
"""Session tag that names the spoke account; the policies of the copy role and of the spokes ask for it."""


def client_config(**more: object) -> Config:
    """Give the configuration of every client: standard retries, bounded waits, a name in CloudTrail."""
    base = Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=5,
        user_agent_extra="model-registry-replicator",
    )
    return base.merge(Config(**more)) if more else base  # type: ignore[arg-type]


@cache
def _loader() -> Loader:
    # Shared by all sessions of a warm function: each would read the services' models from disk again.
    return create_loader()


def new_session(**options: Any) -> boto3.Session:
    """Make a session; without options, with the function's own credentials."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return boto3.Session(botocore_session=core, **options)


class Reads(Enum):
    """What a session in a spoke is for: the actions that are left to it of the spoke's read role."""

    VERSION = (
        "sagemaker:DescribeModelPackage",
        "sagemaker:DescribeModelPackageGroup",
        "sagemaker:ListTags",
        "kms:Decrypt",
    )
    """One version, as ``plan`` and ``register`` look at it; SageMaker decrypts its model card for the caller."""
    REGISTRY = (
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListModelPackageGroups",
        "sagemaker:ListModelPackages",
        "sagemaker:DescribeModelPackageGroup",
        "sagemaker:ListTags",
        "kms:Decrypt",
    )
    """All versions, as ``reconcile`` compares them."""
    ARTIFACTS = (
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectTagging",
        "s3:GetObjectVersionTagging",
        "s3:ListBucket",
        "s3:ListBucketVersions",
        "kms:Decrypt",
    )
    IMAGES = (
        "ecr:GetAuthorizationToken",
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    )

    @property
    def session_policy(self) -> str:
        """The policy of the session, which can only take away from the role.

        It names no resources: the role does, and a session's policies may have 2,048 characters together.
        https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
        """
        statement = {"Effect": "Allow", "Action": self.value, "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


def spoke_role_arn(partition: str, account: str, role_name: str) -> str:
    """Give the ARN of a spoke's read role. Its name has its path: ``/ml/registry-replicator-eu-west-1-read``."""
    return f"arn:{partition}:iam::{account}:role/{role_name.removeprefix('/')}"


@dataclass(frozen=True)
class Sessions:
    """Makes sessions for one invocation.

    Parameters
    ----------
    partition, region
        Where the hub is; every session is for this region.
    """

    partition: str
    region: str
    own: boto3.Session = field(default_factory=new_session)

    def spoke(self, account: str, role_name: str, reads: Reads) -> boto3.Session:
        """Assume the read role of one spoke, for one purpose.

        Raises `PermanentError` when it does not let us in.
        """
        arn = spoke_role_arn(self.partition, account, role_name)
        with translated(
            f"{arn} cannot be assumed",
            denied=ErrorCode.SOURCE_ACCESS_DENIED,
            otherwise=ErrorCode.SOURCE_ACCESS_DENIED,
            advice=f"In account {account}, deploy spoke.yaml with this hub's account and namespace, then redrive.",
        ):
            return self._assume(arn, account, Policy=reads.session_policy)

    def for_spoke(self, role_arn: str, account: str) -> boto3.Session:
        """Assume one of the hub's own roles, narrowed to one spoke by the session tag."""
        with in_hub(f"assuming {role_arn} for account {account}"):
            return self._assume(role_arn, account)

    def _assume(self, role_arn: str, account: str, **more: str) -> boto3.Session:
        tags: Sequence[TagTypeDef] = [{"Key": SPOKE_TAG, "Value": account}]
        sts = self.own.client("sts", region_name=self.region, config=client_config())
        answer = sts.assume_role(
            RoleArn=role_arn,
            RoleSessionName=re.sub(r"[^\w+=,.@-]", "-", f"replicator-{account}", flags=re.ASCII),
            Tags=tags,
            **more,  # type: ignore[arg-type]  # the members of a call are not those of a dict
        )
        credentials = answer["Credentials"]
        return new_session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=self.region,
        )
