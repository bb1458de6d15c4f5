"""Real registries for tests and benchmarks: Debian's docker-registry on loopback, each with its own storage."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIGURATION = """
version: 0.1
log: {{level: error, accesslog: {{disabled: {quiet}}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}", secret: nothing-secret}}
"""


@contextmanager
def real_registry(folder: Path, *, access_log: bool = False) -> Iterator[str]:
    """Run a registry and give its URL. ``folder`` keeps its data, from before too, and its log in ``log.txt``."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "config.yml"
    quiet = str(not access_log).lower()
    configuration.write_text(CONFIGURATION.format(root=folder / "data", port=port, quiet=quiet))
    with (folder / "log.txt").open("ab") as log:
        command = ["docker-registry", "serve", str(configuration)]
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(port, server, folder / "log.txt")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=10)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"docker-registry did not start: {log.read_text()[-2000:]}")
