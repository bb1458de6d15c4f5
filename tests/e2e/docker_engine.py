"""The Docker engine that ``sam local invoke`` needs, and where its containers find this machine."""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOW_TO_GET_IT = (
    "On Debian and Ubuntu .ci/install, run as root, installs and starts it; elsewhere install Docker Desktop "
    "or your system's Docker Engine and start it."
)
START_SECONDS = 30


class NoDockerError(Exception):
    """There is no Docker engine. The message says what is missing and how to get it."""


@contextmanager
def docker_engine() -> Iterator[None]:
    """Make sure that an engine answers while the block runs; as root on Linux, start one that does not.

    Raises
    ------
    NoDockerError
        There is none, or it does not start.
    """
    if shutil.which("docker") is None:
        raise NoDockerError(f"sam local invoke needs Docker, and there is no docker program. {HOW_TO_GET_IT}")
    if _answers():
        yield
        return
    program = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if platform.system() != "Linux" or os.geteuid() != 0 or program is None:
        raise NoDockerError(f"sam local invoke needs Docker, and the engine does not answer. {HOW_TO_GET_IT}")
    daemon = subprocess.Popen(
        [program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + START_SECONDS
        while not _answers():
            if daemon.poll() is not None or time.monotonic() > until:
                raise NoDockerError(
                    f"dockerd does not start: run it as root and read what it says. {HOW_TO_GET_IT}"
                )
            time.sleep(0.3)
        yield
    finally:
        daemon.terminate()
        daemon.wait(timeout=START_SECONDS)


@contextmanager
def images_removed(repository: str) -> Iterator[None]:
    """Remove the images of a repository that were made while the block ran."""
    before = _images(repository)
    try:
        yield
    finally:
        # Without an engine, which another process of the tests may have started and stopped, nothing is left to remove.
        if made := _images(repository, or_none=True) - before:
            subprocess.run(
                ["docker", "image", "rm", "--force", *sorted(made)], capture_output=True, check=False
            )


def _images(repository: str, *, or_none: bool = False) -> set[str]:
    command = ["docker", "image", "ls", "--quiet", "--no-trunc", repository]
    return set(subprocess.run(command, capture_output=True, text=True, check=not or_none).stdout.split())


def host_addresses() -> tuple[str, str]:
    """Give the address to listen on for containers, and the one that they reach it by."""
    if platform.system() != "Linux":
        # https://docs.docker.com/desktop/features/networking/#i-want-to-connect-from-a-container-to-a-service-on-the-host
        return "127.0.0.1", "host.docker.internal"
    listed = subprocess.run(
        ["docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (config,) = [entry for entry in json.loads(listed.stdout) if ":" not in entry["Subnet"]]
    # An engine that has run no container yet names no gateway; it is the first address of the network.
    first = next(ipaddress.ip_network(config["Subnet"]).hosts())
    address = str(config.get("Gateway") or first)
    return address, address


def _answers() -> bool:
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
