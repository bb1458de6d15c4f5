"""The decision: what a run has to do. Pure; who calls it has read everything before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicator.errors import ErrorCode, PermanentError
from replicator.fields import Image, Location
from replicator.identifiers import ImageReference, InvalidIdentifierError, SourceVersion
from replicator.package import (
    GONE,
    artifact_copy,
    created,
    fingerprint,
    modified,
    one_spelling,
    s3_location,
    walk,
)
from replicator.policy import REJECTED
from replicator.refusals import image_to_copy, refuse_too_many_copies, refuse_what_cannot_be_mirrored
from replicator.steps import Action, ArtifactCopy, ImageCopy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.identifiers import ModelPackageArn
    from replicator.package import Description, Found
    from replicator.policy import Policy

_MOST_NEIGHBOURS = 3
"""A run's state has little room, and each blob is looked for in one of them only."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows of the mirror."""

    hub_arn: str
    fingerprint: str
    """Of the source as it was last applied."""
    locations: Mapping[str, str]
    """Where each location went, as the package spells it."""
    created: str | None = None
    """When the source of the mirror was created."""
    group: str | None = None
    """The group of the source as people wrote it."""
    pins: Mapping[str, str] = field(default_factory=dict)
    """The `pin` of each location that has one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do, and why."""

    action: Action
    reason: str
    fingerprint: str
    copies: list[ArtifactCopy | ImageCopy] = field(default_factory=list)


def plan(
    arn: ModelPackageArn,
    source: Description,
    known: Known | None,
    policy: Policy,
    tags: Mapping[str, str] | None = None,
    begun: bool = False,
) -> Plan:
    """Decide what a run has to do. Raises `PermanentError` for what cannot be mirrored.

    Parameters
    ----------
    arn
        Of the source.
    source
        The source as it is now.
    known
        The mirror as the ledger knows it; None when there is none.
    policy
        The operator's choices.
    tags
        Of the source's group, where the policy asks for them.
    begun
        Whether an earlier attempt may have made a mirror that the ledger does not know.
    """
    print_ = fingerprint(source)
    if known and known.created and known.created != created(source):
        raise PermanentError(
            ErrorCode.SOURCE_REPLACED,
            f"{arn} was created at {created(source)}, and the one that {known.hub_arn} mirrors at {known.created}: "
            "its group was deleted and made anew. Register the new model in a group of another name.",
        )
    if known and known.group and known.group != SourceVersion.described(arn, source).group:
        raise PermanentError(
            ErrorCode.SOURCE_REPLACED,
            f"{arn} is in the group {SourceVersion.described(arn, source).group}, and {known.hub_arn} mirrors the "
            f"version of the group {known.group}. Two groups whose names differ only by case cannot both be mirrored. "
            "Register the new model in a group of another name.",
        )
    if known and known.fingerprint == print_:
        return Plan(Action.NOTHING, f"the mirror {known.hub_arn} shows this state already", print_)
    approval = source.get("ModelApprovalStatus")
    status = source.get("ModelPackageStatus")
    if known and approval == REJECTED:
        # Nothing may stand in the way of a rejection, so it waits for no copy.
        return Plan(Action.UPDATE, f"the version was {REJECTED}", print_)
    if known is None and (reason := _not_wanted(arn, source, policy, tags or {})):
        # A mirror that was made and not noted any more has to hear of it, above all of a rejection.
        return Plan(Action.UPDATE if begun else Action.NOTHING, reason, print_)
    if status in ("Pending", "InProgress"):
        return Plan(
            Action.NOTHING, f"SageMaker is still at it ({status}); an event comes when it is done", print_
        )
    if status != "Completed":
        raise PermanentError(
            ErrorCode.PACKAGE_NOT_COMPLETED,
            f"{arn} is {status}, not Completed, so there is nothing whole to mirror. Register the model again.",
        )
    refuse_what_cannot_be_mirrored(arn, source, policy)
    copies = find_copies(arn, source, policy)
    refuse_too_many_copies(arn, copies)
    if known is None:
        return Plan(Action.MIRROR, f"the version is {approval} and has no mirror yet", print_, copies)
    missing = [
        copy if copy.uri in known.locations else _registered(copy, modified(source))
        for copy in copies
        if copy.uri not in known.locations or _others(copy, known.pins)
    ]
    return Plan(Action.UPDATE, f"the version changed since {known.hub_arn} was written", print_, missing)


def plan_without_source(
    arn: ModelPackageArn, known: Known | None, begun: bool = False, rejected: bool = False
) -> Plan:
    """Decide what a run has to do whose source is not there any more: its mirror stays, and says so.

    Raises `PermanentError` (``PACKAGE_NOT_FOUND``) when there is no mirror. The other parameters are those of `plan`.

    Parameters
    ----------
    rejected
        Whether an event told that it had been rejected, before anybody could read that.
    """
    if known is None and not begun:
        raise package_not_found(arn)
    if rejected:
        return Plan(Action.UPDATE, "the version was rejected and then deleted; its mirror is rejected", GONE)
    if known and known.fingerprint == GONE:
        return Plan(Action.NOTHING, f"the version was deleted, and {known.hub_arn} says so already", GONE)
    return Plan(Action.UPDATE, "the version was deleted; its mirror stays, and is marked", GONE)


def package_not_found(arn: ModelPackageArn) -> PermanentError:
    """Give the error for a version that is not there and has no mirror."""
    return PermanentError(
        ErrorCode.PACKAGE_NOT_FOUND,
        f"{arn} does not exist any more in the spoke, and has no mirror. If it was deleted on purpose, delete this "
        "message.",
    )


def _not_wanted(
    arn: ModelPackageArn, source: Description, policy: Policy, tags: Mapping[str, str]
) -> str | None:
    """Say why a version without a mirror gets none, or None when it gets one."""
    approval = source.get("ModelApprovalStatus")
    if approval not in policy.replicated_statuses:
        wanted = " or ".join(sorted(policy.replicated_statuses))
        return f"there is no mirror, and the version is {approval}, not {wanted}"
    group = SourceVersion.described(arn, source).group
    if not policy.includes(group, tags):
        return f"the hub's stack does not include the group {group} of account {arn.account}"
    return None


def _registered(copy: ArtifactCopy | ImageCopy, time: str | None) -> ArtifactCopy | ImageCopy:
    """Note that a mirrored version named the location by an update: bytes may be as young as that."""
    if isinstance(copy, ImageCopy):
        return copy
    base = copy.base.model_copy(update={"registered_at": time}) if copy.base else None
    return copy.model_copy(update={"registered_at": time, "base": base})


def find_copies(arn: ModelPackageArn, source: Description, policy: Policy) -> list[ArtifactCopy | ImageCopy]:
    """List every location to copy once, however many members name it, in the order they are named."""
    version = SourceVersion.described(arn, source)
    destination = policy.artifact_prefix(version.account, version.group, version.version)
    copies: dict[str, ArtifactCopy | ImageCopy] = {}
    sure: set[str] = set()
    for found in walk(source):
        uri = one_spelling(found)
        if image := image_to_copy(arn, found, policy):
            image_copy = _image_copy(arn, found, image, policy)
            known = copies.get(uri)
            copies[uri] = (
                _joined_images(arn, found, known, image_copy) if isinstance(known, ImageCopy) else image_copy
            )
            continue
        try:
            location = s3_location(found)
        except InvalidIdentifierError as error:
            raise PermanentError(
                ErrorCode.INVALID_LOCATION,
                f"{found.path} of {arn} is {error}. Register the model again with an s3:// location.",
            ) from error
        if location and location.bucket not in policy.aws_buckets:
            before, copy = copies.get(uri), artifact_copy(found, location, destination, created(source))
            copies[uri] = (
                _joined(arn, found, before, copy, uri in sure) if isinstance(before, ArtifactCopy) else copy
            )
            if isinstance(found.rule, Location):
                sure.add(uri)
    return _with_neighbours(list(copies.values()))


def _with_neighbours(copies: list[ArtifactCopy | ImageCopy]) -> list[ArtifactCopy | ImageCopy]:
    """Tell each image in which repositories of the hub the others are: images of one package share layers."""
    repositories = dict.fromkeys(copy.repository for copy in copies if isinstance(copy, ImageCopy))
    return [
        copy.model_copy(
            update={
                "neighbours": [each for each in repositories if each != copy.repository][:_MOST_NEIGHBOURS]
            }
        )
        if isinstance(copy, ImageCopy)
        else copy
        for copy in copies
    ]


def _image_copy(arn: ModelPackageArn, found: Found, image: ImageReference, policy: Policy) -> ImageCopy:
    digest = found.beside.get("ImageDigest") or image.digest
    return ImageCopy(
        uri=found.value,
        # SageMaker takes capitals in a digest, and an image registry does not.
        digest=digest.lower() if digest else None,
        repository=policy.repository_name(arn.account, image.account, image.repository),
    )


def _joined_images(arn: ModelPackageArn, found: Found, before: ImageCopy, copy: ImageCopy) -> ImageCopy:
    if before.digest and copy.digest and before.digest != copy.digest:
        raise _moved(arn, found, before.digest, copy.digest)
    return before if before.digest else copy


def _joined(
    arn: ModelPackageArn, found: Found, before: ArtifactCopy, copy: ArtifactCopy, sure: bool
) -> ArtifactCopy:
    """Join what two members ask of the copy of one location; refuse when they mean different bytes.

    Parameters
    ----------
    sure
        Whether a member that can only hold a location named it ``before``. What free text means is guessed.
    """
    typed = isinstance(found.rule, Location)
    if typed and sure and (before.type, before.base) != (copy.type, copy.base):
        raise PermanentError(
            ErrorCode.INVALID_LOCATION,
            f"{found.path} of {arn} names {copy.uri} as {copy.type}, and another member names it as {before.type}. "
            "Register the model again, with a location of its own for each.",
        )
    if before.etag and copy.etag and before.etag != copy.etag:
        raise _moved(arn, found, before.etag, copy.etag)
    return (copy if typed else before).model_copy(
        update={
            "etag": before.etag or copy.etag,
            "longest": min(before.longest, copy.longest),
            "named": before.named or copy.named,
            "runs": before.runs or copy.runs,
        }
    )


def _moved(arn: ModelPackageArn, found: Found, first: str, second: str) -> PermanentError:
    return PermanentError(
        ErrorCode.SOURCE_CHANGED,
        f"{found.path} of {arn} is {found.value}, and was registered as {second}; another member was registered "
        f"when that was {first}. Register the model again, with a location or tag of its own for each.",
    )


def pin(copy: ArtifactCopy | ImageCopy) -> str | None:
    """Give what SageMaker recorded of the very bytes: the same location may hold others later."""
    return copy.digest if isinstance(copy, ImageCopy) else copy.etag


def _others(copy: ArtifactCopy | ImageCopy, pins: Mapping[str, str]) -> bool:
    """Tell whether a location was copied when it held other bytes."""
    return pin(copy) is not None and pins.get(copy.uri) not in (None, pin(copy))


def uncopied_members(source: Description, locations: Mapping[str, str], policy: Policy) -> set[str]:
    """Name the top-level members that point to something in the spoke that has not been copied."""
    return {
        found.path.partition(".")[0].partition("{")[0].partition("[")[0]
        for found in walk(source)
        if _in_spoke(found, policy) and one_spelling(found) not in locations
    }


def _in_spoke(found: Found, policy: Policy) -> bool:
    try:
        if isinstance(found.rule, Image):
            return ImageReference.parse(found.value).account not in policy.aws_registries
        location = s3_location(found)
    except InvalidIdentifierError:
        return True
    return location is not None and location.bucket not in policy.aws_buckets
