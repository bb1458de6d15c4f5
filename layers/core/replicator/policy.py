"""The operator's choices: which packages, which names, which approval status, which registries."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from replicator.identifiers import ImageReference, InvalidIdentifierError
from replicator.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.identifiers import SourceVersion

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"

# ModelPackageGroupName: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html
GROUP_NAME_MAX = 63
# ContainerImage is 255 characters long; registry host and digest take their part of it.
IMAGE_MAX = 255
_DIGEST_LENGTH = len("@sha256:") + 64


def aws_owned_registries(region: str) -> frozenset[str]:
    """Return the accounts whose image registries in a Region are AWS's own. Every account can pull from them."""
    return _listed("aws_owned_registries.txt", region)


def aws_owned_buckets(region: str) -> frozenset[str]:
    """Return the buckets of SageMaker JumpStart in a Region, which every account can read."""
    return _listed("aws_owned_buckets.txt", region)


def _listed(file: str, region: str) -> frozenset[str]:
    """Return what a list has on the line of a Region; nothing where it has none.

    Names are whole, and count in one Region only: anyone can make a bucket whose
    name fits a pattern, and an account that is AWS's in one Region need not be in another.
    """
    for line in files("replicator").joinpath(file).read_text(encoding="utf-8").splitlines():
        name, *listed = line.split()
        if name == region:
            return frozenset(listed)
    return frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator chose in the hub's template."""

    partition: str
    region: str
    hub_account: str
    hub_bucket: str
    namespace: str
    hub_approval_status: Literal["PendingManualApproval", "Mirrored"]
    group_name_template: str
    image_accounts: frozenset[str] = frozenset()
    replicated_statuses: frozenset[str] = frozenset({APPROVED})
    """Approval statuses in which a version without a mirror gets one."""
    include_groups: frozenset[str] = frozenset()
    """Prefixes of group names; empty for all."""
    exclude_groups: frozenset[str] = frozenset()
    include_tag: tuple[str, str] | None = None
    """Only groups that have this tag."""
    exclude_tag: tuple[str, str] | None = None
    spoke_aliases: Mapping[str, str] = field(default_factory=dict)
    accept_eulas: bool = False
    """Whether the operator accepts, for the hub, the licences that a spoke accepted."""
    aws_registries: frozenset[str] = frozenset()
    """Accounts whose registries in the hub's Region are AWS's own: their images stay where they are."""
    aws_buckets: frozenset[str] = frozenset()
    """AWS's own buckets in the hub's Region: what is in them stays where it is."""

    @property
    def asks_for_tags(self) -> bool:
        """Whether `includes` has to know the tags of a group."""
        return self.include_tag is not None or self.exclude_tag is not None

    def includes(self, group: str, tags: Mapping[str, str]) -> bool:
        """Tell whether new versions of a spoke's group are mirrored."""
        if self.include_groups and not any(group.startswith(p) for p in self.include_groups):
            return False
        if any(group.startswith(prefix) for prefix in self.exclude_groups):
            return False
        pairs = tags.items()
        if self.include_tag is not None and self.include_tag not in pairs:
            return False
        return self.exclude_tag is None or self.exclude_tag not in pairs

    def group_name(self, account: str, group: str) -> str:
        """Name the hub's group for a spoke's group.

        A name over 63 characters is cut, and ends with a hash of account and group instead, so that two
        groups never share one.
        """
        parts = {"account": account, "alias": self.spoke_aliases.get(account, account), "group": group}
        name = re.sub(r"\{(account|alias|group)\}", lambda found: parts[found[1]], self.group_name_template)
        if len(name) <= GROUP_NAME_MAX:
            return name
        tail = "-" + hashlib.sha256(f"{account}/{group}".encode()).hexdigest()[:10]
        return name[: GROUP_NAME_MAX - len(tail)].rstrip("-") + tail

    def artifact_prefix(self, account: str, group: str, version: int) -> str:
        """Give the key prefix for everything of one source version."""
        return f"models/{account}/{group}/{version}/"

    def provenance_key(self, account: str, group: str, version: int) -> str:
        """Give the key of the JSON that says where a mirror comes from.

        It is outside the artifacts, so that what may write those has no say in it.
        """
        return f"provenance/{account}/{group}/{version}.json"

    def repository_name(self, account: str, registry: str, repository: str) -> str:
        """Name the hub's repository for a source repository.

        Parameters
        ----------
        account
            The spoke whose package names the image: nothing is written outside its own repositories.
        registry
            The account of the image's registry.
        repository
            Its repository. Too long a name ends with a hash instead.
        """
        own = (
            f"{self.namespace}/{account}/"
            if registry == account
            else f"{self.namespace}/{account}/{registry}/"
        )
        host = f"{self.hub_account}.dkr.ecr.{self.region}.{partition_of(self.region).dns_suffix}"
        room = IMAGE_MAX - _DIGEST_LENGTH - len(host) - 1 - len(own)
        if len(repository) <= room:
            return own + repository
        tail = hashlib.sha256(repository.encode()).hexdigest()[:16]
        kept = repository[: room - len(tail) - 1].rstrip("._-/")
        return f"{own}{kept}-{tail}"

    def is_place_of(self, version: SourceVersion, destination: str) -> bool:
        """Whether a copy of a version may be there: under its own prefix, or in a repository of its spoke."""
        try:
            image = ImageReference.parse(destination)
        except InvalidIdentifierError:
            prefix = self.artifact_prefix(version.account, version.group, version.version)
            return destination.startswith(f"s3://{self.hub_bucket}/{prefix}")
        own = f"{self.namespace}/{version.account}/"
        return (image.account, image.region) == (
            self.hub_account,
            self.region,
        ) and image.repository.startswith(own)

    def first_approval_status(self, source_status: str) -> str:
        """Say which approval status a new mirror gets."""
        if self.hub_approval_status == "Mirrored" or source_status == REJECTED:
            return source_status
        return PENDING
