"""Claims about Amazon ECR's registry endpoint: images of a few hundred bytes in throwaway repositories."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from local.images import MANIFEST, Blob, build_image, image_of, push
from tools.real_checks.checks import Check, check, expect

if TYPE_CHECKING:
    from tools.real_checks.world import Registry, World

_REGISTRY, _COPY = "layers/core/replicator/aws/oci_registry.py", "layers/core/replicator/aws/oci_copy.py"
_SPEC = "https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md"
_BINARY = "application/octet-stream"


def _begin(registry: Registry, repository: str) -> str:
    answer = registry.call("POST", f"{repository}/blobs/uploads/")
    expect(answer.status == 202, f"POST {answer.status}")
    return urljoin(registry.endpoint, str(answer.headers["Location"]))


def _with_digest(url: str, digest: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}digest={quote(digest)}"


def _sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _said(answer: Any) -> str:
    return f"{answer.status} {answer.data[:200].decode(errors='replace')}"


@check(
    "proxy-endpoint",
    "GetAuthorizationToken for another account's registry answers with that registry's endpoint.",
    source="https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html",
    relies="layers/core/replicator/aws/images.py",
)
def proxy_endpoint(world: World) -> str:
    """Ask as the hub for the spoke's, and as the spoke."""
    asked = world.registry(world.hub, world.spoke.account).endpoint
    own = world.registry(world.spoke).endpoint
    return expect(asked == own, f"{asked}, the spoke's own {own}")


@check(
    "patch-then-put",
    "A blob goes up by POST, one PATCH with the whole body and its length, and PUT with the digest.",
    source=f"{_SPEC}#pushing-a-blob-in-chunks; https://github.com/aws/containers-roadmap/issues/2831",
    relies=_REGISTRY,
    makes="a repository",
)
def patch_then_put(world: World) -> str:
    """Push a blob so; what PATCH answers is told, whatever it is."""
    registry, repository, data = world.registry(world.spoke), world.repository("patch"), b"a layer"
    url = _begin(registry, repository)
    patched = registry.call("PATCH", url, data, Content_Type=_BINARY)
    expect(patched.status in (201, 202), f"PATCH {_said(patched)}")
    url = urljoin(registry.endpoint, patched.headers["Location"])
    put = registry.call("PUT", _with_digest(url, _sha(data)))
    seen = f"PATCH {patched.status}, Range {patched.headers.get('Range')}, PUT {put.status}"
    return expect(put.status == 201, seen)


@check(
    "monolithic-put",
    "A blob goes up by POST and one PUT with body and digest.",
    source=f"{_SPEC}#post-then-put",
    relies=_REGISTRY,
    makes="a repository",
)
def monolithic_put(world: World) -> str:
    """Push a small blob so. Whether several gigabytes go this way has to be tried with such an image."""
    registry, repository, data = world.registry(world.spoke), world.repository("put"), b"a layer"
    put = registry.call(
        "PUT", _with_digest(_begin(registry, repository), _sha(data)), data, Content_Type=_BINARY
    )
    return expect(put.status == 201, _said(put))


@check(
    "wrong-digest",
    "A blob whose digest is not the one that PUT names is refused with a 4xx that is not 408 or 429.",
    source="https://github.com/dotnet/sdk-container-builds/issues/424 (BLOB_UPLOAD_INVALID)",
    relies=_REGISTRY,
    makes="a repository",
)
def wrong_digest(world: World) -> str:
    """Push a blob under the digest of another."""
    registry, repository = world.registry(world.spoke), world.repository("wrong")
    url = _with_digest(_begin(registry, repository), _sha(b"another"))
    put = registry.call("PUT", url, b"a layer", Content_Type=_BINARY)
    return expect(_is_refusal(put), _said(put))


@check(
    "foreign-digest",
    "The code of that refusal is BLOB_UPLOAD_INVALID, not the specification's DIGEST_INVALID.",
    source="https://github.com/dotnet/sdk-container-builds/issues/424",
    relies=_REGISTRY,
    makes="a repository",
)
def foreign_digest(world: World) -> str:
    """Push a blob under the digest of another, and read the code."""
    registry, repository = world.registry(world.spoke), world.repository("foreign")
    url = _with_digest(_begin(registry, repository), _sha(b"another"))
    put = registry.call("PUT", url, b"a layer", Content_Type=_BINARY)
    codes = [each.get("code") for each in json.loads(put.data).get("errors", [])]
    return expect(put.status == 400 and codes == ["BLOB_UPLOAD_INVALID"], _said(put))


@check(
    "missing-content",
    "A manifest that names a blob which is not there is refused with a 4xx that is not 408 or 429.",
    source=f"{_SPEC}#error-codes (MANIFEST_BLOB_UNKNOWN)",
    relies=_COPY,
    makes="a repository",
)
def missing_content(world: World) -> str:
    """Put a manifest alone."""
    registry, repository = world.registry(world.spoke), world.repository("missing")
    image = image_of(Blob("application/vnd.oci.image.config.v1+json", b"{}"), [])
    answer = registry.call(
        "PUT", f"{repository}/manifests/{image.digest}", image.manifest.data, Content_Type=MANIFEST
    )
    return expect(_is_refusal(answer), _said(answer))


def _is_refusal(answer: Any) -> bool:
    return 400 <= answer.status < 500 and answer.status not in (401, 408, 429)


@check(
    "immutable-tags",
    "Under immutable tags a manifest may be put by digest and then get a tag; to put it under that tag again is 4xx.",
    source="https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html",
    relies=_COPY,
    makes="a repository",
)
def immutable_tags(world: World) -> str:
    """Put by digest, by tag, by tag again."""
    registry, repository = world.registry(world.spoke), world.repository("fixed", "IMMUTABLE")
    image = build_image({"etc/check": b"immutable"})
    push(image, registry.endpoint, registry.authorization, repository)
    first, again = (
        registry.call("PUT", f"{repository}/manifests/one", image.manifest.data, Content_Type=MANIFEST)
        for _ in range(2)
    )
    return expect(first.status == 201 and _is_refusal(again), f"tag {first.status}, again {_said(again)}")


@check(
    "blob-redirect",
    "GET of a blob is a redirect to another host.",
    source="https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-setting-up-s3-gateway",
    relies="layers/core/replicator/aws/oci_http.py",
)
def blob_redirect(world: World) -> str:
    """Ask for a layer; the address, which is a credential, is not shown."""
    registry, digest = world.registry(world.spoke), world.image.blobs[-1].digest
    answer = registry.call("GET", f"{world.image_repository}/blobs/{digest}")
    host = urlsplit(answer.headers.get("Location", "")).netloc
    elsewhere = bool(host) and host != urlsplit(registry.endpoint).netloc
    return expect(answer.status == 307 and elsewhere, f"{answer.status} to {host}")


@check(
    "manifest-verbatim",
    "GET of a manifest by digest gives its bytes as they were put; HEAD names the digest.",
    source=f"{_SPEC}#pulling-manifests",
    relies=_REGISTRY,
)
def manifest_verbatim(world: World) -> str:
    """Compare; whether GET names the digest too is told."""
    registry, path = world.registry(world.spoke), f"{world.image_repository}/manifests/{world.image.digest}"
    got, head = (registry.call(method, path, Accept=MANIFEST) for method in ("GET", "HEAD"))
    named = [answer.headers.get("Docker-Content-Digest") for answer in (got, head)]
    same = got.data == world.image.manifest.data and named[1] == world.image.digest
    return expect(same, f"same bytes: {same}; digest named by GET: {named[0] is not None}, HEAD: {named[1]}")


@check(
    "referrers",
    "GET of referrers is answered: 200 with an index, or a 4xx that means there is no such API.",
    source=f"{_SPEC}#listing-referrers; https://docs.aws.amazon.com/AmazonECR/latest/userguide/images.html",
    relies="layers/core/replicator/aws/oci_referrers.py",
)
def referrers(world: World) -> str:
    """Ask for what refers to an image that nothing refers to."""
    registry = world.registry(world.spoke)
    answer = registry.call("GET", f"{world.image_repository}/referrers/{world.image.digest}")
    if answer.status == 200:
        return expect("manifests" in json.loads(answer.data), _said(answer))
    return expect(answer.status in (404, 405), _said(answer))


CHECKS: tuple[Check, ...] = (
    proxy_endpoint,
    patch_then_put,
    monolithic_put,
    wrong_digest,
    foreign_digest,
    missing_content,
    immutable_tags,
    blob_redirect,
    manifest_verbatim,
    referrers,
)
