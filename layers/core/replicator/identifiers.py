"""ARNs, S3 locations and image references: parsed once, before any I/O, into frozen values.

Each has ``parse``, which takes text from outside and raises `InvalidIdentifierError`, and ``str()``,
which gives the canonical text back. Nothing else in the project takes one of these texts apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from replicator.partitions import partition_of, partitions
from replicator.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

# Digits are those of ASCII: \d matches the digits of every script, and so does int().
_ACCOUNT = r"(?P<account>[0-9]{12})"
_REGION = r"(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9])"


class InvalidIdentifierError(ValueError):
    """A text that is not the ARN, location or reference that it should be."""


def _shown(text: str) -> str:
    # Cut after secrets are gone: half a password does not look like one.
    return repr(redacted(text)[:300])


# The pattern of ModelPackageArn in the service model, with the parts of it that identify a version.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModelPackage.html
_PACKAGE_ARN = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):sagemaker:{_REGION}:{_ACCOUNT}:model-package/"
    r"(?P<group>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})(?:/(?P<version>[1-9][0-9]{0,9}))?"
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
        if not found or found["partition"] != partition_of(found["region"]).name:
            raise InvalidIdentifierError(f"not the ARN of a model package: {_shown(text)}")
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


# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceHubAccessConfig.html
_HUB_CONTENT_ARN = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):sagemaker:{_REGION}:aws:hub-content/"
    r"(?P<hub>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62})/(?P<kind>[A-Za-z]{1,64})/"
    r"(?P<name>[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,63})(?:/[0-9]{1,4}(?:\.[0-9]{1,4}){2})?"
)


def public_hub_content(text: str, region: str) -> bool:
    """Whether a text is the ARN of content in a hub of SageMaker's own, which every account of the Region can read."""
    found = _HUB_CONTENT_ARN.fullmatch(text)
    return found is not None and found["region"] == region and found["partition"] == partition_of(region).name


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
_S3_URI = re.compile(rf"s3://{_BUCKET}(?:/(?P<key>.*))?", re.DOTALL)


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
_LONGEST_HOST = 253
# A bucket or none, and S3 with or without Region, dual stack or FIPS.
_S3_LABELS = re.compile(r"(?:[a-z0-9][a-z0-9.-]*\.)?s3(?:[.-][a-z0-9.-]+)?")


def s3_host(host: str, region: str) -> bool:
    """Whether a host is Amazon S3's in the partition of a Region. There Amazon ECR keeps layers.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
    """
    suffix = f".{partition_of(region).dns_suffix}"
    if len(host) > _LONGEST_HOST or not host.endswith(suffix):
        return False
    return _S3_LABELS.fullmatch(host.removesuffix(suffix)) is not None


@cache
def _s3_urls() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of a path-style and of a virtual-hosted URL."""
    suffixes = "|".join(sorted({re.escape(each.dns_suffix) for each in partitions()}))
    host = rf"s3(?:[.-](?P<region>[a-z0-9-]+))?\.(?P<suffix>{suffixes})"
    key = r"(?:/(?P<key>[^?#]*))?"
    return re.compile(rf"https://{host}/{_BUCKET}{key}"), re.compile(rf"https://{_BUCKET}\.{host}{key}")


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
        for pattern in _s3_urls():
            found = pattern.fullmatch(text)
            if found and (not found["region"] or found["suffix"] == partition_of(found["region"]).dns_suffix):
                return cls(found["bucket"], unquote(found["key"] or ""))
        raise InvalidIdentifierError(f"not an S3 location: {_shown(text)}")

    @property
    def basename(self) -> str:
        """The last segment of the key: the file name that SageMaker gives a raw object."""
        return self.key.rstrip("/").rpartition("/")[2]

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


# Registry hosts: https://docs.aws.amazon.com/general/latest/gr/ecr.html
_ECR_HOST = (
    rf"{_ACCOUNT}\.dkr(?P<dot>[.-])ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(?P<suffix>[a-z0-9-]+(?:\.[a-z0-9-]+)*)"
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
        partition = partition_of(found["region"]) if found else None
        if (
            not found
            or not partition
            or found["suffix"]
            != (partition.dns_suffix if found["dot"] == "." else partition.dual_stack_suffix)
        ):
            raise InvalidIdentifierError(f"not an image in an Amazon ECR private registry: {_shown(text)}")
        return cls(
            host=found["host"],
            account=found["account"],
            region=found["region"],
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
