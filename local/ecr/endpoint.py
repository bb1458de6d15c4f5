"""The HTTP endpoint of one account's registry: the OCI Distribution API with Amazon ECR's habits.

- Basic authentication with ``AWS:<token>``:
  https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
- ``PATCH`` answers 201, with a ``Range`` that does not move:
  https://github.com/aws/containers-roadmap/issues/2831
- layers come from Amazon S3 by a redirect:
  https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-setting-up-s3-gateway
- referrers: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers
- ``Docker-Content-Digest`` comes with ``HEAD`` of a manifest and not with ``GET``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from local.ecr.http_handler import Handler
from local.ecr.repositories import RegistryError
from local.ecr.tokens import Caller, TokenError

if TYPE_CHECKING:
    from moto.ecr.models import Repository

    from local.ecr.server import LocalRegistry

_PATH = re.compile(
    r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs/uploads|blobs|referrers|tags)/(?P<reference>[^/]*)"
)
# What a request needs: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
ACTIONS = {
    ("HEAD", "manifests"): "ecr:BatchGetImage",
    ("GET", "manifests"): "ecr:BatchGetImage",
    ("PUT", "manifests"): "ecr:PutImage",
    ("HEAD", "blobs"): "ecr:BatchCheckLayerAvailability",
    ("GET", "blobs"): "ecr:GetDownloadUrlForLayer",
    ("POST", "blobs/uploads"): "ecr:InitiateLayerUpload",
    ("PATCH", "blobs/uploads"): "ecr:UploadLayerPart",
    ("PUT", "blobs/uploads"): "ecr:CompleteLayerUpload",
    ("GET", "referrers"): "ecr:BatchGetImage",
    ("GET", "tags"): "ecr:ListImages",
}


class RegistryHandler(Handler):
    """Serves one account's registry."""

    def answer(self) -> None:
        """Answer a request."""
        try:
            self._route()
        except RegistryError as error:
            document = {"errors": [{"code": error.code, "message": error.message}]}
            headers = {"Docker-Distribution-Api-Version": "registry/2.0"}
            if error.status == 401:
                headers["WWW-Authenticate"] = f'Basic realm="{self.base_url}/",service="ecr.amazonaws.com"'
            self.send_json(error.status, document, headers)

    @property
    def registry(self) -> LocalRegistry:
        """The registry that this endpoint belongs to."""
        registry: LocalRegistry = self.server.registry  # type: ignore[attr-defined]
        return registry

    def _route(self) -> None:
        caller = self._caller()
        parts = urlsplit(self.path)
        if parts.path.rstrip("/") == "/v2":
            self.send_json(200, {}, {"Docker-Distribution-Api-Version": "registry/2.0"})
            return
        found = _PATH.fullmatch(parts.path)
        action = ACTIONS.get((self.command, found["kind"])) if found else None
        if found is None or action is None:
            raise RegistryError(405, "UNSUPPORTED", f"{self.command} {parts.path} is not supported")
        arn = f"arn:aws:ecr:{caller.region}:{self.account}:repository/{found['name']}"
        self._check(caller, action, arn)
        if action == "ecr:CompleteLayerUpload" and self.headers.get("Content-Length", "0") != "0":
            self._check(caller, "ecr:UploadLayerPart", arn)
        repository = self.registry.repositories.find(self.account, caller.region, found["name"])
        method = f"_{self.command.lower()}_{found['kind'].replace('/', '_')}"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        getattr(self, method)(repository, found["reference"], query, caller)

    def _check(self, caller: Caller, action: str, arn: str) -> None:
        if not self.registry.allows(caller, action, self.account, arn):
            message = (
                f"User: {caller.role_arn or caller.access_key} is not authorized to perform: {action} "
                f"on resource: {arn}"
            )
            raise RegistryError(403, "DENIED", message)

    def _caller(self) -> Caller:
        authorization = self.headers.get("Authorization")
        if authorization is None:
            raise RegistryError(401, "UNAUTHORIZED", "Not Authorized")
        try:
            return self.registry.tokens.read(authorization)
        except TokenError as error:
            expired = "expired" in str(error)
            status, code = (403, "DENIED") if expired else (401, "UNAUTHORIZED")
            raise RegistryError(status, code, str(error)) from error

    def _head_manifests(
        self, repository: Repository, reference: str, query: dict[str, str], caller: Caller
    ) -> None:
        image = self.registry.repositories.image(repository, reference)
        raw = image.image_manifest.encode()
        headers = {
            "Content-Type": image.image_manifest_media_type,
            "Docker-Content-Digest": image.get_image_digest(),
        }
        if self.command == "GET":
            del headers["Docker-Content-Digest"]
        self.send(200, raw, headers)

    _get_manifests = _head_manifests

    def _put_manifests(
        self, repository: Repository, reference: str, query: dict[str, str], caller: Caller
    ) -> None:
        by_digest = reference.startswith("sha256:")
        raw = b"".join(self.pieces())
        image = self.registry.repositories.put_manifest(
            repository,
            raw,
            self.headers.get("Content-Type", ""),
            None if by_digest else reference,
            reference if by_digest else None,
        )
        digest = image.get_image_digest()
        headers = {
            "Location": f"{self.base_url}/v2/{repository.name}/manifests/{digest}",
            "Docker-Content-Digest": digest,
        }
        subject = json.loads(raw).get("subject")
        if subject:
            headers["OCI-Subject"] = subject["digest"]
        self.send(201, b"", headers)

    def _head_blobs(self, repository: Repository, digest: str, query: dict[str, str], caller: Caller) -> None:
        size = self.registry.repositories.blob(repository, digest).stat().st_size
        self.send_head(200, {"Content-Length": str(size), "Docker-Content-Digest": digest})

    def _get_blobs(self, repository: Repository, digest: str, query: dict[str, str], caller: Caller) -> None:
        file = self.registry.repositories.blob(repository, digest)
        self.send(307, b"", {"Location": self.registry.presigned(file, self.host)})

    def _post_blobs_uploads(
        self, repository: Repository, reference: str, query: dict[str, str], caller: Caller
    ) -> None:
        repositories = self.registry.repositories
        if "mount" in query and "from" in query:
            other = repositories.find(self.account, caller.region, query["from"])
            arn = f"arn:aws:ecr:{caller.region}:{self.account}:repository/{other.name}"
            may_read = self.registry.allows(caller, "ecr:GetDownloadUrlForLayer", self.account, arn)
            if may_read and repositories.mount(repository, other, query["mount"]):
                place = f"{self.base_url}/v2/{repository.name}/blobs/{query['mount']}"
                self.send(201, b"", {"Location": place, "Docker-Content-Digest": query["mount"]})
                return
        self._send_session(202, repository, repositories.begin_upload())

    def _patch_blobs_uploads(
        self, repository: Repository, session: str, query: dict[str, str], caller: Caller
    ) -> None:
        repositories = self.registry.repositories
        begins = re.match(r"(?:bytes[ =])?(\d+)-", self.headers.get("Content-Range", ""))
        if begins and int(begins[1]) != repositories.uploaded(session):
            raise RegistryError(
                416, "BLOB_UPLOAD_INVALID", "The part does not begin where the last one ended"
            )
        repositories.append(session, self.pieces())
        self._send_session(201, repository, session)

    def _put_blobs_uploads(
        self, repository: Repository, session: str, query: dict[str, str], caller: Caller
    ) -> None:
        repositories = self.registry.repositories
        repositories.append(session, self.pieces())
        digest = query.get("digest", "")
        repositories.complete(repository, session, digest)
        place = f"{self.base_url}/v2/{repository.name}/blobs/{digest}"
        self.send(201, b"", {"Location": place, "Docker-Content-Digest": digest})

    def _get_referrers(
        self, repository: Repository, digest: str, query: dict[str, str], caller: Caller
    ) -> None:
        index: dict[str, Any] = self.registry.repositories.referrers(repository, digest)
        self.send_json(200, index, {"Content-Type": index["mediaType"]})

    def _get_tags(
        self, repository: Repository, reference: str, query: dict[str, str], caller: Caller
    ) -> None:
        tags = sorted(tag for image in repository.images for tag in image.image_tags)
        self.send_json(200, {"name": repository.name, "tags": tags}, {})

    def _send_session(self, status: int, repository: Repository, session: str) -> None:
        place = f"{self.base_url}/v2/{repository.name}/blobs/uploads/{session}"
        headers = {"Location": place, "Docker-Upload-Uuid": session, "Range": "0-0"}
        self.send(status, b"", headers)


class StorageHandler(Handler):
    """Serves the object storage that layers are redirected to, by presigned URL alone."""

    def answer(self) -> None:
        """Give a file, unless the request brings other credentials than its URL has."""
        registry: LocalRegistry = self.server.registry  # type: ignore[attr-defined]
        if "Authorization" in self.headers:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
            text = b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>"
            self.send(400, text, {"Content-Type": "application/xml"})
            return
        file = registry.presigned_file(self.path)
        if file is None or self.command not in ("GET", "HEAD"):
            self.send(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
            return
        self.send_file(file)
