"""The mirror: what it should show, and what it is created with. How it is updated is in `mirror_update`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replicator import provenance
from replicator.package import rewrite
from replicator.policy import REJECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from replicator.identifiers import ModelPackageArn
    from replicator.package import Description
    from replicator.policy import Policy

METADATA = "CustomerMetadataProperties"
ADDITIONAL = "AdditionalInferenceSpecifications"
DESCRIPTION = "ApprovalDescription"
APPROVAL = "ModelApprovalStatus"
LIFECYCLE = "ModelLifeCycle"
_STAGE_STATUS = "StageStatus"
STAGE_PENDING = "PendingApproval"
# Free text; the guide lists these and "Approved":
# https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-staging-construct-set-up.html
_NOT_APPROVED = frozenset({STAGE_PENDING, "InProgress", "OnHold", REJECTED, "Retired"})

OWN_WORDS = "Replicator: "
"""How an approval description of ours begins."""

_TOKENS = uuid.UUID("8f5ff2a4-6d4e-5b0c-9c55-3a5b6b1f6f0e")


def says_approved(stage: Mapping[str, Any]) -> bool:
    """Whether a `ModelLifeCycle` has a status that may be read as an approval."""
    status = stage.get(_STAGE_STATUS)
    return status is not None and status not in _NOT_APPROVED


def unapproved(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Give a `ModelLifeCycle` whose status says that it is not approved yet."""
    return {**stage, _STAGE_STATUS: STAGE_PENDING}


@dataclass(frozen=True, slots=True)
class Desired:
    """What the mirror should show, going by the source alone."""

    members: dict[str, Any]
    """Members of CreateModelPackage that are carried over, rewritten, with the approval description."""
    source_approval: str
    dropped: dict[str, str]
    """Path of each member that is not carried over, and why."""


def desired(
    source: Description, locations: Mapping[str, str], hub_key_arn: str, *, follows_approval: bool = False
) -> Desired:
    """Rewrite the source into what the mirror should show.

    Parameters
    ----------
    source
        The source as it is now.
    locations
        See `replicator.package.rewrite`.
    hub_key_arn
        The key that takes the place of the source's.
    follows_approval
        Whether the mirror's approval status is that of the source. Else the status of its stage may not say approved,
        either.
    """
    rewritten = rewrite(source, locations, images_by_digest=True)
    members, dropped = dict(rewritten.members), dict(rewritten.dropped)
    if not follows_approval and says_approved(members.get(LIFECYCLE, {})):
        members[LIFECYCLE] = unapproved(members[LIFECYCLE])
        dropped[f"{LIFECYCLE}.{_STAGE_STATUS}"] = (
            f"it may say approved where the hub has not approved: the mirror has {STAGE_PENDING}, unless "
            "HubApprovalStatus is Mirrored"
        )
    metadata = members.pop(METADATA, {})
    foreign = {key for key in metadata if key.startswith(provenance.PREFIX)}
    dropped |= {f"{METADATA}{{{key}}}": "the replicator's own prefix" for key in foreign}
    kept = {key: value for key, value in metadata.items() if key not in foreign}
    for key in sorted(kept)[provenance.ENTRIES_MAX - len(provenance.IDENTITY) :]:
        del kept[key]
        dropped[f"{METADATA}{{{key}}}"] = "the entries by which the mirror is known take its place"
    if kept:
        members[METADATA] = kept
    if source.get("SecurityConfig"):
        members["SecurityConfig"] = {"KmsKeyId": hub_key_arn}
    if str(source.get(DESCRIPTION) or "").startswith(OWN_WORDS):
        dropped[DESCRIPTION] = "the replicator's own words"
    elif source.get(DESCRIPTION):
        members[DESCRIPTION] = source[DESCRIPTION]
    return Desired(members, source.get(APPROVAL) or "PendingManualApproval", dropped)


@dataclass(frozen=True, slots=True)
class Creation:
    """The calls that make a mirror."""

    create: dict[str, Any]
    then_update: dict[str, Any]
    """What Create refuses and Update takes, without the ARN; often empty."""


def creation(
    arn: ModelPackageArn, want: Desired, group: str, policy: Policy, entries: Mapping[str, str]
) -> Creation:
    """Say how a mirror is made.

    Parameters
    ----------
    arn
        Of the source; the client token is made from it and the hub's namespace.
    want
        What the mirror should show.
    group
        The hub's group.
    policy
        Gives the approval status and the namespace.
    entries
        Provenance, as far as it fits beside the source's own metadata.
    """
    members = dict(want.members)
    later: dict[str, Any] = {}
    if description := members.pop(DESCRIPTION, None):
        later[DESCRIPTION] = description
    # Create refuses SourceUri beside an inference specification (aws/sagemaker-python-sdk issue 4492).
    if "SourceUri" in members and "InferenceSpecification" in members:
        later["SourceUri"] = members.pop("SourceUri")
    members[METADATA] = {**members.get(METADATA, {}), **entries}
    request = {
        **members,
        "ModelPackageGroupName": group,
        APPROVAL: policy.first_approval_status(want.source_approval),
        # Of this hub: another one in the account makes a mirror of its own.
        "ClientToken": str(uuid.uuid5(_TOKENS, f"{policy.namespace}/{arn.key}")),
    }
    return Creation({name: value for name, value in request.items() if value not in ({}, [])}, later)
