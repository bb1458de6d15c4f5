"""What the function promises when everything works, when it is repeated, and when it runs out of time."""

from __future__ import annotations

import json
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import urllib3

from local.images import LAYER, Blob, build_image, build_index, build_referrer, image_of
from replicator.aws.oci_copy import mirror_tag
from replicator.aws.oci_http import Budget, Connections
from replicator.aws.oci_image import copy_image
from replicator.aws.oci_manifest import Descriptor
from replicator.aws.oci_registry import Place, Registry, Repository, Side
from replicator.errors import ErrorCode, PermanentError
from tests.integration.test_copy_image.conftest import HUB, KEY, NAMESPACE, OTHER, REGION, SPOKE

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.ecr.faults import Fault
    from local.images import OciImage
    from tests.integration.test_copy_image.conftest import World

DESTINATION = f"{HUB}.dkr.ecr.{REGION}.amazonaws.com/{NAMESPACE}/{SPOKE}/team/scorer"
IMAGE = build_image({f"opt/{number}": bytes([number]) * 50_000 for number in range(4)}, layers=2)


def test_the_answer_names_the_mirror_by_digest(world: World) -> None:
    world.push(IMAGE, "team/scorer")

    answer = world.copy()

    assert answer["done"]
    assert answer["result"]["destination"] == f"{DESTINATION}@{IMAGE.digest}"
    assert answer["result"]["bytes"] == IMAGE.size
    assert answer["result"]["objects"] == 1 + len(IMAGE.blobs)
    assert answer["result"]["pin"] == answer["result"]["checksum"] == IMAGE.digest
    assert world.hub_images() == {IMAGE.digest: [mirror_tag(IMAGE.digest)]}
    [stored] = world.ecr(HUB).batch_get_image(
        repositoryName=f"{NAMESPACE}/{SPOKE}/team/scorer", imageIds=[{"imageDigest": IMAGE.digest}]
    )["images"]
    assert stored["imageManifest"].encode() == IMAGE.manifest.data


def test_the_hubs_repository_is_made_as_the_hub_wants_it(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.copy()

    ecr = world.ecr(HUB)
    [made] = ecr.describe_repositories()["repositories"]

    assert made["repositoryName"] == f"{NAMESPACE}/{SPOKE}/team/scorer"
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"]["scanOnPush"]
    assert made["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": KEY}
    tags = {
        tag["Key"]: tag["Value"]
        for tag in ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    }
    assert tags["replicator:source-account"] == SPOKE
    assert tags["replicator:source-repository"] == "team/scorer"


def test_consumers_pull_the_mirror_and_strangers_do_not(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.copy(consumer_accounts=OTHER)

    def pull(account: str) -> int:
        url, authorization = world.login(HUB, of=account)
        manifest = f"{url}/v2/{NAMESPACE}/{SPOKE}/team/scorer/manifests/{IMAGE.digest}"
        return urllib3.request("GET", manifest, headers={"Authorization": authorization}).status

    assert (pull(OTHER), pull(SPOKE)) == (200, 403)


def test_an_image_that_is_there_costs_one_request(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.copy(digest=IMAGE.digest)
    world.registry.log.clear()

    answer = world.copy(digest=IMAGE.digest)

    assert answer["result"]["method"] == "already there"
    assert answer["result"]["destination"] == f"{DESTINATION}@{IMAGE.digest}"
    assert [(entry.account, entry.method) for entry in world.registry.log.entries()] == [(HUB, "HEAD")]


def test_the_recorded_digest_is_copied_when_the_tag_has_moved_on(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    newer = build_image({"opt/0": b"newer"})
    world.push(newer, "team/scorer")

    answer = world.copy(digest=IMAGE.digest)

    assert answer["result"]["pin"] == IMAGE.digest
    assert newer.digest not in world.hub_images()


def test_an_index_is_mirrored_with_every_platform(world: World) -> None:
    index = build_index(
        [build_image({"arch": name.encode()}, architecture=name) for name in ("amd64", "arm64")]
    )
    world.push(index, "team/scorer")

    answer = world.copy()

    assert answer["result"]["pin"] == index.digest
    assert set(world.hub_images()) == {index.digest, *(child.digest for child in index.children)}
    assert answer["result"]["bytes"] == index.size


def test_what_refers_to_the_image_is_there_before_its_tag(world: World) -> None:
    attestation = build_referrer(IMAGE, "application/vnd.in-toto+json", b"{}")
    about_that = build_referrer(attestation, "application/vnd.example.signature", b"signed")
    cosign = image_of(Blob("application/vnd.oci.image.config.v1+json", b"{}"), [Blob("text/plain", b"s")])
    world.push(IMAGE, "team/scorer")
    for referrer in (attestation, about_that):
        world.push(referrer, "team/scorer", None)
    world.push(cosign, "team/scorer", f"{IMAGE.digest.replace(':', '-')}.sig")

    world.copy()

    held = world.hub_images()
    assert set(held) == {IMAGE.digest, attestation.digest, about_that.digest, cosign.digest}
    assert held[cosign.digest] == [f"{IMAGE.digest.replace(':', '-')}.sig"]
    puts = [
        entry.path
        for entry in world.registry.log.entries(HUB)
        if "/manifests/" in entry.path and entry.method == "PUT"
    ]
    assert puts[-1].endswith(mirror_tag(IMAGE.digest))


@pytest.mark.parametrize("takes", [True, False])
def test_referrers_come_where_the_hubs_registry_takes_them_and_are_noted_elsewhere(
    world: World, caplog: pytest.LogCaptureFixture, takes: bool
) -> None:
    # https://github.com/aws/containers-roadmap/issues/2783
    attestation = build_referrer(IMAGE, "application/spdx+json", b"{}")
    cosign = image_of(Blob("application/vnd.oci.image.config.v1+json", b"{}"), [Blob("text/plain", b"s")])
    tag = f"{IMAGE.digest.replace(':', '-')}.sig"
    world.push(IMAGE, "team/scorer")
    world.push(attestation, "team/scorer", None)
    world.push(cosign, "team/scorer", tag)
    world.registry.repositories.takes_referrers = takes

    answer = world.copy()

    assert answer["result"]["pin"] == IMAGE.digest
    held = world.hub_images()
    assert held[IMAGE.digest] == [mirror_tag(IMAGE.digest)]
    # cosign's tag needs no subject, so that a signature comes either way.
    assert held[cosign.digest] == [tag]
    assert (attestation.digest in held) is takes
    reasons = [str(vars(record)["reason"]) for record in caplog.records if "reason" in vars(record)]
    assert len(reasons) == (not takes)
    assert all(attestation.digest in reason and "405 UNSUPPORTED" in reason for reason in reasons)
    assert world.copy()["result"]["method"] == "already there"


def test_what_the_hubs_registry_refuses_of_a_signature_is_left_behind(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    attestation = build_referrer(IMAGE, "application/vnd.in-toto+json", b"{}")
    world.push(IMAGE, "team/scorer")
    world.push(attestation, "team/scorer", None)
    refusal = {"errors": [{"code": "UNSUPPORTED", "message": "Invalid parameter at 'ImageManifest'"}]}
    world.registry.faults.plan(
        "PUT", f"{SPOKE}/.*/manifests/{attestation.digest}", status=405, body=json.dumps(refusal).encode()
    )

    answer = world.copy()

    assert answer["done"]
    assert set(world.hub_images()) == {IMAGE.digest}
    reasons = [str(vars(record).get("reason")) for record in caplog.records]
    assert any("Invalid parameter at 'ImageManifest'" in reason for reason in reasons)


def test_an_allow_listed_account_lets_the_hub_in_by_its_own_policy(world: World) -> None:
    world.push(IMAGE, "base/serving", account=OTHER)
    destination = f"{NAMESPACE}/{SPOKE}/{OTHER}/base/serving"

    def copy() -> dict[str, Any]:
        return world.copy("base/serving", account=OTHER, image_accounts=OTHER, destination=destination)

    with pytest.raises(PermanentError) as denied:
        copy()
    assert denied.value.code is ErrorCode.SOURCE_ACCESS_DENIED
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{SPOKE}:root"},
        "Action": ["ecr:Batch*", "ecr:Get*"],
    }
    world.ecr(OTHER).set_repository_policy(
        repositoryName="base/serving", policyText=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )

    assert copy()["result"]["destination"].endswith(f"/{destination}@{IMAGE.digest}")


def test_two_runs_at_once_make_one_mirror(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: world.copy(digest=IMAGE.digest), range(4)))
    assert {answer["result"]["destination"] for answer in answers} == {f"{DESTINATION}@{IMAGE.digest}"}
    assert world.hub_images() == {IMAGE.digest: [mirror_tag(IMAGE.digest)]}


def arrived(world: World) -> int:
    """Count the blobs that the hub's registry was sent whole."""
    return world.registry.log.count("PUT", r"/blobs/uploads/", HUB)


def until_arrived(world: World, more: int) -> Callable[[], float]:
    """Give a clock that has time until so many more blobs have arrived."""
    target = arrived(world) + more
    return lambda: 900_000 if arrived(world) < target else 0


def test_it_stops_ahead_of_the_deadline_and_goes_on_where_it_was(world: World) -> None:
    kind = "application/vnd.oci.image.layer.v1.tar"
    layers = [Blob(kind, bytes([number]) * 3_000_000) for number in range(8)]
    image = image_of(Blob("application/vnd.oci.image.config.v1+json", b"{}"), layers)
    world.push(image, "team/scorer")
    progress: dict[str, int] | None = None
    rounds = 0
    while not (answer := world.copy(progress=progress, milliseconds=until_arrived(world, 3)))["done"]:
        progress = answer["progress"]
        rounds += 1
    assert rounds >= 2
    assert answer["result"]["bytes"] == image.size
    uploads = world.registry.log.count("POST", r"/blobs/uploads/", HUB)
    assert uploads <= len(image.blobs) + rounds * 3  # three in flight at most when it stops


def test_a_copy_that_goes_on_gives_each_layer_the_network_for_itself(world: World) -> None:
    layers = [Blob(LAYER, bytes([number]) * 3_000_000) for number in range(4)]
    image = image_of(IMAGE.blobs[0], layers)
    world.push(image, "team/scorer")

    world.copy(progress={"moved": 0, "total": 1, "objects": 0})

    sessions = [
        entry.method
        for entry in world.registry.log.entries(HUB)
        if entry.method in ("POST", "PUT") and "/blobs/uploads/" in entry.path
    ]
    assert sessions == ["POST", "PUT"] * len(image.blobs)


@pytest.mark.parametrize("offered", [True, False])
def test_a_layer_of_a_neighbour_is_mounted_where_the_registry_offers_it(world: World, offered: bool) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.repositories.blob_mounting = offered
    source = Place(Registry(*world.login(SPOKE)), "team/scorer")
    hub = Registry(*world.login(HUB))
    for repository in ("neighbour", "mirror"):
        world.ecr(HUB).create_repository(repositoryName=repository)
    copy_image(source, Place(hub, "neighbour"), "1.0")

    outcome = copy_image(source, Place(hub, "mirror", mount_from=("neighbour",)), "1.0")

    assert outcome.done
    assert outcome.streamed == (len(IMAGE.manifest.data) if offered else IMAGE.size)


def uploads(world: World, repository: str) -> tuple[int, int]:
    """Count the questions for an upload session, and the blobs that were sent, in the hub."""
    path = f"{NAMESPACE}/{SPOKE}/{repository}/blobs/uploads/"
    return world.registry.log.count("POST", path, HUB), world.registry.log.count("PUT", path, HUB)


def beside(world: World, *neighbours: str, progress: dict[str, int] | None = None) -> OciImage:
    """Mirror an image that shares all layers but one with what is in another repository already."""
    world.push(IMAGE, "team/scorer")
    world.copy("team/scorer")
    more = Blob(LAYER, b"only here" * 1000)
    image = image_of(IMAGE.blobs[0], [*IMAGE.blobs[1:], more])
    world.push(image, "team/other")
    world.registry.log.clear()
    answer = world.copy(
        "team/other",
        neighbours=tuple(f"{NAMESPACE}/{SPOKE}/{each}" for each in neighbours),
        progress=progress,
    )
    assert answer["done"]
    assert list(world.hub_images("team/other")) == [image.digest]
    return image


def test_layers_of_another_image_of_the_package_are_mounted(world: World) -> None:
    world.registry.repositories.blob_mounting = True
    image = beside(world, "team/scorer")
    assert uploads(world, "team/other") == (len(image.blobs), 1)


def test_a_registry_that_does_not_mount_costs_no_request_more(world: World) -> None:
    image = beside(world, "team/scorer")
    assert uploads(world, "team/other") == (len(image.blobs), len(image.blobs))


def test_a_neighbour_that_has_none_of_the_layers_gives_way_to_the_next(world: World) -> None:
    world.registry.repositories.blob_mounting = True
    world.push(build_image({"b": b"other bytes"}), "team/apart")
    world.copy("team/apart")
    image = beside(world, "team/apart", "team/scorer", progress={"moved": 0, "total": 1, "objects": 0})
    # One after the other: the first, biggest and in neither, is sent, and so is no other.
    assert uploads(world, "team/other") == (len(image.blobs), 1)


def test_a_neighbour_gives_way_once_though_several_threads_asked_it(world: World) -> None:
    world.registry.repositories.blob_mounting = True
    world.ecr(HUB).create_repository(repositoryName="mirror")
    for repository in ("apart", "beside"):
        world.push(build_image({repository: b"bytes"}), repository, account=HUB)
    hub = Place(Registry(*world.login(HUB)), "mirror", mount_from=("apart", "beside"))
    mirror = Repository(hub, Side.HUB, Connections(Budget()))
    blobs = [Descriptor(f"sha256:{number:064x}", 1) for number in range(3)]
    together = threading.Barrier(2)
    take = world.registry.faults.take

    def both_first(method: str, path: str) -> Fault | None:
        """Answer neither of the two that ask the first neighbour before both have asked it."""
        if "from=apart" in path:
            together.wait(30)
        return take(method, path)

    with patch.object(world.registry.faults, "take", both_first), ThreadPoolExecutor(2) as pool:
        assert all(pool.map(mirror.begin_upload, blobs[:2]))
    mirror.begin_upload(blobs[2])

    asked = [entry.path.partition("from=")[2] for entry in world.registry.log.entries(HUB)]
    assert [neighbour for neighbour in asked if neighbour] == ["apart", "apart", "beside"]


def test_a_neighbour_that_is_not_there_yet_is_done_without(world: World) -> None:
    world.registry.repositories.blob_mounting = True
    image = beside(world, "team/never-made")
    asked, sent = uploads(world, "team/other")
    assert sent == len(image.blobs)
    assert asked <= len(image.blobs) + 3  # once for each of the streams at most


def test_a_neighbour_that_may_not_be_read_is_done_without(world: World) -> None:
    world.registry.repositories.blob_mounting = True
    world.registry.faults.plan("POST", r"mount=", status=403, times=1000)
    image = beside(world, "team/scorer")
    assert uploads(world, "team/other")[1] == len(image.blobs)


def test_nothing_is_mounted_from_another_spoke(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    world.registry.log.clear()
    with pytest.raises(PermanentError, match=f"{NAMESPACE}/{OTHER}/team/scorer") as caught:
        world.copy(neighbours=(f"{NAMESPACE}/{OTHER}/team/scorer",))
    assert caught.value.code is ErrorCode.HUB_REFUSED
    assert not world.registry.log.entries(SPOKE)


def test_the_biggest_layer_goes_first(world: World) -> None:
    kind = "application/vnd.oci.image.layer.v1.tar"
    layers = [Blob(kind, bytes([size]) * size * 1000) for size in (2, 9, 1, 5)]
    image = image_of(Blob("application/vnd.oci.image.config.v1+json", b"{}"), layers)
    world.push(image, "team/scorer")
    world.ecr(HUB).create_repository(repositoryName="mirror")

    copy_image(
        Place(Registry(*world.login(SPOKE)), "team/scorer"),
        Place(Registry(*world.login(HUB)), "mirror"),
        "1.0",
        streams=1,
    )

    read = [
        entry.path
        for entry in world.registry.log.entries(SPOKE)
        if entry.method == "GET" and "/blobs/" in entry.path
    ]
    by_size = sorted(image.blobs, key=lambda blob: len(blob.data), reverse=True)
    assert [path.rpartition("/")[2] for path in read] == [blob.digest for blob in by_size]


def test_no_progress_in_a_whole_invocation_ends_the_run(world: World) -> None:
    world.push(IMAGE, "team/scorer")
    with pytest.raises(PermanentError) as caught:
        world.copy(progress={"moved": 0, "total": 1, "objects": 0}, milliseconds=lambda: 0)
    assert caught.value.code is ErrorCode.NO_PROGRESS


def test_memory_does_not_grow_with_the_layer(world: World) -> None:
    layer = Blob("application/vnd.oci.image.layer.v1.tar", bytes(96 * 1024 * 1024))
    image = image_of(Blob("application/vnd.oci.image.config.v1+json", b"{}"), [layer])
    world.push(image, "team/scorer")
    tracemalloc.start()
    try:
        world.copy()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 1024 * 1024  # both registries included
