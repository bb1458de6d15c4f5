"""The ``SageMaker Model Package State Change`` event, with the documented members of its detail and no other.

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html, section "model
package state change": no description, card, drift baselines, creator or additional specification is in it.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.evidence import Evidence, Rule
from local.sagemaker.packages import describe

if TYPE_CHECKING:
    from local.sagemaker.values import Document, Package

RULES: tuple[Rule, ...] = (
    Rule(
        "sagemaker-event-updated-fields",
        "An event after an update names what was updated in UpdatedModelPackageFields.",
        Evidence.RECORDED,
        "sagemaker/events.json",
    ),
    Rule(
        "sagemaker-event-members",
        "An event has some members of the description only.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html",
    ),
)

SOURCE = "aws.sagemaker"
DETAIL_TYPE = "SageMaker Model Package State Change"

_COPIED = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "MetadataProperties",
    "ModelMetrics",
    "ModelLifeCycle",
)
_CONTAINER = ("Image", "ImageDigest", "ModelDataUrl")
_SPECIFICATION = ("SupportedContentTypes", "SupportedResponseMIMETypes")
# A package outside a group has these in the EventBridge schema registry's SageMakerModelPackageStateChange.
_UNVERSIONED = ("ModelPackageName", "ModelPackageDescription")

# The documented values of UpdatedModelPackageFields, in their documented spelling. What else can be updated
# (card, registration type, additional specifications) is documented nowhere in that list, so it is left out.
_UPDATED = {
    "ModelLifeCycle": "ModelLifeCycle",
    "ModelApprovalStatus": "ModelApprovalStatus",
    "ApprovalDescription": "ApprovalDescription",
    "SourceUri": "sourceUri",
    "CustomerMetadataProperties": "CustomerMetadataProperties",
    "CustomerMetadataPropertiesToRemove": "CustomerMetadataProperties",
    "InferenceSpecification": "InferenceSpecification",
}


def state_change(package: Package, now: datetime, changed: list[str]) -> Document:
    """Make the detail of the event after a creation (``changed`` empty) or an update."""
    description = describe(package, now)
    names = _COPIED if package.versioned else (*_COPIED, *_UNVERSIONED)
    detail: Document = {name: deepcopy(description[name]) for name in names if name in description}
    detail["CreationTime"] = _text(package.created)
    detail["LastModifiedTime"] = _text(package.modified or package.created)
    if specification := description.get("InferenceSpecification"):
        detail["InferenceSpecification"] = _shortened(specification)
    if not package.versioned and package.tags:
        detail["Tags"] = [{"Key": key, "Value": value} for key, value in package.tags.items()]
    if fields := list(dict.fromkeys(_UPDATED[name] for name in changed if name in _UPDATED)):
        detail["UpdatedModelPackageFields"] = fields
    return detail


def _shortened(specification: Document) -> Document:
    containers = [
        {name: container[name] for name in _CONTAINER if name in container}
        for container in specification["Containers"]
    ]
    rest = {name: list(specification[name]) for name in _SPECIFICATION if name in specification}
    return {"Containers": containers} | rest


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
