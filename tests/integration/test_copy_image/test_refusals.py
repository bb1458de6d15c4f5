"""What goes wrong with images: a code, a sentence with the image's name, and nothing half-made in the hub."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from local.images import LAYER, Blob, build_image, build_index, image_of
from replicator.errors import ErrorCode, PermanentError, RetryableError
from tests.integration.test_copy_image.conftest import HUB, NAMESPACE, OTHER, REGION, SPOKE

if TYPE_CHECKING:
    from local.ecr.faults import Fault
    from local.images import OciImage
    from tests.integration.test_copy_image.conftest import World

IMAGE = build_image({f"opt/{number}": bytes([number]) * 50_000 for number in range(4)}, layers=2)


def refused(world: World, repository: str = "team/scorer", **more: str) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        world.copy(repository, **more)  # type: ignore[arg-type]
    assert repository in caught.value.message
    return caught.value


def hub_repositories(world: World) -> list[str]:
    return [each["repositoryName"] for each in world.ecr(HUB).describe_repositories()["repositories"]]


def test_an_image_of_a_stranger_is_not_even_looked_at(world: World) -> None:
    world.push(IMAGE, "team/scorer", account=OTHER)
    world.registry.log.clear()

    error = refused(world, account=OTHER)

    assert error.code is ErrorCode.FOREIGN_REGISTRY
    assert OTHER in error.message
    assert world.registry.log.entries() == []


def test_nothing_is_written_outside_the_spokes_own_repositories(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    error = refused(world, destination=f"{NAMESPACE}/{OTHER}/team/scorer")
    assert error.code is ErrorCode.HUB_REFUSED
    assert hub_repositories(world) == []


def test_a_missing_tag_and_a_missing_repository(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    assert refused(world, tag="2.0").code is ErrorCode.SOURCE_IMAGE_MISSING
    assert refused(world, "team/nothing").code is ErrorCode.SOURCE_IMAGE_MISSING
    assert hub_repositories(world) == []


def test_a_missing_layer(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan("GET", r"/blobs/sha256", status=404)
    assert refused(world).code is ErrorCode.SOURCE_IMAGE_MISSING
    assert world.hub_images() == {}


def test_an_index_that_names_a_missing_image(world: World) -> None:
    children = [build_image({"a": b"1"}), build_image({"b": b"2"}, architecture="arm64")]
    index = build_index(children)
    world.push(index, "team/scorer")
    world.ecr(SPOKE).batch_delete_image(
        repositoryName="team/scorer", imageIds=[{"imageDigest": children[1].digest}]
    )
    error = refused(world)
    assert error.code is ErrorCode.SOURCE_IMAGE_MISSING
    assert children[1].digest in error.message
    assert index.digest in error.message
    assert hub_repositories(world) == []


def test_a_layer_that_may_not_be_distributed(world: World) -> None:
    foreign = Blob("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", b"windows")
    world.push(image_of(IMAGE.blobs[0], [foreign]), "team/scorer")
    error = refused(world)
    assert error.code is ErrorCode.IMAGE_UNSUPPORTED
    assert foreign.digest in error.message
    assert hub_repositories(world) == []


def test_a_layer_with_other_bytes_leaves_nothing_in_the_hub(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan("GET", r"^/starport", corrupt=True)
    error = refused(world)
    assert error.code is ErrorCode.DIGEST_MISMATCH
    assert "it came with other bytes" in error.message  # we saw it; we did not leave it to the hub's registry
    assert world.hub_images() == {}
    # The last piece was held back, so the hub's registry was never told that the layer is complete.
    assert world.registry.log.count("PUT", r"/blobs/uploads/", HUB) < len(IMAGE.blobs)


def test_a_manifest_with_other_bytes(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    other = build_image({"other": b"image"})
    world.registry.faults.plan(
        "GET", f"/manifests/{IMAGE.digest}", status=200, body=other.manifest.data,
        headers={"Content-Type": other.manifest.media_type},
    )  # fmt: skip
    assert refused(world).code is ErrorCode.DIGEST_MISMATCH
    assert hub_repositories(world) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", r"^/v2/team/scorer/manifests/1.0", 200),
        ("GET", r"^/v2/team/scorer/manifests/", 200),
        ("GET", r"^/v2/team/scorer/blobs/", 200),
        ("GET", r"^/starport", 200),
        ("HEAD", rf"^/v2/{NAMESPACE}/.*/manifests/", 200),
        ("HEAD", rf"^/v2/{NAMESPACE}/.*/blobs/", 200),
        ("POST", r"/blobs/uploads/", 202),
        ("PUT", r"/manifests/", 201),
    ],
)
def test_a_registry_that_answers_html(world: World, method: str, path: str, status: int) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan(
        method, path, status=status, headers={"Content-Type": "text/html"}, body=b"<html>Please log in</html>"
    )
    assert refused(world).code is ErrorCode.REGISTRY_PROTOCOL
    assert not hub_repositories(world) or world.hub_images() == {}


@pytest.mark.parametrize("fault", ["truncated", "wrong length"])
def test_a_layer_that_never_comes_whole(world: World, fault: str) -> None:
    world.push(IMAGE, "team/scorer")
    if fault == "truncated":
        world.registry.faults.plan("GET", r"^/starport", truncate=100, times=100)
        with pytest.raises(RetryableError, match=r"ended .* early|broke off") as caught:
            world.copy()
        assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
        assert any(blob.digest in caught.value.message for blob in IMAGE.blobs)
    else:
        world.registry.faults.plan("GET", r"^/starport", status=200, body=b"short", times=100)
        assert refused(world).code is ErrorCode.DIGEST_MISMATCH
    assert world.hub_images() == {}
    assert world.registry.log.count("PUT", r"/blobs/uploads/", HUB) == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", rf"^/v2/{NAMESPACE}/.*/manifests/"),
        ("GET", r"^/v2/team/scorer/manifests/"),
        ("GET", r"^/v2/team/scorer/blobs/"),
        ("HEAD", rf"^/v2/{NAMESPACE}/.*/blobs/"),
        ("POST", r"/blobs/uploads/"),
        ("PUT", r"/blobs/uploads/"),
        ("PUT", r"/manifests/"),
        ("GET", r"/referrers/"),
    ],
)
def test_a_token_that_expires_in_the_middle_is_renewed(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    world.push(IMAGE, "team/scorer")
    tokens, take = world.registry.tokens, world.registry.faults.take
    issued = tokens.issued
    expired: list[str] = []

    def expire(asked: str, where: str) -> Fault | None:
        if not expired and asked == method and re.search(path, where):
            expired.append(where)
            tokens.expire()
        return take(asked, where)

    monkeypatch.setattr(world.registry.faults, "take", expire)

    assert world.copy()["done"]

    assert expired
    assert list(world.hub_images()) == [IMAGE.digest]
    # The first of both registries, and one more of each that was needed again; however many threads were refused.
    assert 3 <= tokens.issued - issued <= 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_does_not_let_us_in(world: World, status: int) -> None:
    world.push(IMAGE, "team/scorer")
    fault = world.registry.faults.plan("GET", r"^/v2/team/scorer/manifests/", status=status, times=100)
    assert refused(world).code is ErrorCode.SOURCE_ACCESS_DENIED
    assert fault.times == 98  # once more with a new token
    world.registry.faults.clear()
    world.registry.faults.plan("POST", r"/blobs/uploads/", status=status, times=100)
    assert refused(world).code is ErrorCode.HUB_ACCESS_DENIED


def test_object_storage_that_does_not_let_us_in_is_named(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan("GET", r"^/starport", status=403)
    error = refused(world)
    assert error.code is ErrorCode.SOURCE_ACCESS_DENIED
    assert "endpoint policy" in error.message


def test_what_the_hubs_registry_says_against_an_image_is_passed_on(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    refusal = {"errors": [{"code": "UNSUPPORTED", "message": "Invalid parameter at 'ImageManifest'"}]}
    world.registry.faults.plan("PUT", f"{SPOKE}/.*/manifests/", status=405, body=json.dumps(refusal).encode())
    error = refused(world)
    assert error.code is ErrorCode.IMAGE_REJECTED
    assert "Invalid parameter at 'ImageManifest'" in error.message


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


OTHER_DIGEST = "None of the provided layer digests match the calculated layer digest"
LAYER_PUT = rf"/blobs/uploads/.*{IMAGE.blobs[1].digest.partition(':')[2]}"


@pytest.mark.parametrize("message", [OTHER_DIGEST, "said in other words by a later release"])
def test_a_digest_that_the_hubs_registry_keeps_refusing_is_a_mismatch(world: World, message: str) -> None:
    # https://github.com/dotnet/sdk-container-builds/issues/424
    world.push(IMAGE, "team/scorer")
    body = errors("BLOB_UPLOAD_INVALID", message)
    fault = world.registry.faults.plan("PUT", LAYER_PUT, status=400, body=body, times=100)

    error = refused(world)

    assert error.code is ErrorCode.DIGEST_MISMATCH
    assert IMAGE.blobs[1].digest in error.message
    assert message in error.message
    assert fault.times == 98  # once more, from the first byte, and then it is certain


def test_a_digest_that_a_registry_of_the_specification_refuses_is_a_mismatch(world: World) -> None:
    # https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#error-codes
    world.push(IMAGE, "team/scorer")
    fault = world.registry.faults.plan(
        "PUT", LAYER_PUT, status=400, body=errors("DIGEST_INVALID", "no"), times=9
    )
    assert refused(world).code is ErrorCode.DIGEST_MISMATCH
    assert fault.times == 8


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BLOB_UPLOAD_INVALID"),  # https://github.com/GoogleContainerTools/kaniko/issues/607
        (416, "BLOB_UPLOAD_INVALID"),  # https://github.com/apple/container/issues/1895
        (404, "BLOB_UPLOAD_UNKNOWN"),
        (404, "NAME_UNKNOWN"),
        (400, "TOOMANYREQUESTS"),
    ],
)
def test_an_upload_that_went_wrong_is_begun_anew(world: World, status: int, code: str) -> None:
    world.push(IMAGE, "team/scorer")
    fault = world.registry.faults.plan("PUT", LAYER_PUT, status=status, body=errors(code, "said"))
    assert world.copy()["done"]
    assert fault.times == 0
    assert list(world.hub_images()) == [IMAGE.digest]


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (416, "BLOB_UPLOAD_INVALID", ErrorCode.SERVICE_UNAVAILABLE),
        (404, "BLOB_UPLOAD_UNKNOWN", ErrorCode.SERVICE_UNAVAILABLE),
        (400, "TOOMANYREQUESTS", ErrorCode.THROTTLED),
    ],
)
def test_an_upload_that_keeps_going_wrong_is_left_to_the_state_machine(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int, code: str, expected: ErrorCode
) -> None:
    monkeypatch.setattr("replicator.aws.oci_http.ATTEMPTS", 3)
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan("PUT", r"/blobs/uploads/", status=status, body=errors(code, "said"), times=100)
    with pytest.raises(RetryableError) as caught:
        world.copy()
    assert caught.value.code is expected


@pytest.mark.parametrize("path", [LAYER_PUT, r"/manifests/"])
@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "DENIED", ErrorCode.HUB_ACCESS_DENIED),
        (400, "UNAUTHORIZED", ErrorCode.HUB_ACCESS_DENIED),
        (400, "DIGEST_INVALID", ErrorCode.DIGEST_MISMATCH),
        (400, "SIZE_INVALID", ErrorCode.IMAGE_REJECTED),
        (400, "TAG_INVALID", ErrorCode.IMAGE_REJECTED),
        (405, "UNSUPPORTED", ErrorCode.IMAGE_REJECTED),
        # Only text that is like a code: nothing is decided by it.
        (400, "UNKNOWN", ErrorCode.IMAGE_REJECTED),
    ],
)
def test_the_code_decides_and_the_text_never(
    world: World, path: str, status: int, code: str, expected: ErrorCode
) -> None:
    world.push(IMAGE, "team/scorer")
    text = "DIGEST_INVALID BLOB_UPLOAD_INVALID MANIFEST_BLOB_UNKNOWN DENIED TOOMANYREQUESTS"
    world.registry.faults.plan("PUT", path, status=status, body=errors(code, text), times=100)
    error = refused(world)
    assert error.code is expected
    assert text in error.message


def test_a_manifest_whose_blobs_are_not_seen_yet_is_put_again(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    body = errors("MANIFEST_BLOB_UNKNOWN", "Images with digests [] required for pushing image do not exist")
    fault = world.registry.faults.plan("PUT", r"/manifests/", status=404, body=body, times=2)
    assert world.copy()["done"]
    assert fault.times == 0


def test_the_source_is_judged_by_its_codes_too(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan(
        "GET", r"/team/scorer/blobs/", status=400, body=errors("BLOB_UNKNOWN", "said"), times=100
    )
    assert refused(world).code is ErrorCode.SOURCE_IMAGE_MISSING
    world.registry.faults.clear()
    world.registry.faults.plan(
        "GET", r"/team/scorer/blobs/", status=400, body=errors("UNKNOWN", "BLOB_UNKNOWN DENIED"), times=100
    )
    assert refused(world).code is ErrorCode.REGISTRY_PROTOCOL


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", r"/manifests/"),
        ("GET", r"/manifests/sha256"),
        ("GET", r"/v2/.*/blobs/"),
        ("GET", r"^/starport"),
        ("HEAD", r"/blobs/"),
        ("POST", r"/blobs/uploads/"),
        ("PUT", r"/blobs/uploads/"),
        ("PUT", r"/manifests/"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_fails_once_is_made_again(world: World, method: str, path: str, status: int) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.log.clear()
    world.registry.faults.plan(method, path, status=status)

    assert world.copy()["done"]

    assert list(world.hub_images()) == [IMAGE.digest]
    if "blobs" in path or "starport" in path:
        # Only the blob that failed is sent again.
        assert world.registry.log.count("PUT", r"/blobs/uploads/", HUB) <= len(IMAGE.blobs) + 1


@pytest.mark.parametrize("fault", ["truncated", "silent"])
def test_a_broken_line_is_mended(world: World, fault: str) -> None:
    world.push(IMAGE, "team/scorer")
    if fault == "truncated":
        world.registry.faults.plan("GET", r"^/starport", truncate=100, times=2)
    else:
        world.registry.faults.plan("PUT", r"/blobs/uploads/", silent=True, times=2)
    assert world.copy()["done"]
    assert list(world.hub_images()) == [IMAGE.digest]


@pytest.mark.parametrize(
    ("status", "code"), [(429, ErrorCode.THROTTLED), (503, ErrorCode.SERVICE_UNAVAILABLE)]
)
def test_what_keeps_failing_is_left_to_the_state_machine(world: World, status: int, code: ErrorCode) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.faults.plan("GET", r"^/v2/team/scorer/manifests/", status=status, times=100)
    with pytest.raises(RetryableError) as caught:
        world.copy()
    assert caught.value.code is code
    assert "team/scorer" in caught.value.message


def test_credentials_never_go_to_object_storage(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.log.clear()
    world.copy()
    reads = world.registry.log.entries("storage")
    assert len(reads) == len(IMAGE.blobs)
    assert not any(entry.authorized for entry in reads)
    assert {entry.status for entry in reads} == {200}


def with_an_empty_layer(world: World) -> OciImage:
    """Give an image with a layer of no bytes, which the spoke's registry has, though it takes no such layer today."""
    image = image_of(IMAGE.blobs[0], [IMAGE.blobs[1], Blob(LAYER, b"")])
    world.push(IMAGE, "team/scorer")
    held = world.registry.repositories.find(SPOKE, REGION, "team/scorer").layers
    held[image.blobs[-1].digest] = 0
    (world.registry.repositories.folder / "blobs" / image.blobs[-1].digest.replace(":", "-")).touch()
    return image


def test_a_layer_of_no_bytes_is_refused_by_the_hubs_registry(world: World) -> None:
    # https://github.com/radius-project/radius/issues/7855
    image = with_an_empty_layer(world)
    world.push(image, "team/scorer", "empty")
    world.registry.log.clear()

    error = refused(world, tag="empty")

    assert error.code is ErrorCode.IMAGE_REJECTED
    assert "The layer has no bytes" in error.message
    assert image.blobs[-1].digest in error.message
    assert sum(entry.status == 400 for entry in world.registry.log.entries(HUB)) == 1


def test_a_signature_with_a_layer_of_no_bytes_is_left_behind(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.push(with_an_empty_layer(world), "team/scorer", f"{IMAGE.digest.replace(':', '-')}.att")
    assert world.copy()["result"]["pin"] == IMAGE.digest
    assert set(world.hub_images()) == {IMAGE.digest}
    reasons = [str(vars(record)["reason"]) for record in caplog.records if "reason" in vars(record)]
    assert any("The layer has no bytes" in reason for reason in reasons)
