"""Answers of Amazon ECR's endpoint that were recorded, against those of the local registry.

Each recording of the file has a function here that makes its request. What it saw has to be what was recorded: every
member of it, with ids and names left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from local.images import MANIFEST, build_image, build_index, build_referrer
from tests.integration.test_copy_image.conftest import SPOKE, world

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.test_copy_image.conftest import World

__all__ = ["world"]

FILE = Path(__file__).parent / "ecr" / "registry-http.json"
DOCUMENT = json.loads(FILE.read_text(encoding="utf-8"))
RECORDINGS: list[dict[str, Any]] = DOCUMENT["recordings"]

IMAGE = build_image({f"opt/{number}": bytes([number]) * 50_000 for number in range(4)}, layers=2)
NAME = "team/scorer"
LAYER = IMAGE.blobs[1]


class Client:
    """Makes requests to the spoke's registry, to a repository that holds one image."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.repositories = world.registry.repositories
        self.url, self._authorization = world.login(SPOKE)
        world.push(IMAGE, NAME)

    def __call__(self, method: str, path: str, body: bytes = b"", **headers: str) -> urllib3.BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(
            method,
            path if path.startswith("http") else f"{self.url}/v2/{path}",
            body=body,
            headers={"Authorization": self._authorization} | named,
            redirect=False,
        )

    def upload(self, repository: str = NAME) -> str:
        return self("POST", f"{repository}/blobs/uploads/").headers["Location"]


def refusal(answer: urllib3.BaseHTTPResponse, method: str) -> dict[str, Any]:
    return {"method": method, "status": answer.status, "errors": answer.json()["errors"]}


def patch(client: Client) -> dict[str, Any]:
    client.repositories.least_part_bytes = 1
    place, ranges, status = client.upload(), [], set()
    for begin in (0, 10, 20):
        answer = client("PATCH", place, b"x" * 10, Content_Range=f"{begin}-{begin + 9}")
        ranges.append(answer.headers["Range"])
        status.add(answer.status)
    assert ranges == ["0-9"] * 3
    digest = hashlib.sha256(b"x" * 30).hexdigest()
    assert client("PUT", f"{place}?digest=sha256:{digest}").status == 201
    return {"method": "PATCH", "status": status.pop(), "header": "Range: stale"}


def wrong_digest(client: Client) -> dict[str, Any]:
    return refusal(client("PUT", f"{client.upload()}?digest=sha256:{'0' * 64}", b"bytes"), "PUT")


def immutable_tag(client: Client) -> dict[str, Any]:
    client.world.ecr(SPOKE).put_image_tag_mutability(repositoryName=NAME, imageTagMutability="IMMUTABLE")
    answer = client("PUT", f"{NAME}/manifests/1.0", IMAGE.manifest.data, Content_Type=MANIFEST)
    return refusal(answer, "PUT manifest")


def missing_content(client: Client) -> dict[str, Any]:
    index = build_index([build_image({"not": b"pushed"})])
    answer = client(
        "PUT", f"{NAME}/manifests/2.0", index.manifest.data, Content_Type=index.manifest.media_type
    )
    return {"method": "PUT manifest", "errors": answer.json()["errors"]}


def blob(client: Client) -> dict[str, Any]:
    answer = client("GET", f"{NAME}/blobs/{LAYER.digest}")
    place = answer.headers["Location"]
    assert urllib3.request("GET", place).data == LAYER.data
    refused = client("GET", place)
    assert refused.status == 400
    said = re.search("<Message>(.*)</Message>", refused.data.decode())
    signed = "X-Amz-Signature=" in place
    return {
        "method": "GET blob",
        "status": answer.status,
        "header": "Location: a signed URL of S3" if signed else f"Location: {place}",
        "then": {"Message": said and said[1]},
    }


def digest_header(client: Client) -> dict[str, Any]:
    return {
        method: "Docker-Content-Digest "
        + (
            "present"
            if "Docker-Content-Digest" in client(method, f"{NAME}/manifests/1.0").headers
            else "absent"
        )
        for method in ("HEAD", "GET")
    }


def refused_referrer(client: Client) -> dict[str, Any]:
    client.world.push(build_referrer(IMAGE, "application/spdx+json", b"{}"), NAME, None)
    client.repositories.takes_referrers = False
    referrer = build_referrer(IMAGE, "application/spdx+json", b"{} ")
    answer = client(
        "PUT", f"{NAME}/manifests/{referrer.digest}", referrer.manifest.data, Content_Type=MANIFEST
    )
    return refusal(answer, "PUT manifest")


def mount(client: Client) -> dict[str, Any]:
    client.repositories.blob_mounting = True
    client.world.ecr(SPOKE).create_repository(repositoryName="team/other")
    unnamed = f"sha256:{hashlib.sha256(b'alone').hexdigest()}"
    assert client("PUT", f"{client.upload()}?digest={unnamed}", b"alone").status == 201
    path = f"team/other/blobs/uploads/?from={NAME}&mount="
    status = [client("POST", path + digest).status for digest in (LAYER.digest, unnamed)]
    return {"method": "POST ?mount=&from=", "status": status}


def empty_blob(client: Client) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    answer = client("PUT", f"{client.upload()}?digest={digest}")
    return {
        "method": "PUT blob of 0 bytes",
        "status": "4xx/500" if 400 <= answer.status <= 500 else str(answer.status),
    }


def subject_header(client: Client) -> dict[str, Any]:
    referrer = build_referrer(IMAGE, "application/spdx+json", b"{}")
    for each in referrer.blobs:
        assert client("PUT", f"{client.upload()}?digest={each.digest}", each.data).status == 201
    answer = client(
        "PUT", f"{NAME}/manifests/{referrer.digest}", referrer.manifest.data, Content_Type=MANIFEST
    )
    assert answer.headers.get("OCI-Subject") == IMAGE.digest
    return {"header": "OCI-Subject"}


REQUESTS: dict[str, Callable[[Client], dict[str, Any]]] = {
    "PATCH of an upload: 201 (not 202), Range does not move.": patch,
    "PUT that ends an upload with a digest that is not the content's.": wrong_digest,
    "A tag of an immutable repository that is taken, also by the same digest.": immutable_tag,
    "A manifest that names layers which are not there.": missing_content,
    "GET of a blob: redirect to S3, which refuses a request that still has the Authorization.": blob,
    "Manifest: HEAD has Docker-Content-Digest, GET has not.": digest_header,
    "A manifest with artifactType/subject or an unsupported media type.": refused_referrer,
    "Mount: only blobs that a manifest of the source repository names are mounted, else 202.": mount,
    "Blobs of zero bytes are refused.": empty_blob,
    "OCI-Subject is sent in answer to a manifest with a subject.": subject_header,
}


def matches(recorded: Any, seen: Any) -> bool:
    """Whether an answer has every member of a recorded one; ``<name>`` and ``…`` stand for what was left out."""
    if isinstance(recorded, dict):
        return isinstance(seen, dict) and all(matches(recorded[key], seen.get(key)) for key in recorded)
    if isinstance(recorded, list):
        pairs = zip(recorded, seen, strict=False) if isinstance(seen, list) else ()
        return isinstance(seen, list) and len(seen) == len(recorded) and all(matches(*pair) for pair in pairs)
    if not isinstance(recorded, str) or not isinstance(seen, str):
        return bool(recorded == seen)
    pieces = re.split(r"(<[^>]*>|\[…\]| ?…)", recorded)
    return re.fullmatch("".join(map(_pattern, pieces)), seen) is not None


def _pattern(piece: str) -> str:
    if not piece.endswith(("…", ">", "…]")):
        return re.escape(piece)
    return f"(?:{piece[1:-1]})" if "|" in piece else ".*"


def test_every_recording_has_its_request_and_says_where_it_comes_from() -> None:
    assert DOCUMENT["source"]["licence"]
    assert [each["shows"] for each in RECORDINGS] == list(REQUESTS)
    assert all(each["source"] and each["recorded"] for each in RECORDINGS)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: re.sub(r"\W+", "-", each["shows"])[:40])
def test_the_local_registry_answers_what_amazon_ecr_answered(world: World, recording: dict[str, Any]) -> None:
    seen = REQUESTS[recording["shows"]](Client(world))
    assert matches(recording["content"], seen), (recording["content"], seen)


@pytest.mark.parametrize(
    ("recorded", "seen", "same"),
    [
        ({"status": 400}, {"status": 400, "more": 1}, True),
        ({"status": 400}, {"status": 404}, False),
        ({"errors": [{"code": "A"}]}, {"errors": [{"code": "A"}, {"code": "B"}]}, False),
        ("The tag '<tag>' is in […] and …", "The tag '1.0' is in 'a' and so on", True),
        ("because the <repository|tag> is immutable.", "because the tag is immutable.", True),
        ("because the <repository|tag> is immutable.", "because the image is immutable.", False),
        ("None of (these)", "None of these", False),
    ],
)
def test_an_answer_is_compared_by_what_was_recorded(recorded: Any, seen: Any, same: bool) -> None:
    assert matches(recorded, seen) is same
