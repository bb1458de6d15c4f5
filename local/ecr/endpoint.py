"""The HTTP endpoint of one account's registry: the OCI Distribution API with Amazon ECR's habits."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from local.ecr.http_handler import Handler
from local.ecr.repositories import RegistryError
from local.ecr.tokens import Caller, TokenError
from local.evidence import Evidence, Rule

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

_RECORDING = "ecr/registry-http.json"

RULES: tuple[Rule, ...] = (
    Rule(
        "ecr-basic-authentication",
        "The endpoint takes Basic authentication with the user AWS and a token; without one it answers 401.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html",
    ),
    Rule(
        "ecr-expired-token",
        "An expired token is refused with 403 DENIED and a text that says so.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html",
    ),
    Rule(
        "ecr-actions",
        "Each request needs the action of the API that does the same.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html",
    ),
    Rule(
        "ecr-patch-created",
        "PATCH of an upload answers 201, not 202.",
        Evidence.RECORDED,
        _RECORDING,
    ),
    Rule(
        "ecr-patch-range",
        "The Range of the first PATCH is right; it stays the same for every later one, though all bytes are kept.",
        Evidence.RECORDED,
        _RECORDING,
    ),
    Rule(
        "ecr-blob-redirect",
        "GET of a blob is a 307 to object storage, which refuses a request that still has the Authorization.",
        Evidence.RECORDED,
        _RECORDING,
    ),
    Rule(
        "ecr-manifest-digest-header",
        "HEAD of a manifest has Docker-Content-Digest, GET has not.",
        Evidence.RECORDED,
        _RECORDING,
    ),
    Rule(
        "ecr-oci-subject",
        "OCI-Subject comes in answer to a manifest with a subject.",
        Evidence.RECORDED,
        _RECORDING,
    ),
    Rule(
        "ecr-referrers-api",
        "GET of referrers answers 200 with an index, an empty one where nothing refers to the digest.",
        Evidence.REPORTED,
        "sigstore/sigstore-js#1187",
    ),
    Rule(
        "ecr-mount-needs-read",
        "A blob is mounted for those who may read it in the source repository.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html",
    ),
)


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
        self.registry.repositories.append(session, self.pieces(), self._begins())
        self._send_session(201, repository, session)

    def _put_blobs_uploads(
        self, repository: Repository, session: str, query: dict[str, str], caller: Caller
    ) -> None:
        repositories = self.registry.repositories
        repositories.append(session, self.pieces(), self._begins())
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
        # The end of the first part, and of none but the first: https://github.com/aws/containers-roadmap/issues/2831
        parts = self.registry.repositories.upload(session).parts
        reached = f"0-{parts[0] - 1}" if parts else "0-0"
        self.send(status, b"", {"Location": place, "Docker-Upload-Uuid": session, "Range": reached})

    def _begins(self) -> int | None:
        """Give the offset of the first byte of the body, where the client says it."""
        said = re.match(r"(?:bytes[ =])?(\d+)-", self.headers.get("Content-Range", ""))
        return int(said[1]) if said else None


class StorageHandler(Handler):
    """Serves the object storage that layers are redirected to, by presigned URL alone."""

    def answer(self) -> None:
        """Give a file, unless the request brings other credentials than its URL has."""
        registry: LocalRegistry = self.server.registry  # type: ignore[attr-defined]
        if "Authorization" in self.headers:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
            message = (
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified"
            )
            text = f"<Error><Code>InvalidArgument</Code><Message>{message}</Message></Error>"
            self.send(400, text.encode(), {"Content-Type": "application/xml"})
            return
        file = registry.presigned_file(self.path)
        if file is None or self.command not in ("GET", "HEAD"):
            self.send(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
            return
        self.send_file(file)
