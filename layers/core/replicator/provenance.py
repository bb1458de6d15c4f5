"""Where a mirror comes from: in short on the mirror itself, in full as JSON in the hub's bucket."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from replicator import RELEASE
from replicator.identifiers import version_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replicator.identifiers import ModelPackageArn, SourceVersion
    from replicator.package import Description
    from replicator.steps import CopyResult

PREFIX = "replicator:"
SOURCE_ARN = f"{PREFIX}source-arn"
HUB = f"{PREFIX}hub"
"""The ``Namespace`` of the hub that made the mirror: an account may have several."""
IDENTITY = (SOURCE_ARN, HUB)
"""By these a mirror is known as ours, so each mirror has them, whatever else finds no room."""
PINNED = f"{PREFIX}pinned"
"""``none`` where at least one copy is not known to be what was registered: see `replicator.steps.Pinned`."""
SOURCE_DELETED = f"{PREFIX}source-deleted"
"""When a run found that the source was not there any more."""

# CustomerMetadataMap: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
ENTRIES_MAX, VALUE_MAX = 50, 256


@dataclass(frozen=True, slots=True)
class Intended:
    """What a write was about to write, noted before it: a run may die between writing and noting it."""

    source_approval: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    """Member (or ``member{key}``) to the digest of what was desired."""
    hub_approval: str | None = None
    """The approval status that was about to be written to the mirror, or was written before."""


def is_mirror(package: Description, arn: ModelPackageArn, hub: str) -> bool:
    """Whether a model package says that it is the mirror of a source, made by a hub.

    Parameters
    ----------
    package
        As Describe gives it.
    arn
        Of the source; the package may spell it in another way.
    hub
        Its ``Namespace``.
    """
    metadata = package.get("CustomerMetadataProperties") or {}
    named = metadata.get(SOURCE_ARN)
    return isinstance(named, str) and version_key(named) == arn.key and metadata.get(HUB) == hub


def identity(arn: ModelPackageArn, hub: str) -> dict[str, str]:
    """Give the entries by which a mirror is known; see `is_mirror`."""
    return {SOURCE_ARN: str(arn), HUB: hub}


def entries(
    version: SourceVersion,
    hub: str,
    results: Sequence[CopyResult],
    document: str,
    now: datetime,
    room: int = ENTRIES_MAX,
) -> dict[str, str]:
    """Give the entries for CustomerMetadataProperties, the most important first.

    Parameters
    ----------
    version
        Of the source.
    hub
        Namespace of the hub.
    results
        What was copied.
    document
        Location of the full provenance.
    room
        How many entries the source leaves free of the 50.
    """
    found = {
        **identity(version.arn, hub),
        f"{PREFIX}provenance": document,
        f"{PREFIX}source-account": version.account,
        f"{PREFIX}source-group": version.group,
        f"{PREFIX}source-version": str(version.version),
        f"{PREFIX}replicated-at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{PREFIX}release": RELEASE,
    }
    if any(result.pinned == "none" for result in results):
        found[PINNED] = "none"
    images = [result for result in results if result.kind == "image"]
    found |= {f"{PREFIX}image-{i}": str(image.pin) for i, image in enumerate(images, 1)}
    fitting = [(key, value) for key, value in found.items() if len(value) <= VALUE_MAX]
    return dict(fitting[: max(room, len(IDENTITY))])


def document(
    version: SourceVersion,
    source: Description,
    hub_arn: str | None,
    copies: Mapping[str, Mapping[str, Any]],
    dropped: Mapping[str, str],
    intended: Intended,
    now: datetime,
) -> dict[str, Any]:
    """Give the full provenance, as JSON values.

    Parameters
    ----------
    version, source
        Of the source.
    hub_arn
        None as long as the mirror is being created.
    copies
        From `copies`.
    dropped
        Path of each member that is not carried over, and why.
    intended
        What is about to be written to the mirror.
    """
    modified_by = source.get("LastModifiedBy") or source.get("CreatedBy") or {}
    return {
        "release": RELEASE,
        "replicatedAt": now.isoformat(),
        "hubModelPackageArn": hub_arn,
        "source": {
            "modelPackageArn": str(version.arn),
            "account": version.account,
            "region": version.arn.region,
            "modelPackageGroupName": version.group,
            "version": version.version,
            "creationTime": _text(source.get("CreationTime")),
            "lastModifiedTime": _text(source.get("LastModifiedTime")),
            "modelApprovalStatus": source.get("ModelApprovalStatus"),
            "approvalDescription": source.get("ApprovalDescription"),
            "lastModifiedBy": modified_by,
            "createdBy": source.get("CreatedBy"),
        },
        "copies": list(copies.values()),
        "notCopied": dict(dropped),
        "intended": {
            "sourceApproval": intended.source_approval,
            "members": dict(intended.members),
            "hubApproval": intended.hub_approval,
        },
    }


def copies(before: Mapping[str, Any], results: Sequence[CopyResult]) -> dict[str, Mapping[str, Any]]:
    """Give what was copied, by location: what an earlier document has, and what has been copied since."""
    found = {copy["uri"]: copy for copy in before.get("copies", [])}
    return found | {result.uri: result.model_dump(mode="json") for result in results}


def read_intended(document: Mapping[str, Any]) -> Intended:
    """Read what a document says was about to be written."""
    found = document.get("intended") or {}
    return Intended(found.get("sourceApproval"), found.get("members") or {}, found.get("hubApproval"))


def _text(value: Any) -> str | None:
    return None if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
