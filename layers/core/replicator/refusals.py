"""What cannot be mirrored, and what its owner can do about it: decided before anything is copied."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from replicator.errors import ErrorCode, PermanentError
from replicator.fields import Card, Image, Refuse
from replicator.identifiers import ImageReference, InvalidIdentifierError, public_hub_content
from replicator.package import CARD_LEVELS, CARD_MAX, contradicts, readable_card, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicator.identifiers import ModelPackageArn, SourceVersion
    from replicator.package import Description, Found
    from replicator.policy import Policy
    from replicator.steps import ArtifactCopy, CopyResult, ImageCopy

LARGEST_STATE = 262_144
"""Bytes: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html."""
_RESERVED = 40_000
"""Bytes of a state for all but copies and results: 32,768 of them for the cause of an error."""
_LONGEST_RESULT = 1024
"""Bytes of a `CopyResult` beside its two locations: names, numbers, pin, checksum."""


def refuse_what_cannot_be_mirrored(arn: ModelPackageArn, description: Description, policy: Policy) -> None:
    """Raise `PermanentError` with a code and what to do, or return."""
    if description.get("SourceAlgorithmSpecification") and not description.get("InferenceSpecification"):
        raise PermanentError(
            ErrorCode.SOURCE_ALGORITHM_ONLY,
            f"{arn} has a source algorithm and no inference specification, so it cannot be deployed from another "
            "account. Add an inference specification to it (UpdateModelPackage).",
        )
    for found in walk(description):
        if isinstance(found.rule, Refuse):
            _refuse(arn, found, policy)
        if isinstance(found.rule, Card) and not readable_card(found.value):
            raise PermanentError(
                ErrorCode.LIMIT_EXCEEDED,
                f"{found.path} of {arn} has {len(found.value)} characters, or is nested too deeply: at most "
                f"{CARD_MAX} characters and {CARD_LEVELS} levels are read. Register the model with a simpler card.",
            )


def _refuse(arn: ModelPackageArn, found: Found, policy: Policy) -> None:
    member = found.path.rpartition(".")[2]
    if member == "ProductId":
        raise PermanentError(
            ErrorCode.MARKETPLACE_PRODUCT,
            f"{found.path} of {arn} names the AWS Marketplace product {found.value}: a subscription belongs to an "
            "account and cannot be copied. Subscribe in the hub, and register the model there.",
        )
    if member == "ManagedStorageType" and found.value == "Restricted":
        raise PermanentError(
            ErrorCode.RESTRICTED_STORAGE,
            f"{arn} lies in SageMaker's restricted managed storage, which only SageMaker can read. Register the "
            "model with artifacts in a bucket of the spoke.",
        )
    if member == "AcceptEula" and found.value and not policy.accept_eulas:
        raise PermanentError(
            ErrorCode.EULA_NOT_ACCEPTED,
            f"{found.path} of {arn} accepts a licence in the name of the spoke, and the hub's operator has not. Read "
            "the licence; then set AcceptEulas of the hub's stack to true, deploy, and redrive.",
        )
    if member == "HubContentArn" and not public_hub_content(found.value, policy.region):
        raise PermanentError(
            ErrorCode.PRIVATE_HUB_CONTENT,
            f"{found.path} of {arn} is {found.value[:300]}, which is not content of SageMaker's public hub in "
            f"{policy.region}: the hub's account cannot read a private hub, or one in another Region. Register the "
            "model with artifacts in a bucket.",
        )


def refuse_places_elsewhere(version: SourceVersion, results: Sequence[CopyResult], policy: Policy) -> None:
    """Raise `PermanentError` when a result of a copy names a place that no copy of the version has.

    The copy functions name none. Whoever invokes the register function by hand may.
    """
    for result in results:
        if not policy.is_place_of(version, result.destination):
            raise PermanentError(
                ErrorCode.HUB_REFUSED,
                f"the copy of {result.uri} of {version.arn} is said to be at {result.destination}, which is no place "
                "of that version in the hub. Find out who invoked the register function; then redrive.",
            )


def image_to_copy(arn: ModelPackageArn, found: Found, policy: Policy) -> ImageReference | None:
    """Say which image has to be copied; None for one that stays where it is.

    Raises `PermanentError` for an image that is neither the spoke's own nor allowed.
    """
    if not isinstance(found.rule, Image):
        return None
    try:
        image = ImageReference.parse(found.value)
    except InvalidIdentifierError as error:
        raise PermanentError(
            ErrorCode.FOREIGN_REGISTRY,
            f"{found.path} of {arn} is {error}. Push the image to the spoke's own registry and register it from there.",
        ) from error
    if contradicts(found):
        raise PermanentError(
            ErrorCode.DIGEST_MISMATCH,
            f"{found.path} of {arn} is {image}, and ImageDigest beside it is {found.beside['ImageDigest']}: two "
            "different images. Register the model again with one digest.",
        )
    aws_owned = image.account in policy.aws_registries
    if not aws_owned and image.account != arn.account and image.account not in policy.image_accounts:
        raise PermanentError(
            ErrorCode.FOREIGN_REGISTRY,
            f"{found.path} of {arn} is {image}, in the registry of account {image.account}, which is neither the "
            f"spoke ({arn.account}) nor one of ImageAccounts of the hub's stack. Push it to the spoke, or allow it.",
        )
    if image.region != policy.region:
        raise PermanentError(
            ErrorCode.FOREIGN_REGION,
            f"{found.path} of {arn} is {image}, in {image.region}; SageMaker takes images only from the region of "
            f"the model package, which is {policy.region}. Push it there.",
        )
    return None if aws_owned else image


def refuse_too_many_copies(arn: ModelPackageArn, copies: Sequence[ArtifactCopy | ImageCopy]) -> None:
    """Raise `PermanentError` when the copies and their results do not fit into one state of Step Functions."""
    size = sum(bytes_in_state(copy) for copy in copies)
    most = LARGEST_STATE - _RESERVED
    if size > most:
        raise PermanentError(
            ErrorCode.LIMIT_EXCEEDED,
            f"{arn} names {len(copies)} locations, which with their results need up to {size} bytes of a run's "
            f"state, and {most} are there. Register the model with fewer or shorter locations, for instance one "
            "prefix for what is now many objects.",
        )


def bytes_in_state(copy: ArtifactCopy | ImageCopy) -> int:
    """Give the bytes that a copy and its result need at most in the state of a run, as JSON."""
    uri = len(json.dumps(copy.uri))
    # The result has the location again, and where it went: shorter, or below a prefix of its own.
    place = len(json.dumps(copy.destination if copy.kind == "artifact" else copy.repository))
    base = copy.base if copy.kind == "artifact" else None
    beside = len(json.dumps(base.uri)) + place if base else 0  # where a manifest says that it is
    return len(json.dumps(copy.model_dump(mode="json"))) + uri + (uri + place) + beside + _LONGEST_RESULT
