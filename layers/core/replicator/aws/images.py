"""Mirrors one image of a model package in the hub's Amazon ECR registry.

Here is what is particular to Amazon ECR: whose registry may be read with whose credentials, tokens, and
the hub's repositories. How bytes get from one registry to the other is in `oci_image`.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from replicator.aws.failures import in_hub, translated
from replicator.aws.oci_copy import STREAMS
from replicator.aws.oci_image import Outcome, copy_image
from replicator.aws.oci_registry import Place, Registry
from replicator.aws.sessions import Reads, Sessions, client_config
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import ImageReference, InvalidIdentifierError, ModelPackageArn, s3_host
from replicator.partitions import partition_of
from replicator.steps import ALREADY_THERE, CopyAnswer, CopyResult, ImageCopy, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import boto3
    from mypy_boto3_ecr import ECRClient

    from replicator.settings import CopyImageSettings
    from replicator.steps import CopyRequest

    type _Translation = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class MirroredImage:
    """What the step answers, and what the function logs of it."""

    answer: CopyAnswer
    outcome: Outcome


def mirror_image(
    request: CopyRequest,
    settings: CopyImageSettings,
    sessions: Sessions,
    time_left: Callable[[], float] = lambda: float("inf"),
) -> MirroredImage:
    """Bring an image to the hub's registry, or go on with that until the time is up.

    Parameters
    ----------
    request
        Of the state machine; its copy is an image.
    settings
        Of the function.
    sessions
        For the region of the package.
    time_left
        Seconds until it has to have stopped.

    Raises
    ------
    PermanentError
        ``FOREIGN_REGISTRY``, ``FOREIGN_REGION`` and ``INVALID_LOCATION`` before anything is read;
        ``NO_PROGRESS`` when nothing arrived in a whole invocation; what `copy_image` raises.
    RetryableError
        When a service is busy or out of order.
    """
    package = ModelPackageArn.parse(request.source_arn)
    copy = request.copy_
    if not isinstance(copy, ImageCopy):
        raise PermanentError(
            ErrorCode.INVALID_LOCATION, f"{copy.uri} is not an image: copy-artifact copies it."
        )
    image = readable_image(copy, package, settings)
    for repository in (copy.repository, *copy.neighbours):
        _check_destination(repository, package, settings)
    host = f"{settings.hub_account}.dkr.ecr.{package.region}.{partition_of(package.region).dns_suffix}"
    spoke = sessions.spoke(package.account, settings.spoke_role_name, Reads.IMAGES)
    narrowed = sessions.for_spoke(settings.ecr_copy_role_arn, package.account)
    hub = HubRegistry(_client(narrowed, package.region), settings)
    outcome = copy_image(
        Place(_source_registry(spoke, image, package), image.repository, f"{image.host}/{image.repository}"),
        Place(hub.registry(), copy.repository, f"{host}/{copy.repository}", tuple(copy.neighbours)),
        copy.digest or image.reference,
        time_left=time_left,
        prepare=lambda: hub.ensure_repository(copy.repository, image, package.partition),
        # What one invocation could not move has very large layers: each then has the network for itself, or
        # several would share it and none arrive in time.
        streams=1 if request.progress else STREAMS,
        unconfirmed=request.progress.unconfirmed if request.progress else (),
    )
    return MirroredImage(_answer(request, outcome, f"{host}/{copy.repository}"), outcome)


def readable_image(copy: ImageCopy, package: ModelPackageArn, settings: CopyImageSettings) -> ImageReference:
    """Parse the image's URI and refuse what the hub must not read on behalf of this package.

    A package may name any image in the world; the hub's credentials reach further than its author's.
    """
    try:
        image = ImageReference.parse(copy.uri)
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{package}: {error}.") from error
    if image.account != package.account and image.account not in settings.image_accounts:
        raise PermanentError(
            ErrorCode.FOREIGN_REGISTRY,
            f"{package} uses {image}, an image of account {image.account}. Only images of account "
            f"{package.account} are copied; add {image.account} to the parameter ImageAccounts to allow it.",
        )
    if image.region != package.region:
        raise PermanentError(
            ErrorCode.FOREIGN_REGION,
            f"{package} uses {image}, which is in {image.region}: SageMaker cannot deploy it in {package.region}. "
            "Push the image to a repository there and register the model again.",
        )
    return image


@dataclass(frozen=True)
class HubRegistry:
    """The hub's own registry, with credentials that may write one spoke's repositories."""

    client: ECRClient
    settings: CopyImageSettings

    def registry(self) -> Registry:
        """Get an endpoint and a token."""
        return _registry(self.client, None, "the hub's registry", in_hub)

    def ensure_repository(self, name: str, image: ImageReference, partition: str) -> None:
        """Make the repository unless it is there; another run may be doing the same.

        Tags are immutable because a mirror does not change; images are scanned as they come; layers are
        encrypted with the hub's key. Tags on the repository tell where its images come from. Its policy lets
        the consumers pull: it is set with every new image, so that it follows the operator's choice.
        """
        tags = {
            "replicator:namespace": self.settings.namespace,
            "replicator:source-account": image.account,
            "replicator:source-repository": image.repository,
        }
        with (
            in_hub(f"making the repository {name} in the hub's registry"),
            suppress(self.client.exceptions.RepositoryAlreadyExistsException),
        ):
            self.client.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "KMS", "kmsKey": self.settings.hub_key_arn},
                tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        if self.settings.consumers:
            with in_hub(f"letting the consumers pull from {name} in the hub's registry"):
                self.client.set_repository_policy(
                    repositoryName=name,
                    policyText=json.dumps(self.settings.consumers.repository_policy(partition)),
                )


def _source_registry(spoke: boto3.Session, image: ImageReference, package: ModelPackageArn) -> Registry:
    own = image.account == package.account
    in_spoke = partial(
        translated,
        denied=ErrorCode.SOURCE_ACCESS_DENIED,
        otherwise=ErrorCode.SOURCE_ACCESS_DENIED,
        advice=f"Deploy spoke.yaml in account {package.account} again, then redrive.",
    )
    client = _client(spoke, image.region)
    return _registry(client, None if own else image.account, f"the registry of {image}", in_spoke)


def _registry(client: ECRClient, account: str | None, name: str, within: _Translation) -> Registry:
    """Get an endpoint and a token: new ones for every invocation, though a token lives for twelve hours."""

    def login() -> tuple[str, str]:
        # The token is good for Basic authentication as it comes: base64 of "AWS:<password>".
        # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_AuthorizationData.html
        with within(f"getting a token for {name}"):
            answer = (
                client.get_authorization_token(registryIds=[account])
                if account
                else client.get_authorization_token()
            )
        data = answer["authorizationData"][0]
        return data["proxyEndpoint"], f"Basic {data['authorizationToken']}"

    region = client.meta.region_name
    return Registry(*login(), renew=lambda: login()[1], redirects_to=lambda host: s3_host(host, region))


def _client(session: boto3.Session, region: str) -> ECRClient:
    return session.client("ecr", region_name=region, config=client_config())


def _check_destination(repository: str, package: ModelPackageArn, settings: CopyImageSettings) -> None:
    own = f"{settings.namespace}/{package.account}/"
    if not repository.startswith(own):
        raise PermanentError(
            ErrorCode.HUB_REFUSED,
            f"{package} would be written to, or mount from, the repository {repository}, outside its own {own}*. "
            "Start its run again from the beginning.",
        )


def _answer(request: CopyRequest, outcome: Outcome, repository: str) -> CopyAnswer:
    if not outcome.done:
        if request.progress:
            _check_progress(request, request.progress, outcome)
        now = Progress(
            moved=outcome.moved,
            total=outcome.total,
            objects=outcome.objects,
            stopped=outcome.stopped,
            unconfirmed=list(outcome.unconfirmed),
        )
        return CopyAnswer(done=False, progress=now)
    result = CopyResult(
        kind="image",
        uri=request.copy_.uri,
        destination=f"{repository}@{outcome.digest}",
        bytes=outcome.moved,
        objects=outcome.objects,
        pin=outcome.digest,
        pinned="digest" if isinstance(request.copy_, ImageCopy) and request.copy_.digest else "none",
        checksum=outcome.digest,
        verified="digest",
        method=ALREADY_THERE if outcome.already_there else "streamed",
    )
    return CopyAnswer(done=True, result=result)


def _check_progress(request: CopyRequest, before: Progress, outcome: Outcome) -> None:
    # Not by sums of what is there: every invocation looks in another order, and at less when it stops.
    # A blob that was sent whole may have arrived: the next invocation sees that, so each of them counts once.
    sent = set(outcome.unconfirmed) - set(before.unconfirmed)
    if not outcome.arrivals and not sent:
        raise PermanentError(
            ErrorCode.NO_PROGRESS,
            f"{request.copy_.uri}: nothing more arrived in a whole invocation; {outcome.moved:,} of "
            f"{outcome.total:,} bytes were seen in the hub. A layer may be too large for one invocation: give the "
            "function more memory, which brings it more network, then redrive.",
        )
