"""What UpdateModelPackage does to the members of a package: pure, and all or nothing."""

from __future__ import annotations

from copy import deepcopy

from local.sagemaker.packages import check_card, check_specification
from local.sagemaker.values import Document, invalid

MAX_PROPERTIES = 50
MAX_ADDITIONAL_SPECIFICATIONS = 15

_REPLACED = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
)
_NOT_APPLIED = {"ModelPackageArn", "ClientToken"}


def apply_update(members: Document, request: Document) -> tuple[Document, list[str]]:
    """Apply an update and say which members of the request it applied.

    Members that the request does not name stay as they are. Source of the member set: the embedded
    documentation of UpdateModelPackage in botocore,
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html.

    Raises
    ------
    ServiceError
        ``ValidationException``; then nothing was applied.
    """
    check_specification(request.get("InferenceSpecification"))
    updated = deepcopy(members)
    for name in _REPLACED:
        if name in request:
            updated[name] = deepcopy(request[name])
    _change_properties(updated, request)
    _add_specifications(updated, request)
    _change_card(updated, request)
    return updated, [name for name in request if name not in _NOT_APPLIED]


def _change_properties(members: Document, request: Document) -> None:
    # Additive: this is why CustomerMetadataPropertiesToRemove exists. Inferred, as is that removal comes first
    # and that removing a key that is not there is no error.
    properties = dict(members.pop("CustomerMetadataProperties", {}))
    for key in request.get("CustomerMetadataPropertiesToRemove", []):
        properties.pop(key, None)
    properties |= request.get("CustomerMetadataProperties", {})
    if len(properties) > MAX_PROPERTIES:
        raise invalid(
            f"The number of CustomerMetadataProperties cannot exceed {MAX_PROPERTIES}, got {len(properties)}."
        )
    if properties:
        members["CustomerMetadataProperties"] = properties


def _add_specifications(members: Document, request: Document) -> None:
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    if not added:
        return
    specifications = [*members.get("AdditionalInferenceSpecifications", []), *deepcopy(added)]
    if len(specifications) > MAX_ADDITIONAL_SPECIFICATIONS:
        raise invalid("Total number of additional Inference Specifications can not exceed "
                      f"{MAX_ADDITIONAL_SPECIFICATIONS}.")  # fmt: skip
    members["AdditionalInferenceSpecifications"] = specifications


def _change_card(members: Document, request: Document) -> None:
    # The sentence is the documented one of ModelCardStatus. That a status alone leaves the content is inferred.
    card = request.get("ModelCard")
    if card is None:
        return
    check_card(card)
    current = members.get("ModelCard", {})
    archived = current.get("ModelCardStatus") == "Archived"
    if archived and card.get("ModelCardContent", current.get("ModelCardContent")) != current.get(
        "ModelCardContent"
    ):
        raise invalid("Model Card is in Archived state")
    members["ModelCard"] = current | deepcopy(card)
