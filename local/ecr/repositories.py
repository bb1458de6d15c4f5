"""What a registry holds: repositories and manifests in moto's backend, the bytes of layers in files."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.ecr.models import Image, Repository, ecr_backends

if TYPE_CHECKING:
    from collections.abc import Iterable

INDEX = "application/vnd.oci.image.index.v1+json"
KINDS = frozenset(
    {
        INDEX,
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
    }
)
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
MOST_LAYER_BYTES = 52_000 * 1024 * 1024
MOST_MANIFEST_BYTES = 4 * 1024 * 1024


class RegistryError(Exception):
    """A refusal: an HTTP status, a code of the distribution API, and the exception of the JSON API."""

    def __init__(self, status: int, code: str, message: str, exception: str = "ServerException") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.exception = exception


class Repositories:
    """Operations on the repositories of every account and region."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.most_layer_bytes = MOST_LAYER_BYTES
        self.blob_mounting = False
        """Account setting BLOB_MOUNTING, off unless an account turns it on.
        https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html"""
        self._lock = threading.RLock()
        for name in ("blobs", "uploads"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def find(self, account: str, region: str, name: str) -> Repository:
        """Give a repository, which must exist: a push does not make one."""
        found = ecr_backends[account][region].repositories.get(name)
        if found is None:
            message = f"The repository with name '{name}' does not exist in the registry with id '{account}'"
            raise RegistryError(404, "NAME_UNKNOWN", message, "RepositoryNotFoundException")
        return found

    def blob(self, repository: Repository, digest: str) -> Path:
        """Give the file of a blob that the repository has."""
        if digest not in repository.layers:
            message = f"The layer '{digest}' does not exist in the repository '{repository.name}'"
            raise RegistryError(404, "BLOB_UNKNOWN", message, "LayersNotFoundException")
        return self._blob_file(digest)

    def begin_upload(self) -> str:
        """Open an upload session."""
        session = str(uuid.uuid4())
        self._upload_file(session).touch()
        return session

    def uploaded(self, session: str) -> int:
        """Tell how many bytes a session has."""
        file = self._upload_file(session)
        if not file.exists():
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", f"There is no upload {session}")
        return file.stat().st_size

    def append(self, session: str, pieces: Iterable[bytes]) -> None:
        """Add to an upload."""
        self.uploaded(session)
        with self._upload_file(session).open("ab") as file:
            for piece in pieces:
                file.write(piece)

    def complete(self, repository: Repository, session: str, digest: str) -> None:
        """Make an upload a blob of the repository, when it is what it is said to be."""
        size = self.uploaded(session)
        file = self._upload_file(session)
        with file.open("rb") as stream:
            found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        if found != digest or size > self.most_layer_bytes:
            file.unlink()
        if found != digest:
            message = f"The layer has the digest {found}, not {digest}"
            raise RegistryError(400, "DIGEST_INVALID", message, "InvalidLayerException")
        if size > self.most_layer_bytes:
            message = f"The layer has {size} bytes, more than {self.most_layer_bytes}"
            raise RegistryError(400, "SIZE_INVALID", message, "InvalidLayerException")
        file.replace(self._blob_file(digest))
        repository.layers[digest] = size

    def keep(self, repository: Repository, data: bytes) -> None:
        """Keep a blob that came in another way than by an upload session."""
        session = self.begin_upload()
        self.append(session, [data])
        self.complete(repository, session, f"sha256:{hashlib.sha256(data).hexdigest()}")

    def mount(self, repository: Repository, other: Repository, digest: str) -> bool:
        """Share a layer of another repository of the same registry, when the account allows that."""
        alike = repository.encryption_configuration == other.encryption_configuration
        if not (self.blob_mounting and alike and digest in other.layers):
            return False
        repository.layers[digest] = other.layers[digest]
        return True

    def image(self, repository: Repository, reference: str) -> Image:
        """Give an image by tag or digest."""
        for image in repository.images:
            if reference in (image.get_image_digest(), *image.image_tags):
                return image
        message = f"Requested image not found: {reference} in {repository.name}"
        raise RegistryError(404, "MANIFEST_UNKNOWN", message, "ImageNotFoundException")

    def put_manifest(
        self, repository: Repository, raw: bytes, media_type: str, tag: str | None, digest: str | None
    ) -> Image:
        """Store a manifest under its digest and maybe a tag. Raises `RegistryError`."""
        document = _checked(raw, media_type)
        found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if digest not in (None, found):
            message = f"The manifest has the digest {found}, not {digest}"
            raise RegistryError(400, "DIGEST_INVALID", message, "ImageDigestDoesNotMatchException")
        with self._lock:
            _check_content(repository, document)
            if tag is not None:
                self._free_tag(repository, tag, found)
            known = [image for image in repository.images if image.get_image_digest() == found]
            if known:
                if tag is not None:
                    known[0].update_tag(tag)
                return known[0]
            image = Image(repository.account_id, tag or "", raw.decode(), repository.name, media_type, found)
            image.image_tags = [tag] if tag else []
            image.image_tag = tag
            repository.images.append(image)
            return image

    def referrers(self, repository: Repository, digest: str) -> dict[str, Any]:
        """List what refers to a manifest."""
        entries = []
        for image in repository.images:
            document = json.loads(image.image_manifest)
            if (document.get("subject") or {}).get("digest") != digest:
                continue
            kind = document.get("artifactType") or (document.get("config") or {}).get("mediaType")
            entry = {
                "mediaType": image.image_manifest_media_type,
                "digest": image.get_image_digest(),
                "size": len(image.image_manifest.encode()),
                "artifactType": kind,
                "annotations": document.get("annotations"),
            }
            entries.append({name: value for name, value in entry.items() if value})
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}

    def _free_tag(self, repository: Repository, tag: str, digest: str) -> None:
        """Take a tag from the image that has it, which an immutable one refuses, even for the same image.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html and
        https://github.com/aws/containers-roadmap/issues/2380
        """
        for image in repository.images:
            if tag not in image.image_tags:
                continue
            if repository.is_tag_immutable():
                same = image.get_image_digest() == digest
                raise RegistryError(
                    400,
                    "TAG_INVALID",
                    f"The image tag '{tag}' already exists in the '{repository.name}' repository and cannot be "
                    "overwritten because the repository is immutable.",
                    "ImageAlreadyExistsException" if same else "ImageTagAlreadyExistsException",
                )
            image.remove_tag(tag)

    def _blob_file(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "-")

    def _upload_file(self, session: str) -> Path:
        return self.folder / "uploads" / Path(session).name


def _checked(raw: bytes, media_type: str) -> dict[str, Any]:
    """Read a manifest as Amazon ECR validates it: 405 stands for a parameter that does not fit.

    https://github.com/opcr-io/policy/issues/149
    """
    try:
        document = json.loads(raw.decode())
    except ValueError:
        document = None
    why = None
    if not isinstance(document, dict) or document.get("schemaVersion") != 2:
        why = "Invalid JSON syntax"
    elif len(raw) > MOST_MANIFEST_BYTES:
        why = f"Member must have length less than or equal to {MOST_MANIFEST_BYTES}"
    elif media_type not in KINDS or document.get("mediaType", media_type) != media_type:
        why = f"Unsupported manifest media type {media_type}"
    if why or not isinstance(document, dict):
        message = f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{why}'"
        raise RegistryError(405, "UNSUPPORTED", message, "InvalidParameterException")
    return document


def _check_content(repository: Repository, document: dict[str, Any]) -> None:
    blobs = [entry["digest"] for entry in (document.get("config"), *document.get("layers", [])) if entry]
    missing = [digest for digest in blobs if digest not in repository.layers]
    if missing:
        message = f"The layers with digests '{missing}' required for pushing the image do not exist"
        raise RegistryError(400, "MANIFEST_BLOB_UNKNOWN", message, "LayersNotFoundException")
    there = {image.get_image_digest() for image in repository.images}
    missing = [entry["digest"] for entry in document.get("manifests", []) if entry["digest"] not in there]
    if missing:
        message = f"The images with digests '{missing}' required for pushing the index do not exist"
        raise RegistryError(400, "MANIFEST_BLOB_UNKNOWN", message, "ReferencedImagesNotFoundException")
