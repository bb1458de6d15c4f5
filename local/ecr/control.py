"""Amazon ECR's control plane: what moto gets wrong that a replicator would notice.

moto takes any digest, forgets layers, gives tokens that open nothing and sees no other account's
registry. Each function below takes the place of one of moto's.
"""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend, Image, ecr_backends
from moto.ecr.responses import ECRResponse
from moto.sts.models import sts_backends

from local.ecr.repositories import RegistryError
from local.ecr.tokens import LIFETIME_SECONDS, Caller
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from local.ecr.server import LocalRegistry

_API = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference"

RULES: tuple[Rule, ...] = (
    Rule(
        "ecr-proxy-endpoint",
        "GetAuthorizationToken gives a token and the endpoint of each registry that was asked for.",
        Evidence.DOCUMENTED,
        f"{_API}/API_GetAuthorizationToken.html",
    ),
    Rule(
        "ecr-download-url",
        "GetDownloadUrlForLayer gives a presigned URL of object storage.",
        Evidence.DOCUMENTED,
        f"{_API}/API_GetDownloadUrlForLayer.html",
    ),
    Rule(
        "ecr-put-image",
        "PutImage refuses what the endpoint refuses of a manifest, with an exception of its own.",
        Evidence.DOCUMENTED,
        f"{_API}/API_PutImage.html",
    ),
    Rule(
        "ecr-complete-layer-upload",
        "CompleteLayerUpload refuses a wrong digest, an empty upload and small parts.",
        Evidence.DOCUMENTED,
        f"{_API}/API_CompleteLayerUpload.html",
    ),
    Rule(
        "ecr-image-size",
        "imageSizeInBytes of DescribeImages is the size of the layers, not of the configuration alone.",
        Evidence.DOCUMENTED,
        f"{_API}/API_ImageDetail.html",
    ),
    Rule(
        "ecr-registry-of-another-account",
        "A call with a registryId is about that account's registry, and needs its repository's policy.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html",
    ),
    Rule(
        "ecr-one-repository-of-a-name",
        "Of two that create a repository at once, one gets RepositoryAlreadyExistsException.",
        Evidence.DOCUMENTED,
        f"{_API}/API_CreateRepository.html",
    ),
)


class Patch(Protocol):
    """Replaces an attribute of a class of moto, as ``mock.patch.object`` and ``monkeypatch.setattr`` do."""

    def __call__(self, owner: Any, name: str, value: Any, /) -> object:
        """Replace it."""


def install(registry: LocalRegistry, patch: Patch) -> None:
    """Put moto's control plane right, and in agreement with the registry's endpoints."""
    create_repository, lock = ECRBackend.create_repository, threading.Lock()

    def one_at_a_time(backend: ECRBackend, *args: Any, **more: Any) -> Any:
        # moto looks and then makes: two at once would both make it, and one lose its images.
        with lock:
            return create_repository(backend, *args, **more)

    patch(ECRBackend, "create_repository", one_at_a_time)
    patch(ECRBackend, "put_image", _put_image(registry))
    patch(ECRBackend, "complete_layer_upload", _complete_layer_upload(registry))
    patch(Image, "get_image_size_in_bytes", _image_size)
    patch(ECRResponse, "get_authorization_token", _get_authorization_token(registry))
    patch(ECRResponse, "get_download_url_for_layer", _get_download_url_for_layer(registry))
    patch(ECRResponse, "ecr_backend", _backend_of_registry(registry))


def _get_authorization_token(registry: LocalRegistry) -> Any:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html."""

    def get_authorization_token(response: Any) -> ActionResult:
        caller = _caller(response)
        expires = datetime.now(UTC) + timedelta(seconds=LIFETIME_SECONDS)
        data = [
            {
                "authorizationToken": registry.tokens.issue(caller),
                "expiresAt": expires,
                "proxyEndpoint": registry.endpoint(account, _host_of(response)),
            }
            for account in response._get_param("registryIds") or [caller.account]
        ]
        return ActionResult({"authorizationData": data})

    return get_authorization_token


def _get_download_url_for_layer(registry: LocalRegistry) -> Any:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetDownloadUrlForLayer.html."""

    def get_download_url_for_layer(response: Any) -> ActionResult:
        name, digest = response._get_param("repositoryName"), response._get_param("layerDigest")
        account = response._get_param("registryId") or response.current_account
        try:
            repository = registry.repositories.find(account, response.region, name)
            url = registry.presigned(registry.repositories.blob(repository, digest), _host_of(response))
        except RegistryError as error:
            raise _exception(error) from error
        return ActionResult({"downloadUrl": url, "layerDigest": digest})

    return get_download_url_for_layer


def _put_image(registry: LocalRegistry) -> Any:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html."""

    def put_image(
        backend: ECRBackend,
        repository_name: str,
        image_manifest: str,
        image_tag: str | None,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> Image:
        try:
            repository = registry.repositories.find(backend.account_id, backend.region_name, repository_name)
            media_type = image_manifest_mediatype or _media_type(image_manifest)
            return registry.repositories.put_manifest(
                repository, image_manifest.encode(), media_type, image_tag, digest
            )
        except RegistryError as error:
            raise _exception(error) from error

    return put_image


def _complete_layer_upload(registry: LocalRegistry) -> Any:
    """https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html."""
    original = ECRBackend.complete_layer_upload

    def complete_layer_upload(
        backend: ECRBackend, repository_name: str, upload_id: str, layer_digests: list[str], **more: Any
    ) -> Any:
        repository = backend._get_repository(repository_name, more.get("registry_id"))
        upload = repository.uploads.get(upload_id)
        data = bytes(upload.layer_parts) if upload else b""
        if upload:
            try:
                digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
                registry.repositories.keep(repository, data, digest if digest in layer_digests else "")
            except RegistryError as error:
                del repository.uploads[upload_id]
                raise _exception(error) from error
        return original(backend, repository_name, upload_id, layer_digests, **more)

    return complete_layer_upload


def _image_size(image: Any) -> int | None:
    """Add up config and layers; moto has the config alone. An index has no size of its own."""
    document = json.loads(image.image_manifest)
    if "layers" not in document:
        return None
    return sum(int(entry["size"]) for entry in (document.get("config"), *document["layers"]) if entry)


def _backend_of_registry(registry: LocalRegistry) -> property:
    """Give the registry that a request is about: another account's only where its policy lets the caller in.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html
    """

    def ecr_backend(response: Any) -> ECRBackend:
        own = response.current_account
        account = response._get_param("registryId") or own
        backend = ecr_backends[account][response.region]
        if account == own:
            return backend
        name = response._get_param("repositoryName")
        action = f"ecr:{response._get_action()}"
        arn = f"arn:aws:ecr:{response.region}:{account}:repository/{name}"
        if name not in backend.repositories or not registry.allows(_caller(response), action, account, arn):
            raise EcrError("AccessDeniedException", f"not authorized to perform: {action} on resource: {arn}")
        return backend

    return property(ecr_backend)


def _caller(response: Any) -> Caller:
    account, access_key = response.current_account, response.get_access_key()
    assumed = [
        role for role in sts_backends[account]["aws"].assumed_roles if role.access_key_id == access_key
    ]
    return Caller(account, response.region, access_key, assumed[0].role_arn if assumed else None)


def _host_of(response: Any) -> str:
    """Give the host on which the API was called: who reached it there reaches the registry there."""
    host = urlsplit(f"//{response.headers.get('Host', '')}").hostname or ""
    return "127.0.0.1" if not host or ".amazonaws.com" in host else host


def _media_type(manifest: str) -> str:
    try:
        return str(json.loads(manifest).get("mediaType", ""))
    except (ValueError, AttributeError):
        return ""


def _exception(error: RegistryError) -> EcrError:
    return EcrError(error.exception, error.message)


class EcrError(ServiceException):  # type: ignore[misc]
    """An exception of the JSON API by its code, for those that moto has no class for."""
