"""The values that the registry keeps and hands around: callers, ARNs, groups and packages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]
Kind = Literal["artifact", "image"]


class ServiceError(Exception):
    """An error as SageMaker answers it: a code, a message and an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ServiceError:
    """Make the error that SageMaker answers to nearly everything that it refuses."""
    return ServiceError("ValidationException", message)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and which region was called.

    ``arn`` is the identity as GetCallerIdentity gives it; ``role_arn`` the IAM role behind an assumed-role
    session, which resource policies may name instead of the session.
    """

    account: str
    region: str
    arn: str
    principal_id: str
    role_arn: str | None = None

    @property
    def partition(self) -> str:
        """The partition of the region that was called."""
        return partition_of(self.region)

    def as_user_context(self) -> Document:
        """Describe the caller as ``CreatedBy`` and ``LastModifiedBy`` do for an IAM identity."""
        return {"IamIdentity": {"Arn": self.arn, "PrincipalId": self.principal_id}}


def partition_of(region: str) -> str:
    """Name the partition of a region."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


@dataclass(frozen=True)
class Hooks:
    """What the server lends to the registry. Each is optional; without it the registry leaves that out.

    Parameters
    ----------
    emit
        Puts an event on the default bus: ``emit(account, region, source, detail_type, detail, resources)``.
    resolve_image
        The digest of an image, or None: ``resolve_image(account, region, image)``.
    exists
        Whether an artifact (``"artifact"``, an S3 location) or an image (``"image"``) can be read at
        registration: ``exists(account, region, kind, location)``. Without it nothing is looked at.
    """

    emit: Callable[[str, str, str, str, Document, list[str]], None] | None = None
    resolve_image: Callable[[str, str, str], str | None] | None = None
    exists: Callable[[str, str, Kind, str], bool] | None = None


RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-arn-as-written",
        "The ARN of a model package spells the group as people wrote it.",
        Evidence.REPORTED,
        "aws-samples/ml-edge-getting-started#18",
    ),
    Rule(
        "sagemaker-arn-in-lower-case",
        "ARNs spell names in lower case: reported of a tuning job, played for model packages too.",
        Evidence.REPORTED,
        "boto/boto3#4606",
    ),
)


class ArnSpelling(StrEnum):
    """How ARNs spell the name of a group or package. Evidence goes both ways, so tests run with each.

    With `LOWER_CASE` a name is found in any spelling, and two names that differ only by case cannot both exist:
    "The name is not case sensitive", https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
    (of another resource of SageMaker; the documentation does not say it of groups). With `AS_WRITTEN` a name is
    found in its own spelling only.
    """

    AS_WRITTEN = "as-written"
    """Reported: aws-samples/ml-edge-getting-started#18."""
    LOWER_CASE = "lower-case"
    """Reported for another resource of SageMaker: boto/boto3#4606."""


_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z\-]*):sagemaker:(?P<region>[a-z0-9\-]*):(?P<account>[0-9]{12})"
    r":(?P<type>[a-z\-]*)/(?P<name>[^/]+)(?:/(?P<version>[1-9][0-9]{0,8}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a name or an ARN in a request means, in the account and region of the caller."""

    account: str
    region: str
    type: str
    name: str
    """As ARNs spell it."""
    version: int | None = None
    as_written: str | None = field(default=None, compare=False)
    """The name as people wrote it, where that is another one."""

    @property
    def title(self) -> str:
        """The name as people wrote it: ``ModelPackageGroupName`` of a description."""
        return self.as_written or self.name

    def spelled(self, spelling: ArnSpelling) -> Reference:
        """Return the same reference with the name as ARNs spell it; the one that people wrote stays known."""
        if spelling is ArnSpelling.AS_WRITTEN:
            return self
        return replace(self, name=self.name.lower(), as_written=self.title)

    @classmethod
    def read(cls, arn: str) -> Reference | None:
        """Read an ARN of SageMaker, or None when it is none."""
        found = _ARN.fullmatch(arn)
        if not found:
            return None
        version = int(found["version"]) if found["version"] else None
        return cls(found["account"], found["region"], found["type"], found["name"], version)

    @classmethod
    def parse(cls, text: str, caller: Caller, kind: str) -> Reference:
        """Parse ``name``, ``name/version`` or an ARN; a name is the caller's own resource of type ``kind``."""
        if found := cls.read(text):
            return found
        own = f"arn:{caller.partition}:sagemaker:{caller.region}:{caller.account}:{kind}/{text}"
        return cls.read(own) or cls(caller.account, caller.region, kind, text)

    @property
    def arn(self) -> str:
        """The ARN; see `ArnSpelling`."""
        tail = f"/{self.version}" if self.version is not None else ""
        partition = partition_of(self.region)
        return f"arn:{partition}:sagemaker:{self.region}:{self.account}:{self.type}/{self.name}{tail}"


GROUP = "model-package-group"
PACKAGE = "model-package"


@dataclass
class Group:
    """A model package group."""

    reference: Reference
    created: datetime
    created_by: Caller
    members: Document
    tags: dict[str, str]
    policy: str | None = None
    last_version: int = 0
    """Only ever counted up: the number of a deleted version is not given again."""


@dataclass
class Package:
    """A model package: ``members`` are those of its creation, as later updates left them."""

    reference: Reference
    created: datetime
    created_by: Caller
    completed: datetime
    members: Document
    tags: dict[str, str] = field(default_factory=dict)
    modified: datetime | None = None
    modified_by: Caller | None = None

    @property
    def versioned(self) -> bool:
        """Whether the package is a version in a group."""
        return self.reference.version is not None

    def status(self, now: datetime) -> str:
        """Say how far the registration is: ``Pending``, then ``InProgress``, then ``Completed``."""
        left = self.completed - now
        if left <= timedelta(0):
            return "Completed"
        return "Pending" if left > (self.completed - self.created) / 2 else "InProgress"
