"""Images between two real registries: same digest, and skopeo takes what arrives."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from local.images import Blob, build_image, build_index, build_referrer, image_of
from replicator.aws.oci_copy import mirror_tag
from replicator.aws.oci_image import copy_image
from replicator.errors import ErrorCode, PermanentError
from tests.conformance.conftest import push_to

if TYPE_CHECKING:
    from pathlib import Path

    from replicator.aws.oci_registry import Place

FILES = {f"opt/program/file-{number}": bytes([number]) * 300_000 for number in range(5)}


def skopeo(*arguments: str) -> str:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def reference(place: Place, tag_or_digest: str) -> str:
    return f"docker://{place.image(tag_or_digest)}"


def get(place: Place, path: str) -> bytes:
    url = f"{place.registry.base_url}/v2/{place.repository}/{path}"
    accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
    answer = urllib3.request("GET", url, headers={"Accept": accept}, timeout=10)
    assert answer.status == 200, answer.data
    return answer.data


def referrers(place: Place, digest: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(get(place, f"manifests/{digest.replace(':', '-')}"))[
        "manifests"
    ]
    return entries


def test_an_image_keeps_its_digest_and_skopeo_takes_it(spoke: Place, hub: Place, tmp_path: Path) -> None:
    image = build_image(FILES, layers=3, entrypoint=["/opt/program/serve"])
    push_to(spoke, image)

    outcome = copy_image(spoke, hub, "1.0")

    assert outcome.done
    assert not outcome.already_there
    assert outcome.digest == image.digest
    assert outcome.moved == outcome.total == outcome.streamed == image.size
    assert get(hub, f"manifests/{image.digest}") == image.manifest.data
    seen = json.loads(skopeo("inspect", "--tls-verify=false", reference(hub, image.digest)))
    assert seen["Digest"] == image.digest
    assert seen["Layers"] == [blob.digest for blob in image.blobs[1:]]
    target = tmp_path / "pulled"
    skopeo(
        "copy", "--src-tls-verify=false", "--preserve-digests", reference(hub, image.digest), f"dir:{target}"
    )
    assert (target / "manifest.json").read_bytes() == image.manifest.data
    for blob in image.blobs:
        assert (target / blob.digest.removeprefix("sha256:")).read_bytes() == blob.data


def test_an_image_that_skopeo_pushed_keeps_its_digest(spoke: Place, hub: Place, tmp_path: Path) -> None:
    push_to(spoke, build_image(FILES, layers=2), "oci")
    skopeo(
        "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--format=v2s2",
        reference(spoke, "oci"), reference(spoke, "docker"),
    )  # fmt: skip
    digest = json.loads(skopeo("inspect", "--tls-verify=false", reference(spoke, "docker")))["Digest"]

    assert copy_image(spoke, hub, "docker").digest == digest

    raw = skopeo("inspect", "--raw", "--tls-verify=false", reference(hub, digest))
    assert json.loads(raw)["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_an_index_comes_with_all_its_platforms(spoke: Place, hub: Place, tmp_path: Path) -> None:
    images = [build_image(FILES | {"arch": name.encode()}, architecture=name) for name in ("amd64", "arm64")]
    index = build_index(images)
    push_to(spoke, index)

    outcome = copy_image(spoke, hub, index.digest)

    assert outcome.digest == index.digest
    target = tmp_path / "pulled"
    skopeo(
        "copy", "--all", "--src-tls-verify=false", "--preserve-digests",
        reference(hub, mirror_tag(index.digest)), f"dir:{target}",
    )  # fmt: skip
    assert (target / "manifest.json").read_bytes() == index.manifest.data
    for image in images:
        assert (target / f"{image.digest.removeprefix('sha256:')}.manifest.json").exists()


def test_signatures_and_attestations_travel_with_the_image(spoke: Place, hub: Place) -> None:
    image = build_image(FILES)
    attestation = build_referrer(image, "application/vnd.in-toto+json", b'{"predicate": 1}')
    signature = image_of(
        Blob("application/vnd.oci.image.config.v1+json", b"{}"), [Blob("text/plain", b"signed")]
    )
    push_to(spoke, image)
    push_to(spoke, attestation, None)
    # docker-registry 2.8 has no referrers API, so the client that attests keeps the list itself.
    push_to(spoke, build_index([attestation]), image.digest.replace(":", "-"))
    push_to(spoke, signature, image.digest.replace(":", "-") + ".sig")

    outcome = copy_image(spoke, hub, "1.0")

    assert (outcome.referrers, outcome.left_behind) == (2, ())
    assert [entry["digest"] for entry in referrers(hub, image.digest)] == [attestation.digest]
    assert get(hub, f"manifests/{attestation.digest}") == attestation.manifest.data
    assert get(hub, f"manifests/{image.digest.replace(':', '-')}.sig") == signature.manifest.data


def test_a_layer_of_no_bytes_goes_where_the_registry_takes_it(spoke: Place, hub: Place) -> None:
    config = build_image(FILES).blobs[0]
    image = image_of(config, [Blob("application/vnd.oci.image.layer.v1.tar", b"")])
    push_to(spoke, image)
    assert copy_image(spoke, hub, "1.0").digest == image.digest


def test_a_second_copy_moves_nothing(spoke: Place, hub: Place) -> None:
    image = build_image(FILES)
    push_to(spoke, image)
    copy_image(spoke, hub, image.digest)

    again = copy_image(spoke, hub, image.digest)

    assert again.already_there
    assert again.streamed == 0


def test_only_the_new_layer_of_a_new_version_travels(spoke: Place, hub: Place) -> None:
    base = build_image(FILES, layers=2)
    more = build_image({"opt/program/model": b"new" * 1000})
    grown = image_of(more.blobs[0], [*base.blobs[1:], *more.blobs[1:]])
    push_to(spoke, base, "1.0")
    push_to(spoke, grown, "2.0")
    copy_image(spoke, hub, "1.0")

    outcome = copy_image(spoke, hub, "2.0")

    assert outcome.streamed == sum(len(blob.data) for blob in (*more.blobs, grown.manifest))
    assert outcome.moved == grown.size


def test_blobs_of_a_neighbouring_repository_are_mounted(spoke: Place, hub: Place) -> None:
    image = build_image(FILES, layers=2)
    push_to(spoke, image)
    copy_image(spoke, hub, "1.0")
    beside = type(hub)(hub.registry, "mirror/444455556666/scorer", mount_from=(hub.repository,))

    outcome = copy_image(spoke, beside, "1.0")

    assert outcome.streamed == len(image.manifest.data)
    assert get(beside, f"manifests/{image.digest}") == image.manifest.data


def test_a_neighbour_that_is_not_there_costs_nothing_but_the_bytes(spoke: Place, hub: Place) -> None:
    image = build_image(FILES, layers=2)
    push_to(spoke, image)
    alone = type(hub)(hub.registry, "mirror/444455556666/alone", mount_from=("never/made", "nor/this"))

    outcome = copy_image(spoke, alone, "1.0")

    assert outcome.streamed == image.size
    assert get(alone, f"manifests/{image.digest}") == image.manifest.data


@pytest.mark.parametrize("tag", ["never-pushed", f"sha256:{'0' * 64}"])
def test_an_image_that_is_not_there_is_named(spoke: Place, hub: Place, tag: str) -> None:
    with pytest.raises(PermanentError) as caught:
        copy_image(spoke, hub, tag)
    assert caught.value.code is ErrorCode.SOURCE_IMAGE_MISSING
    assert tag in caught.value.message
