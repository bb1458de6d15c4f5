"""Copies one S3 location of a package, an object, a prefix or a manifest, into the hub's bucket.

Theory of operation. The destination is the checkpoint: its key has the fingerprint of exactly these
bytes, so what is found there needs only to be compared, and other bytes can never overwrite it. Multipart
uploads for the exact key belong to the same bytes too, so their parts are taken over. All requests of
all objects run side by side in one pool that stops ahead of the deadline; a run that was killed
anywhere is simply run again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_calls import s3_client
from replicator.aws.artifact_facts import NOT_IN_XML, Tuning
from replicator.aws.artifact_hub import Hub
from replicator.aws.artifact_manifest import ManifestCopy
from replicator.aws.artifact_object import ObjectCopy
from replicator.aws.artifact_place import Place
from replicator.aws.artifact_prefix import PrefixCopy
from replicator.aws.artifact_source import Source
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import InvalidIdentifierError, ModelPackageArn, S3Uri
from replicator.steps import ArtifactCopy, CopyAnswer, CopyRequest

if TYPE_CHECKING:
    from replicator.aws.artifact_pool import Clock
    from replicator.aws.sessions import Sessions
    from replicator.settings import CopyArtifactSettings


def copy_artifact(
    request: CopyRequest,
    settings: CopyArtifactSettings,
    sessions: Sessions,
    seconds_left: Clock,
    tuning: Tuning | None = None,
) -> CopyAnswer:
    """Copy one S3 location, or as much of it as there is time for.

    Parameters
    ----------
    request
        What to copy, and how far the invocation before this one came.
    seconds_left
        Seconds until the deadline.

    Returns
    -------
    CopyAnswer
        The result, or the progress to call again with.

    Raises
    ------
    PermanentError
        The source is missing, empty, archived, changed, not readable or somebody else's; the hub refuses;
        nothing moved in a whole invocation.
    RetryableError
        The same call may succeed later.
    """
    tuning = tuning or Tuning()
    if request.progress and request.progress.streams:
        tuning = replace(tuning, streams=min(tuning.streams, request.progress.streams))
    wanted, account = _parse(request)
    client = s3_client(sessions.for_spoke(settings.copy_role_arn, account), sessions.region, tuning.streams)
    hub = Hub(client, settings.hub_account, settings.hub_bucket, settings.hub_key_arn)

    def place(wanted: ArtifactCopy) -> Place:
        location = _location(request.source_arn, wanted)
        source = Source(
            sessions,
            client,
            bucket=location.bucket,
            account=account,
            copy_role_arn=settings.copy_role_arn,
            spoke_role_name=settings.spoke_role_name,
            streams=tuning.streams,
        )
        return Place(wanted, location, source, hub)

    def copy(wanted: ArtifactCopy) -> ObjectCopy | PrefixCopy | ManifestCopy:
        match wanted.type:
            case "object":
                return ObjectCopy(place(wanted))
            case "prefix":
                return PrefixCopy(place(wanted))
            case "manifest":
                return ManifestCopy(place(wanted), place(wanted.base) if wanted.base else None)

    try:
        return copy(wanted).copy(request.progress, seconds_left, tuning)
    except PermanentError as error:
        if wanted.member is None:
            raise
        # Who wrote it there may not have thought of it as a location at all.
        raise PermanentError(
            error.code, f"{error.message} It is named by {wanted.member} of {request.source_arn}."
        ) from error


def _location(source_arn: str, copy: ArtifactCopy) -> S3Uri:
    try:
        location = S3Uri.parse(copy.uri)
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{source_arn}: {error}") from error
    if NOT_IN_XML.search(location.key):
        raise refusals.unwritable(copy.uri)
    if copy.type != "prefix" and not location.basename:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{source_arn}: {copy.uri} names no object")
    return location


def _parse(request: CopyRequest) -> tuple[ArtifactCopy, str]:
    copy = request.copy_
    if not isinstance(copy, ArtifactCopy):
        raise PermanentError(ErrorCode.UNEXPECTED, f"{copy.uri} is an image, not an artifact")
    try:
        version = ModelPackageArn.parse(request.source_arn)
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{request.source_arn}: {error}") from error
    # The ARN may spell the group in lower case; the plan has it as people wrote it.
    own = f"models/{version.account}/{version.group}/{version.version}/"
    if copy.destination.lower() != own.lower():
        raise PermanentError(
            ErrorCode.HUB_REFUSED,
            f"{request.source_arn} would be copied to {copy.destination}, outside its own {own}. Start its run again "
            "from the beginning.",
        )
    return copy, version.account
