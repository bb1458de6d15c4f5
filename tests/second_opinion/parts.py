"""What the second opinion needs beside the project's own environment, and LocalStack's processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
VENV: Final = ROOT / ".venv-second-opinion"
"""Made by the Makefile: LocalStack in a virtual environment, and ``node_modules`` beside it."""
PINS: Final = ROOT / "requirements"
OLDEST_NODE: Final = 20
"""``aws-local-stepfunctions`` names 22; what it needs of that is two lines in ``stories.mjs``."""
BEGINS_WITHIN: Final = 180.0
"""Seconds for LocalStack to answer. It takes about ten on two idle cores."""
_HOST = Path(__file__).with_name("localstack_host.py")
_GET = "run `make second-opinion`, which installs it by the pins in requirements/"


class MissingError(Exception):
    """A part is not there; the text says which one and how to get it."""


@dataclass(frozen=True)
class Parts:
    """What there is.

    Parameters
    ----------
    python
        Interpreter of the environment with LocalStack.
    node
        The program.
    """

    python: Path
    node: str


def find(venv: Path = VENV, path: str | None = None) -> Parts:
    """Find all parts in the versions that are pinned.

    Raises
    ------
    MissingError
        With everything that is missing, not only the first.
    """
    missing = [*_node(path), *_localstack(venv), *_packages(venv)]
    if missing:
        raise MissingError("\n".join(missing))
    return Parts(venv / "bin" / "python", str(shutil.which("node", path=path)))


def _node(path: str | None) -> Iterator[str]:
    node = shutil.which("node", path=path)
    if node is None:
        yield f"node is not on the PATH: install Node.js {OLDEST_NODE} or later; Debian 13: apt-get install nodejs npm"
        return
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"v(\d+)\.", said)
    if found is None or int(found[1]) < OLDEST_NODE:
        yield f"node on the PATH is {said or 'broken'}: install Node.js {OLDEST_NODE} or later, https://nodejs.org"
    if shutil.which("npm", path=path) is None:
        yield "npm is not on the PATH: it comes with Node.js; on Debian: apt-get install npm"


def _localstack(venv: Path) -> Iterator[str]:
    wanted = pinned_localstack()
    folders = sorted(venv.glob("lib/python3*/site-packages/localstack_core-*.dist-info"))
    found = folders[0].name.removeprefix("localstack_core-").removesuffix(".dist-info") if folders else None
    if found != wanted:
        yield f"LocalStack {wanted} is not in {venv.name} (found: {found or 'none'}): {_GET}second-opinion.txt"


def _packages(venv: Path) -> Iterator[str]:
    for name, wanted in pinned_packages().items():
        manifest = venv / "node_modules" / name / "package.json"
        found = json.loads(manifest.read_text(encoding="utf-8"))["version"] if manifest.exists() else None
        if found != wanted:
            where = f"is not in {venv.name} (found: {found or 'none'})"
            yield f"npm package {name} {wanted} {where}: {_GET}package-lock.json"


def pinned_localstack() -> str:
    """Give the version of LocalStack that is pinned."""
    text = (PINS / "second-opinion.txt").read_text(encoding="utf-8")
    found = re.search(r"^localstack-core(?:\[\w+\])?==(\S+)", text, re.MULTILINE)
    if found is None:
        raise MissingError("requirements/second-opinion.txt pins no localstack-core: run `make lock`")
    return found[1]


def pinned_packages() -> dict[str, str]:
    """Give the versions of the npm packages by their names."""
    manifest = json.loads((PINS / "package.json").read_text(encoding="utf-8"))
    return dict(manifest["dependencies"])


def free_port() -> int:
    """Give a port that nothing listens on at the moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def check_port(port: int) -> None:
    """Raise `MissingError` for a port that something else listens on."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
        except OSError as error:
            raise MissingError(
                f"port {port} of 127.0.0.1 cannot be used ({error.strerror}): stop what listens there, or name "
                "another one: make second-opinion ARGS='--port 4666'"
            ) from error


@contextmanager
def localstack(
    parts: Parts, port: int, smallest_part: int | None = None, given: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run LocalStack on a port of this machine, and give its endpoint once it answers.

    Parameters
    ----------
    smallest_part
        Of a multipart upload, in bytes; S3's own 5 MiB without it.
    given
        Environment variables for it.

    Raises
    ------
    MissingError
        When the port is taken, or it does not begin to answer; with the end of what it wrote.
    """
    check_port(port)
    more = [] if smallest_part is None else [str(smallest_part)]
    with tempfile.TemporaryDirectory(prefix="second-opinion-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "localstack.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(parts.python), str(_HOST), str(port), folder, *more],
                cwd=folder,
                env={**_environment(), **(given or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield _answering(process, f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment() -> dict[str, str]:
    """Give this process's environment without what would lead LocalStack or boto3 somewhere else."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOCALSTACK"))}


def _answering(process: subprocess.Popen[bytes], endpoint: str, log: Path) -> str:
    deadline = time.monotonic() + BEGINS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=5) as answer:  # noqa: S310 - this machine
                if answer.status == 200:
                    return endpoint
        except OSError:
            time.sleep(0.2)
    end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    raise MissingError(f"LocalStack does not answer at {endpoint}; the end of what it wrote:\n{end}")
