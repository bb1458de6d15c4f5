"""Answers of Amazon ECR's endpoint that were recorded, against those of the local registry."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest
import urllib3

from local.images import build_image, build_index, build_referrer, push
from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.images import OciImage
    from local.server import LocalAws

FILE = "ecr/registry-http.json"
IMAGE = build_image({f"opt/{number}": bytes([number]) * 50_000 for number in range(4)}, layers=2)
LAYER = IMAGE.blobs[1]


class Client:
    """Makes requests to an account's registry, in a repository that holds one image."""

    def __init__(self, aws: LocalAws, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        self.ecr = aws.client("ecr", ACCOUNT)
        self._repositories, self._patch = aws.images.repositories, monkeypatch
        data = self.ecr.get_authorization_token()["authorizationData"][0]
        self.url, self._authorization = data["proxyEndpoint"], f"Basic {data['authorizationToken']}"
        self.ecr.create_repository(repositoryName=name)
        self.push(IMAGE, "1.0")

    def let(self, setting: str, value: object) -> None:
        """Set how the registry behaves, for this test."""
        self._patch.setattr(self._repositories, setting, value)

    def push(self, image: OciImage, tag: str | None = None) -> None:
        push(image, self.url, self._authorization, self.name, tag)

    def put(self, reference: str, image: OciImage) -> urllib3.BaseHTTPResponse:
        manifest = image.manifest
        path = f"{self.name}/manifests/{reference}"
        return self("PUT", path, manifest.data, Content_Type=manifest.media_type)

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> urllib3.BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(
            method,
            path if path.startswith("http") else f"{self.url}/v2/{path}",
            body=body,
            headers={"Authorization": self._authorization} | named,
            redirect=False,
        )

    def upload(self) -> str:
        return self("POST", f"{self.name}/blobs/uploads/").headers["Location"]


@pytest.fixture
def registry(aws: LocalAws, fresh: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of the registry of the account 111111111111."""
    return Client(aws, fresh("scorer"), monkeypatch)


def compare(replay: Replay, **seen: object) -> None:
    """Compare what was seen, by the keys of the recording."""
    for key, value in seen.items():
        replay.compare(key, value)


def refused(replay: Replay, answer: urllib3.BaseHTTPResponse, method: str) -> None:
    compare(replay, method=method, status=answer.status, errors=answer.json()["errors"])


@replays(FILE, "containers-roadmap#2831")
def test_the_range_of_the_first_part_stays(registry: Client, replay: Replay) -> None:
    registry.let("least_part_bytes", 1)
    place = registry.upload()
    answers = [
        registry("PATCH", place, b"x" * 10, Content_Range=f"{begin}-{begin + 9}") for begin in (0, 10, 20)
    ]
    assert [answer.headers["Range"] for answer in answers] == ["0-9"] * 3
    digest = hashlib.sha256(b"x" * 30).hexdigest()
    assert registry("PUT", f"{place}?digest=sha256:{digest}").status == 201
    [status] = {answer.status for answer in answers}
    compare(replay, method="PATCH", status=status, header="Range: stale")


@replays(FILE, "sdk-container-builds#424")
def test_a_layer_of_another_digest(registry: Client, replay: Replay) -> None:
    refused(replay, registry("PUT", f"{registry.upload()}?digest=sha256:{'0' * 64}", b"bytes"), "PUT")


@replays(FILE, "kaniko PR #204")
def test_an_immutable_tag_that_is_taken_by_the_same_image(registry: Client, replay: Replay) -> None:
    registry.ecr.put_image_tag_mutability(repositoryName=registry.name, imageTagMutability="IMMUTABLE")
    replay.bind("<tag>", "1.0")
    replay.bind("<repository>", registry.name)
    refused(replay, registry.put("1.0", IMAGE), "PUT manifest")


@replays(FILE, "56905246540")
def test_a_manifest_that_names_what_is_missing(registry: Client, replay: Replay) -> None:
    answer = registry.put("2.0", build_index([build_image({"not": b"pushed"})]))
    compare(replay, method="PUT manifest", errors=answer.json()["errors"])


@replays(FILE, "opa#6580")
def test_a_blob_comes_from_object_storage(registry: Client, replay: Replay) -> None:
    answer = registry("GET", f"{registry.name}/blobs/{LAYER.digest}")
    place = answer.headers["Location"]
    assert "X-Amz-Signature=" in place
    assert urllib3.request("GET", place).data == LAYER.data
    again = registry("GET", place)
    assert again.status == 400
    said = re.search("<Message>(.*)</Message>", again.data.decode())
    assert said
    compare(
        replay,
        method="GET blob",
        status=answer.status,
        header="Location: a signed URL of S3",
        then={"Message": said[1]},
    )


@replays(FILE, "Docker.Registry.DotNet#34")
def test_the_digest_of_a_manifest_comes_with_head(registry: Client, replay: Replay) -> None:
    for method in ("HEAD", "GET"):
        headers = registry(method, f"{registry.name}/manifests/1.0").headers
        there = "present" if "Docker-Content-Digest" in headers else "absent"
        replay.compare(method, f"Docker-Content-Digest {there}")


@replays(FILE, "containers-roadmap#2783")
def test_a_referrer_that_is_refused(registry: Client, replay: Replay) -> None:
    registry.let("takes_referrers", False)
    referrer = build_referrer(IMAGE, "application/spdx+json", b"{}")
    refused(replay, registry.put(referrer.digest, referrer), "PUT manifest")


@replays(FILE, "containers-roadmap#2860")
def test_only_what_a_manifest_names_is_mounted(registry: Client, replay: Replay) -> None:
    registry.let("blob_mounting", True)
    other = f"{registry.name}-other"
    registry.ecr.create_repository(repositoryName=other)
    unnamed = f"sha256:{hashlib.sha256(b'alone').hexdigest()}"
    assert registry("PUT", f"{registry.upload()}?digest={unnamed}", b"alone").status == 201
    path = f"{other}/blobs/uploads/?from={registry.name}&mount="
    status = [registry("POST", path + digest).status for digest in (LAYER.digest, unnamed)]
    compare(replay, method="POST ?mount=&from=", status=status)


@replays(FILE, "devcontainers/cli#815")
def test_a_layer_of_no_bytes(registry: Client, replay: Replay) -> None:
    digest = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    status = registry("PUT", f"{registry.upload()}?digest={digest}").status
    kind = "4xx/500" if 400 <= status <= 500 else str(status)
    compare(replay, method="PUT blob of 0 bytes", status=kind)


@replays(FILE, "sigstore-js#1183")
def test_the_subject_is_named_in_the_answer(registry: Client, replay: Replay) -> None:
    referrer = build_referrer(IMAGE, "application/spdx+json", b"{}")
    for blob in referrer.blobs:
        assert registry("PUT", f"{registry.upload()}?digest={blob.digest}", blob.data).status == 201
    [header] = [name for name in registry.put(referrer.digest, referrer).headers if name == "OCI-Subject"]
    compare(replay, header=header)
