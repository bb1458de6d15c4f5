"""What a registry holds: repositories and manifests in moto's backend, the bytes of layers in files."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.ecr.models import Image, Repository, ecr_backends

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
KINDS = frozenset(
    {
        INDEX,
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
MOST_LAYER_BYTES = 52_000 * 1024 * 1024
MOST_MANIFEST_BYTES = 4 * 1024 * 1024
MOST_LAYERS = 4_200
# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html, LayerPartTooSmallException
LEAST_PART_BYTES = 5 * 1024 * 1024

RULES: tuple[Rule, ...] = (
    Rule(
        "ecr-repository-must-exist",
        "A push to a repository that does not exist is refused with NAME_UNKNOWN.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/docker-push-ecr-image.html",
    ),
    Rule(
        "ecr-wrong-digest",
        "A layer whose content has another digest is refused with 400 BLOB_UPLOAD_INVALID.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
    Rule(
        "ecr-empty-layer",
        "An upload without a byte cannot be completed: 400 BLOB_UPLOAD_INVALID, EmptyUploadException.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
    Rule(
        "ecr-small-part",
        "Every part of a layer but the last has 5 MiB at least.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CompleteLayerUpload.html",
    ),
    Rule(
        "ecr-part-follows",
        "A part that does not begin where the last one ended is refused with 416 BLOB_UPLOAD_INVALID.",
        Evidence.REPORTED,
        "apple/container#1895",
    ),
    Rule(
        "ecr-layer-size",
        "A layer has 52,000 MiB at most.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html",
    ),
    Rule(
        "ecr-mount-what-a-manifest-names",
        "A blob is mounted when a manifest of the source repository names it; else the answer is an upload, 202.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
    Rule(
        "ecr-mounting-is-turned-on",
        "Blobs are mounted where the account setting BLOB_MOUNTING is on and both repositories are encrypted alike.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html",
    ),
    Rule(
        "ecr-manifest-digest",
        "A manifest that is put under a digest which is not its own is refused with MANIFEST_INVALID.",
        Evidence.REPORTED,
        "google/go-containerregistry#1568",
    ),
    Rule(
        "ecr-manifest-validation",
        "A manifest that Amazon ECR cannot read or does not know the kind of is refused with 405 UNSUPPORTED.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
    Rule(
        "ecr-artifact-manifest",
        "An artifact manifest, a kind that OCI 1.1 dropped before its release, is refused with 405 UNSUPPORTED.",
        Evidence.REPORTED,
        "oras-project/oras#690",
    ),
    Rule(
        "ecr-layers-of-an-image",
        "An image has 4,200 layers at most; more are refused with 405 UNSUPPORTED.",
        Evidence.REPORTED,
        "openai/tart#890",
    ),
    Rule(
        "ecr-manifest-size",
        "A manifest has 4 MiB at most; the answer is that of every other parameter that does not fit.",
        Evidence.INFERRED,
        "The distribution specification asks registries for 4 MiB; no refusal of a larger one was found.",
    ),
    Rule(
        "ecr-referrers-taken",
        "A manifest with a subject is taken, and listed by the referrers API (`Repositories.takes_referrers`).",
        Evidence.DOCUMENTED,
        "https://aws.amazon.com/about-aws/whats-new/2024/06/amazon-ecr-oci-image-distribution-version-1-1",
    ),
    Rule(
        "ecr-referrers-refused",
        "A manifest with subject or artifactType is refused with 405 UNSUPPORTED where referrers are not taken.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
    Rule(
        "ecr-missing-content",
        "A manifest that names layers or images which are not there is refused with MANIFEST_BLOB_UNKNOWN.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
    Rule(
        "ecr-missing-content-status",
        "The status of that refusal is 400.",
        Evidence.INFERRED,
        "The recording has no status; every other refusal of content has 400.",
    ),
    Rule(
        "ecr-immutable-tag",
        "A tag of an immutable repository that is taken is refused with 400 TAG_INVALID, for the same image too.",
        Evidence.RECORDED,
        "ecr/registry-http.json",
    ),
)


class RegistryError(Exception):
    """A refusal: an HTTP status, a code of the distribution API, and the exception of the JSON API."""

    def __init__(self, status: int, code: str, message: str, exception: str = "ServerException") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.exception = exception


@dataclass
class Upload:
    """The parts of an upload session."""

    file: Path
    parts: list[int] = field(default_factory=list)
    """Bytes of each part, in order."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.parts)


class Repositories:
    """Operations on the repositories of every account and region."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.most_layer_bytes = MOST_LAYER_BYTES
        self.blob_mounting = False
        """Account setting BLOB_MOUNTING, off unless an account turns it on.
        https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html"""
        self.takes_referrers = True
        """Whether manifests with ``subject`` or ``artifactType`` are taken, which is documented, or refused with 405,
        which is reported of 2026: https://github.com/aws/containers-roadmap/issues/2783. Tests try both."""
        self.least_part_bytes = LEAST_PART_BYTES
        self._uploads: dict[str, Upload] = {}
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
        file = self.folder / "uploads" / session
        file.touch()
        self._uploads[session] = Upload(file)
        return session

    def upload(self, session: str) -> Upload:
        """Give an upload that was opened and not completed."""
        found = self._uploads.get(session)
        if found is None:
            raise RegistryError(
                404, "BLOB_UPLOAD_UNKNOWN", f"There is no upload {session}", "UploadNotFoundException"
            )
        return found

    def append(self, session: str, pieces: Iterable[bytes], begins: int | None = None) -> None:
        """Add a part to an upload; ``begins`` is the offset of its first byte, where the client said that."""
        upload = self.upload(session)
        if begins not in (None, upload.size):
            message = f"First byte of the layer part is {begins} instead of {upload.size}"
            raise RegistryError(416, "BLOB_UPLOAD_INVALID", message, "InvalidLayerPartException")
        size = 0
        try:
            with upload.file.open("ab") as file:
                for piece in pieces:
                    size += file.write(piece)
        finally:
            # What came before a client hung up stays: the next part has to begin after it.
            if size:
                upload.parts.append(size)

    def complete(self, repository: Repository, session: str, digest: str) -> None:
        """Make an upload a blob of the repository, when it is what it is said to be."""
        upload = self.upload(session)
        with upload.file.open("rb") as stream:
            found = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
        refusal = self._refusal(repository, session, upload, found == digest)
        self._uploads.pop(session, None)
        if refusal:
            upload.file.unlink()
            raise refusal
        upload.file.replace(self._blob_file(digest))
        repository.layers[digest] = upload.size

    def _refusal(
        self, repository: Repository, session: str, upload: Upload, right: bool
    ) -> RegistryError | None:
        size = upload.size
        if not size:
            message = (
                f"The upload with id '{session}' in the repository with name '{repository.name}' in registry with id "
                f"'{repository.account_id}' cannot be completed because it does not have any parts"
            )
            return RegistryError(400, "BLOB_UPLOAD_INVALID", message, "EmptyUploadException")
        if min(upload.parts[:-1], default=self.least_part_bytes) < self.least_part_bytes:
            message = "All layer parts except the last part should be at least 5MB"
            return RegistryError(400, "BLOB_UPLOAD_INVALID", message, "LayerPartTooSmallException")
        if not right:
            message = "None of the provided layer digests match the calculated layer digest"
            return RegistryError(400, "BLOB_UPLOAD_INVALID", message, "InvalidLayerException")
        if size > self.most_layer_bytes:
            message = f"The layer has {size} bytes, more than {self.most_layer_bytes}"
            return RegistryError(400, "SIZE_INVALID", message, "InvalidLayerException")
        return None

    def keep(self, repository: Repository, data: bytes, digest: str) -> None:
        """Keep a blob that came in another way than by an upload session, when it is what it is said to be."""
        session = self.begin_upload()
        self.append(session, [data])
        self.complete(repository, session, digest)

    def mount(self, repository: Repository, other: Repository, digest: str) -> bool:
        """Share a layer of another repository of the same registry, when the account allows that.

        Amazon ECR mounts only what a manifest names: https://github.com/aws/containers-roadmap/issues/2860.
        """
        alike = repository.encryption_configuration == other.encryption_configuration
        if not (self.blob_mounting and alike and digest in other.layers and digest in _named(other)):
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
        if not self.takes_referrers and ("subject" in document or "artifactType" in document):
            raise _unfit("Invalid JSON syntax")
        found = f"sha256:{hashlib.sha256(raw).hexdigest()}"
        if digest not in (None, found):
            message = (
                f"The image with digest '{digest}' in repository '{repository.name}' and registry ID "
                f"'{repository.account_id}' does not match the image digest that Amazon ECR has calculated."
            )
            raise RegistryError(400, "MANIFEST_INVALID", message, "ImageDigestDoesNotMatchException")
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
    elif len(document.get("layers", ())) > MOST_LAYERS:
        why = "Limit on number of layers per image exceeded"
    if why or not isinstance(document, dict):
        raise _unfit(why or "")
    return document


def _unfit(why: str) -> RegistryError:
    message = f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{why}'"
    return RegistryError(405, "UNSUPPORTED", message, "InvalidParameterException")


def _blobs(document: dict[str, Any]) -> list[str]:
    return [entry["digest"] for entry in (document.get("config"), *document.get("layers", [])) if entry]


def _named(repository: Repository) -> set[str]:
    """Give the blobs that the manifests of a repository name."""
    return {digest for image in repository.images for digest in _blobs(json.loads(image.image_manifest))}


def _check_content(repository: Repository, document: dict[str, Any]) -> None:
    there = {image.get_image_digest() for image in repository.images}
    images = [entry["digest"] for entry in document.get("manifests", [])]
    for kind, digests, known, exception in (
        ("Layers", _blobs(document), repository.layers, "LayersNotFoundException"),
        ("Images", images, there, "ReferencedImagesNotFoundException"),
    ):
        missing = ", ".join(digest for digest in digests if digest not in known)
        if missing:
            message = (
                f"{kind} with digests '[{missing}]' required for pushing image into repository with name "
                f"'{repository.name}' in the registry with id '{repository.account_id}' do not exist"
            )
            raise RegistryError(400, "MANIFEST_BLOB_UNKNOWN", message, exception)
