"""ARNs, S3 locations and image references: parsed once, before any I/O, into frozen values.

Each has ``parse``, which takes text from outside and raises `InvalidIdentifierError`, and ``str()``,
which gives the canonical text back. Nothing else in the project takes one of these texts apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

_ACCOUNT = r"(?P<account>\d{12})"
_REGION = r"(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d)"


class InvalidIdentifierError(ValueError):
    """A text that is not the ARN, location or reference that it should be."""


# The pattern of ModelPackageArn in the service model, with the parts of it that identify a version.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html
_PACKAGE_ARN = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):sagemaker:{_REGION}:{_ACCOUNT}:model-package/"
    r"(?P<group>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})(?:/(?P<version>[1-9]\d{0,9}))?"
)


@dataclass(frozen=True, slots=True)
class ModelPackageArn:
    """The ARN of one version in a model package group.

    ``group`` is the name as this ARN spells it, which may be lower case: nothing is named after it. The name as people
    wrote it is in `SourceVersion`.
    """

    partition: str
    region: str
    account: str
    group: str
    version: int

    @classmethod
    def parse(cls, text: str) -> ModelPackageArn:
        """Parse ``arn:aws:sagemaker:<region>:<account>:model-package/<group>/<version>``."""
        found = _PACKAGE_ARN.fullmatch(text)
        if not found:
            raise InvalidIdentifierError(f"not the ARN of a model package: {text[:300]!r}")
        if found["version"] is None:
            raise UnversionedPackageError(f"the ARN has no version: {text}")
        return cls(
            found["partition"], found["region"], found["account"], found["group"], int(found["version"])
        )

    def __str__(self) -> str:
        return (
            f"arn:{self.partition}:sagemaker:{self.region}:{self.account}"
            f":model-package/{self.group}/{self.version}"
        )

    @property
    def key(self) -> str:
        """Return the identity of the version: equal for two spellings of one ARN; see `version_key`."""
        return version_key(str(self))

    def spelled(self, group: str) -> ModelPackageArn:
        """Return the ARN of the same version with the group in another spelling."""
        return replace(self, group=group)


def version_key(arn: str) -> str:
    """Return the identity of the version that an ARN names: the ARN in lower case.

    SageMaker may spell the group of an ARN as people wrote it (aws-samples/ml-edge-getting-started#18) or in lower case
    (boto/boto3#4606), and an event, a list and a description need not agree. So ARNs are compared, and items of the
    ledger, permits and executions are named, by this key only. It is for identity: SageMaker is asked by an ARN in a
    spelling of its own.
    """
    return arn.lower()


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """A version in a spoke: its ARN, and the name of its group as people wrote it.

    Everything in the hub that is named after the group is derived from ``group``: the hub's group, key prefixes, tags
    and the policy's choice.
    """

    arn: ModelPackageArn
    group: str

    @classmethod
    def described(cls, arn: ModelPackageArn, description: Mapping[str, Any]) -> SourceVersion:
        """Take both from the answer of DescribeModelPackage, so that they do not depend on how it was asked.

        Parameters
        ----------
        arn
            By which it was asked. It stays when the answer names no ARN of this version.
        """
        told = description.get("ModelPackageArn")
        if isinstance(told, str) and version_key(told) == arn.key:
            arn = ModelPackageArn.parse(told)
        return cls(arn, str(description.get("ModelPackageGroupName") or arn.group))

    @classmethod
    def remembered(cls, arn: ModelPackageArn, group: str | None) -> SourceVersion:
        """Take the group from the ledger: for a version that cannot be described any more.

        Parameters
        ----------
        group
            None when the ledger does not know it; then the ARN's spelling is all there is.
        """
        return cls(arn, group or arn.group)

    @property
    def account(self) -> str:
        """The spoke."""
        return self.arn.account

    @property
    def version(self) -> int:
        """The number in the group."""
        return self.arn.version


class UnversionedPackageError(InvalidIdentifierError):
    """The ARN of a model package that is in no group, as Marketplace products are."""


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
_S3_URI = re.compile(rf"s3://{_BUCKET}(?:/(?P<key>.*))?", re.DOTALL)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_S3_HOST = r"s3(?:[.-](?P<region>[a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?"
_S3_PATH_STYLE = re.compile(rf"https://{_S3_HOST}/{_BUCKET}(?:/(?P<key>[^?#]*))?")
_S3_VIRTUAL_HOST = re.compile(rf"https://{_BUCKET}\.{_S3_HOST}(?:/(?P<key>[^?#]*))?")


@dataclass(frozen=True, slots=True)
class S3Uri:
    """An object, or a prefix when ``key`` ends with a slash or is empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> S3Uri:
        """Parse ``s3://bucket/key``, or the https forms that SageMaker accepts for it."""
        if found := _S3_URI.fullmatch(text):
            return cls(found["bucket"], found["key"] or "")
        for pattern in (_S3_PATH_STYLE, _S3_VIRTUAL_HOST):
            if found := pattern.fullmatch(text):
                return cls(found["bucket"], unquote(found["key"] or ""))
        raise InvalidIdentifierError(f"not an S3 location: {text[:300]!r}")

    @property
    def basename(self) -> str:
        """The last segment of the key: the file name that SageMaker gives a raw object."""
        return self.key.rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


# Registry hosts: https://docs.aws.amazon.com/general/latest/gr/ecr.html
_ECR_HOST = (
    rf"{_ACCOUNT}\.(?:dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
    r"|dkr-ecr(?:-fips)?\.(?P<region_dual>[a-z0-9-]+)\.on\.(?:aws|amazonwebservices\.com\.cn))"
)
# Repository, tag and digest: https://github.com/opencontainers/distribution-spec, "Pulling manifests"
_IMAGE = re.compile(
    rf"(?P<host>{_ECR_HOST})/"
    r"(?P<repository>[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image in an Amazon ECR private registry. Without tag and digest it means ``latest``."""

    host: str
    account: str
    region: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Parse ``<account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag][@sha256:...]``."""
        found = _IMAGE.fullmatch(text)
        if not found:
            raise InvalidIdentifierError(f"not an image in an Amazon ECR private registry: {text[:300]!r}")
        return cls(
            host=found["host"],
            account=found["account"],
            region=found["region"] or found["region_dual"],
            repository=found["repository"],
            tag=found["tag"],
            digest=found["digest"],
        )

    @property
    def reference(self) -> str:
        """What a manifest is asked for by: the digest where there is one, else the tag."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"
