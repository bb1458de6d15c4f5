"""How blobs travel: three at once, a megabyte at a time, and never by way of a file."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.images import LAYER, Blob, image_of
from tests.integration.test_copy_image.conftest import HUB, SPOKE

if TYPE_CHECKING:
    import pytest

    from local.ecr.faults import Fault
    from tests.integration.test_copy_image.conftest import World

ROOT = Path(__file__).parents[3]
CONFIG = Blob("application/vnd.oci.image.config.v1+json", b"{}")
MEBIBYTE = 1024 * 1024


def test_three_blobs_travel_at_once_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [Blob(LAYER, bytes([number]) * 50_000) for number in range(5)]
    world.push(image_of(CONFIG, layers), "team/scorer")
    take = world.registry.faults.take
    together = threading.Barrier(3)
    begun: list[str] = []
    most: list[int] = []

    def meet(method: str, path: str) -> Fault | None:
        if method == "GET" and "/starport" in path:
            begun.append(path)
            most.append(len(begun) - world.registry.log.count("PUT", r"/blobs/uploads/", HUB))
            # None gets a byte until so many are asked for; one after the other, this would break.
            together.wait(timeout=20)
        return take(method, path)

    monkeypatch.setattr(world.registry.faults, "take", meet)

    assert world.copy()["done"]

    assert not together.broken
    assert len(begun) == 6
    assert max(most) == 3


def test_a_layer_is_sent_a_megabyte_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Blob(LAYER, bytes(3 * MEBIBYTE + 5))
    world.push(image_of(CONFIG, [layer]), "team/scorer")
    sizes: list[int] = []
    send = http.client.HTTPConnection.send

    def recording(self: http.client.HTTPConnection, data: Any) -> None:
        if isinstance(data, memoryview):
            sizes.append(len(data))
        send(self, data)

    monkeypatch.setattr(http.client.HTTPConnection, "send", recording)
    assert world.copy()["done"]
    assert sorted(sizes) == [len(CONFIG.data), 5, MEBIBYTE, MEBIBYTE, MEBIBYTE]


WITHOUT_FILES = """
import os, sys
from replicator.aws.oci_image import copy_image
from replicator.aws.oci_registry import Place, Registry

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FILES = ("open", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate")

def refuse(event, arguments):
    if event in FILES and (event != "open" or (arguments[2] or 0) & WRITES):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(3)

if sys.argv[1] == "write":
    sys.addaudithook(refuse)
    open(sys.argv[2], "w")
url, token, hub_url, hub_token = sys.argv[1:]
sys.addaudithook(refuse)
assert copy_image(Place(Registry(url, token), "team/scorer"), Place(Registry(hub_url, hub_token), "mirror"), "1.0").done
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "-c", WITHOUT_FILES, *arguments]
    environment = {"PYTHONPATH": str(ROOT / "layers" / "core")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_no_file_is_written(world: World, tmp_path: Path) -> None:
    layers = [Blob(LAYER, bytes([number]) * 3 * MEBIBYTE) for number in range(4)]
    world.push(image_of(CONFIG, layers), "team/scorer")
    world.ecr(HUB).create_repository(repositoryName="mirror")
    assert run("write", str(tmp_path / "file")).returncode == 3  # it would be seen

    done = run(*world.login(SPOKE), *world.login(HUB))

    assert done.returncode == 0, done.stderr
    assert world.registry.log.count("PUT", r"mirror/manifests/mirror-") == 1
