"""The ways to copy an image that are compared, each in processes of its own, and what one run of it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.images_built import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.images_built import BuiltImage

ROOT = Path(__file__).parents[2]
SOURCE, HUB = "team/scorer", "mirror/111122223333/team/scorer"

# A blob's way by hand: an upload session, then its bytes in one request. Registries take chunked bodies.
_UPLOAD = """
send() { # registry/v2/repository, digest, what curl reads
  session=$(curl -sSf -o /dev/null -w '%header{location}' -X POST "$1/blobs/uploads/")
  curl -sSf -o /dev/null -X PUT -T "$3" -H 'Expect:' -H 'Content-Type: application/octet-stream' \\
    "$session&digest=$2"
}
tag() { # registry/v2/repository, file of the manifest
  curl -sSf -o /dev/null -X PUT -H 'Content-Type: $KIND' --data-binary "@$2" "$1/manifests/1.0"
}
set -euo pipefail
""".replace("$KIND", MANIFEST)


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds, processor seconds, and peak resident bytes of the largest of its processes."""

    wall: float
    cpu: float
    memory: int
    inside: float | None = None
    """Seconds of the copy without the start of the process, where the process says so."""
    others: float = 0.0
    """Share of the machine's processors that nothing of the benchmark's used meanwhile."""
    servers: float = 0.0
    """Processor seconds of the two registries."""


@dataclass(frozen=True)
class Way:
    """A way to copy: its name, and its command line for source URL, destination URL and image."""

    name: str
    command: Callable[[str, str, BuiltImage], list[str]]

    def run(self, source: str, hub: str, image: BuiltImage) -> Cost:
        """Run it once. Raises `RuntimeError` with what it said, when it fails."""
        command = self.command(source, hub, image)
        path = f"{ROOT}{os.pathsep}{ROOT / 'layers' / 'core'}"
        with tempfile.TemporaryFile() as said:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, stdout=said, stderr=said
            )
            # Not Popen.wait: this also tells what the process, and all that it waited for, has used.
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read().decode()
        if process.returncode:
            raise RuntimeError(f"{self.name} failed: {text[-2000:]}")
        inside = json.loads(text)["seconds"] if text.startswith("{") else None
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, inside)


def ours(streams: int | None = None) -> Way:
    """Copy with the replicator's engine, with as many streams as it ships with unless told otherwise."""

    def command(source: str, hub: str, image: BuiltImage) -> list[str]:
        end = [str(streams)] if streams else []
        module = [sys.executable, "-m", "tests.bench.images_ours"]
        return [*module, source, SOURCE, hub, HUB, image.digest, *end]

    return Way(f"this copy, {streams} streams" if streams else "this copy", command)


def skopeo() -> Way:
    """Copy with skopeo, which sends up to six layers at once."""

    def command(source: str, hub: str, image: BuiltImage) -> list[str]:
        places = [url.replace("http://", "docker://") for url in (source, hub)]
        return [
            "skopeo", "copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
            f"{places[0]}/{SOURCE}@{image.digest}", f"{places[1]}/{HUB}:1.0",
        ]  # fmt: skip

    return Way("skopeo copy", command)


def curl_pipe() -> Way:
    """Copy with one curl that reads and one that writes, a blob after the other; nothing is verified."""

    def command(source: str, hub: str, image: BuiltImage) -> list[str]:
        lines = [
            f"curl -sSf {source}/v2/{SOURCE}/blobs/{digest} | send {hub}/v2/{HUB} {digest} -"
            for digest, _ in image.blobs
        ]
        return ["bash", "-c", _UPLOAD + "\n".join([*lines, f"tag {hub}/v2/{HUB} {image.manifest}"])]

    return Way("curl | curl", command)


def floor(streams: int) -> Way:
    """Only upload, from files: what any copy waits for at least, with as many blobs at once as it is given."""

    def command(source: str, hub: str, image: BuiltImage) -> list[str]:
        largest_first = sorted(image.blobs, key=lambda blob: blob[1], reverse=True)
        lines = [
            f"export -f send; xargs -P {streams} -L 1 bash -euc 'send {hub}/v2/{HUB} $0 $1' <<'END'",
            *(f"{digest} {image.folder / digest}" for digest, _ in largest_first),
            "END",
        ]
        return ["bash", "-c", _UPLOAD + "\n".join([*lines, f"tag {hub}/v2/{HUB} {image.manifest}"])]

    return Way(f"upload only, {streams} at once", command)


def push(url: str, repository: str, image: BuiltImage) -> None:
    """Put an image into the registry that plays the source."""
    lines = [f"send {url}/v2/{repository} {digest} {image.folder / digest}" for digest, _ in image.blobs]
    script = _UPLOAD + "\n".join([*lines, f"tag {url}/v2/{repository} {image.manifest}"])
    subprocess.run(["bash", "-c", script], check=True)
