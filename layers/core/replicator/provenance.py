"""Where a mirror comes from: in short on the mirror itself, in full as JSON beside the artifacts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from replicator import RELEASE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from replicator.identifiers import ModelPackageArn
    from replicator.package import Description
    from replicator.steps import CopyResult

PREFIX = "replicator:"
SOURCE_ARN = f"{PREFIX}source-arn"

# CustomerMetadataMap: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
ENTRIES_MAX, VALUE_MAX = 50, 256


def entries(
    arn: ModelPackageArn,
    source: Description,
    results: Sequence[CopyResult],
    document: str,
    now: datetime,
    room: int = ENTRIES_MAX,
) -> dict[str, str]:
    """Give the entries for CustomerMetadataProperties, the most important first.

    Parameters
    ----------
    arn, source
        Of the source.
    results
        What was copied.
    document
        Location of the full provenance.
    room
        How many entries the source leaves free of the 50.
    """
    found = {
        SOURCE_ARN: str(arn),
        f"{PREFIX}provenance": document,
        f"{PREFIX}source-account": arn.account,
        f"{PREFIX}source-group": str(source.get("ModelPackageGroupName") or arn.group),
        f"{PREFIX}source-version": str(arn.version),
        f"{PREFIX}replicated-at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{PREFIX}release": RELEASE,
    }
    images = [result for result in results if result.kind == "image"]
    found |= {f"{PREFIX}image-{i}": str(image.pin) for i, image in enumerate(images, 1)}
    fitting = [(key, value) for key, value in found.items() if len(value) <= VALUE_MAX]
    return dict(fitting[: max(room, 0)])


def document(
    arn: ModelPackageArn,
    source: Description,
    hub_arn: str,
    results: Sequence[CopyResult],
    dropped: Mapping[str, str],
    now: datetime,
) -> dict[str, Any]:
    """Give the full provenance, as JSON values."""
    modified_by = source.get("LastModifiedBy") or source.get("CreatedBy") or {}
    return {
        "release": RELEASE,
        "replicatedAt": now.isoformat(),
        "hubModelPackageArn": hub_arn,
        "source": {
            "modelPackageArn": str(arn),
            "account": arn.account,
            "region": arn.region,
            "modelPackageGroupName": source.get("ModelPackageGroupName"),
            "version": arn.version,
            "creationTime": _text(source.get("CreationTime")),
            "lastModifiedTime": _text(source.get("LastModifiedTime")),
            "modelApprovalStatus": source.get("ModelApprovalStatus"),
            "approvalDescription": source.get("ApprovalDescription"),
            "lastModifiedBy": modified_by,
            "createdBy": source.get("CreatedBy"),
        },
        "copies": [result.model_dump(mode="json") for result in results],
        "notCopied": dict(dropped),
    }


def _text(value: Any) -> str | None:
    return None if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
