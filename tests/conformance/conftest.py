"""Real registries: Debian's docker-registry, on loopback, each with its own storage."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import urllib3

from local.images import OciImage, push
from replicator.aws.oci_registry import Place, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: nothing-secret}}
"""


def need(*binaries: str) -> None:
    """Skip, saying what is missing and how to get it."""
    missing = [name for name in binaries if not shutil.which(name)]
    if missing:
        pytest.skip(f"{' and '.join(missing)} missing: apt-get install docker-registry skopeo")


@contextmanager
def real_registry(folder: Path) -> Iterator[Registry]:
    """Run a registry of its own until the test is over."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "config.yml"
    configuration.write_text(CONFIGURATION.format(root=folder / "data", port=port))
    log = (folder / "log.txt").open("wb")
    server = subprocess.Popen(
        ["docker-registry", "serve", str(configuration)], stdout=log, stderr=subprocess.STDOUT
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{url}/v2/", server, folder / "log.txt")
        yield Registry(url)
    finally:
        server.terminate()
        server.wait(timeout=10)
        log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if server.poll() is not None:
            break
        try:
            urllib3.request("GET", url, timeout=1, retries=False)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"docker-registry did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def spoke(tmp_path: Path) -> Iterator[Place]:
    """A repository in the registry that plays the spoke's."""
    need("docker-registry", "skopeo")
    with real_registry(tmp_path / "spoke") as registry:
        yield Place(registry, "team/scorer")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Place]:
    """A repository in the registry that plays the hub's."""
    need("docker-registry", "skopeo")
    with real_registry(tmp_path / "hub") as registry:
        yield Place(registry, "mirror/111122223333/team/scorer")


def push_to(place: Place, image: OciImage, tag: str | None = "1.0") -> str:
    """Push what a data scientist would."""
    return push(image, place.registry.base_url, place.registry.authorization, place.repository, tag)
