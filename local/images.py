"""Builds real OCI images from files, with Python alone, and pushes them to a registry.

For the demo and the tests, which need images before anything of the replicator runs: so nothing here
uses its copy engine. https://github.com/opencontainers/image-spec/blob/v1.1.0/spec.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = b"{}"


@dataclass(frozen=True)
class Blob:
    """Some bytes and what they are."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        """Give ``sha256:<hex>``."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, Any]:
        """Give the descriptor with which manifests refer to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@dataclass(frozen=True)
class OciImage:
    """A manifest or index with all that it names."""

    manifest: Blob
    blobs: tuple[Blob, ...] = ()
    children: tuple[OciImage, ...] = ()
    platform: tuple[str, str] = ("linux", "amd64")

    @property
    def digest(self) -> str:
        """Give the image's digest."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """Count the bytes of manifests and blobs, each once."""
        every = {blob.digest: len(blob.data) for blob in (self.manifest, *self.blobs)}
        return sum(every.values()) + sum(child.size for child in self.children)


def build_image(
    files: Mapping[str, bytes],
    *,
    layers: int = 1,
    entrypoint: Sequence[str] = (),
    architecture: str = "amd64",
) -> OciImage:
    """Build an image that holds some files.

    Parameters
    ----------
    files
        Contents by path from the root, dealt out to the layers in turn.
    layers
        How many layers, at least 1.
    entrypoint
        What a container runs.
    architecture
        As Go calls it: ``amd64``, ``arm64``.
    """
    dealt: list[dict[str, bytes]] = [{} for _ in range(layers)]
    for number, (path, data) in enumerate(sorted(files.items())):
        dealt[number % layers][path] = data
    archives = [_archive(part) for part in dealt]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint)} if entrypoint else {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(archive).hexdigest()}" for archive in archives],
        },
        "history": [{"created_by": "model-registry-replicator"} for _ in archives],
    }
    # Without a time in its header, the same files give the same layer and digest.
    packed = tuple(Blob(LAYER, gzip.compress(archive, compresslevel=6, mtime=0)) for archive in archives)
    return image_of(Blob(CONFIG, _json(config)), packed, platform=("linux", architecture))


def image_of(
    config: Blob,
    layers: Sequence[Blob],
    *,
    platform: tuple[str, str] = ("linux", "amd64"),
    subject: OciImage | None = None,
    artifact_type: str | None = None,
) -> OciImage:
    """Put config and layers together; with a ``subject`` it is something that refers to that image."""
    manifest: dict[str, Any] = {"schemaVersion": 2, "mediaType": MANIFEST}
    if artifact_type:
        manifest["artifactType"] = artifact_type
    manifest["config"] = config.descriptor
    manifest["layers"] = [layer.descriptor for layer in layers]
    if subject:
        manifest["subject"] = subject.manifest.descriptor
    return OciImage(Blob(MANIFEST, _json(manifest)), (config, *layers), platform=platform)


def build_index(images: Sequence[OciImage]) -> OciImage:
    """Put images for several platforms under one name."""
    entries = [
        image.manifest.descriptor
        | {"platform": dict(zip(("os", "architecture"), image.platform, strict=True))}
        for image in images
    ]
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
    return OciImage(Blob(INDEX, _json(document)), children=tuple(images))


def build_referrer(subject: OciImage, artifact_type: str, data: bytes) -> OciImage:
    """Build something that refers to an image: a signature, an attestation, a bill of materials.

    https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md#guidelines-for-artifact-usage
    """
    config = Blob("application/vnd.oci.empty.v1+json", EMPTY)
    return image_of(config, [Blob(artifact_type, data)], subject=subject, artifact_type=artifact_type)


def push(
    image: OciImage, base_url: str, authorization: str | None, repository: str, tag: str | None = None
) -> str:
    """Push an image to a repository that is there, and give its digest.

    Parameters
    ----------
    image
        What to push, children first.
    base_url
        Of the registry, without ``/v2``; for Amazon ECR the ``proxyEndpoint`` of the token.
    authorization
        Value of the ``Authorization`` header; for Amazon ECR ``Basic <authorizationToken>``.
    repository
        Its name.
    tag
        None pushes by digest.

    Raises
    ------
    RuntimeError
        With the registry's answer, when it refuses.
    """
    api = f"{base_url.rstrip('/')}/v2/{repository}"
    headers = {"Authorization": authorization} if authorization else {}
    with urllib3.PoolManager() as http:
        _push(http, api, headers, image, tag)
    return image.digest


def _push(
    http: urllib3.PoolManager, api: str, headers: dict[str, str], image: OciImage, tag: str | None
) -> None:
    for child in image.children:
        _push(http, api, headers, child, None)
    for blob in image.blobs:
        if http.request("HEAD", f"{api}/blobs/{blob.digest}", headers=headers).status == 200:
            continue
        session = _expect(http.request("POST", f"{api}/blobs/uploads/", headers=headers), 202)
        url = urljoin(api, session.headers["Location"])
        url += f"{'&' if '?' in url else '?'}digest={quote(blob.digest)}"
        kind = {"Content-Type": "application/octet-stream"}
        _expect(http.request("PUT", url, body=blob.data, headers=headers | kind), 201)
    kind = {"Content-Type": image.manifest.media_type}
    url = f"{api}/manifests/{tag or image.digest}"
    _expect(http.request("PUT", url, body=image.manifest.data, headers=headers | kind), 201)


def _expect(answer: urllib3.BaseHTTPResponse, status: int) -> urllib3.BaseHTTPResponse:
    if answer.status != status:
        raise RuntimeError(f"the registry answered {answer.status} to a push: {answer.data[:500]!r}")
    return answer


def _archive(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(data)
            entry.mode = 0o755
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
