"""A copy that is killed between layers: what had arrived is not sent again."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.images import LAYER, Blob, build_image, image_of
from replicator.aws.oci_copy import STREAMS, mirror_tag
from tests.integration.test_copy_image.conftest import HUB, SPOKE

if TYPE_CHECKING:
    from tests.integration.test_copy_image.conftest import World

ROOT = Path(__file__).parents[3]
LAYERS, LAYER_BYTES = 10, 2_000_000
COPY = """
import sys
from replicator.aws.oci_image import copy_image
from replicator.aws.oci_registry import Place, Registry
url, token, hub_url, hub_token = sys.argv[1:]
copy_image(Place(Registry(url, token), "team/scorer"), Place(Registry(hub_url, hub_token), "mirror"), "1.0")
"""


def arrived(world: World) -> list[str]:
    """Give the digests of the blobs that the hub's registry has taken, one for each time it did."""
    return [
        entry.path.rpartition("digest=")[2].replace("%3A", ":")
        for entry in world.registry.log.entries(HUB)
        if entry.method == "PUT" and "/blobs/uploads/" in entry.path and entry.status == 201
    ]


def settled(world: World) -> int:
    """Give the bytes that the hub's registry was sent, when no more come out of its sockets."""
    before = -1
    while (now := world.registry.log.bytes(HUB)) != before:
        before = now
        time.sleep(0.2)
    return now


@pytest.mark.timeout(120)
@pytest.mark.parametrize("every", [1, 3])
def test_killed_after_every_layer_it_repeats_only_what_was_in_flight(world: World, every: int) -> None:
    config = build_image({"a": b"1"}).blobs[0]
    image = image_of(config, [Blob(LAYER, bytes([number]) * LAYER_BYTES) for number in range(LAYERS)])
    sizes = {blob.digest: len(blob.data) for blob in image.blobs}
    world.push(image, "team/scorer")
    world.ecr(HUB).create_repository(repositoryName="mirror", imageTagMutability="IMMUTABLE")
    # Slow enough that a kill hits between layers, and others in the middle.
    world.registry.faults.plan("PUT", r"mirror/blobs/uploads/", delay=0.05, times=1000)
    command = [sys.executable, "-c", COPY, *world.login(SPOKE), *world.login(HUB)]
    world.registry.log.clear()
    repeated, kills = 0, 0
    while True:
        target = len(arrived(world)) + every
        process = subprocess.Popen(command, env={"PYTHONPATH": str(ROOT / "layers" / "core")})
        while process.poll() is None and len(arrived(world)) < target:
            time.sleep(0.002)
        if process.poll() == 0:
            break
        process.kill()
        process.wait()
        kills += 1
        sent = settled(world)
        assert not world.ecr(HUB).describe_images(repositoryName="mirror")["imageDetails"]
        in_flight = sent - repeated - sum(sizes[digest] for digest in arrived(world))
        assert 0 <= in_flight <= STREAMS * LAYER_BYTES
        repeated += in_flight

    assert kills >= LAYERS // every // STREAMS
    # No layer that had arrived came again, and nothing else came twice.
    assert sorted(arrived(world)) == sorted(sizes)
    assert settled(world) == image.size + repeated
    [mirrored] = world.ecr(HUB).describe_images(repositoryName="mirror")["imageDetails"]
    assert mirrored["imageTags"] == [mirror_tag(image.digest)]
