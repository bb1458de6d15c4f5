"""The registry's servers: a port for each account, and one for the object storage behind them."""

from __future__ import annotations

import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from local.ecr.access import policy_allows
from local.ecr.endpoint import RegistryHandler, StorageHandler
from local.ecr.faults import Faults, RequestLog
from local.ecr.repositories import Repositories
from local.ecr.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.ecr.tokens import Caller


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, host: str, handler: type[BaseHTTPRequestHandler], registry: LocalRegistry, account: str
    ) -> None:
        super().__init__((host, 0), handler)
        self.registry = registry
        self.account = account

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is an ordinary thing here."""


class LocalRegistry:
    """The registry endpoints of every account.

    Parameters
    ----------
    folder
        For the layers; it may be empty or that of an earlier run.
    authorize
        Says whether a caller may do an action (``ecr:PutImage``) on the ARN of a repository. By default an
        account may do everything with its own repositories, and with another's what that one's policy allows.
    """

    def __init__(self, folder: Path, authorize: Callable[[Caller, str, str], bool] | None = None) -> None:
        self.repositories = Repositories(folder)
        self.tokens = Tokens()
        self.faults = Faults()
        self.log = RequestLog()
        self.host = "127.0.0.1"
        self._authorize = authorize
        self._servers: dict[str, _Server] = {}
        self._presigned: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._running = False

    def start(self, host: str = "127.0.0.1") -> None:
        """Serve from now on. ``host`` is where it listens: ``0.0.0.0`` when containers have to reach it."""
        self.host = host
        self._running = True

    def stop(self) -> None:
        """Close every port."""
        with self._lock:
            self._running = False
            servers = list(self._servers.values())
            self._servers.clear()
            self._presigned.clear()
        for server in servers:
            server.shutdown()
            server.server_close()

    def port_for(self, account: str) -> int:
        """Give the port of an account's registry, and open it at the first call."""
        return self._port(account, RegistryHandler)

    def endpoint(self, account: str, host: str = "127.0.0.1") -> str:
        """Give the URL of an account's registry as a client on this or another host reaches it."""
        return f"http://{host}:{self.port_for(account)}"

    def allows(self, caller: Caller, action: str, account: str, arn: str) -> bool:
        """Say whether a request is let in."""
        if self._authorize is not None:
            return self._authorize(caller, action, arn)
        if caller.account == account:
            return True
        found = self.repositories.find(account, caller.region, arn.partition(":repository/")[2])
        return policy_allows(found.policy, caller, action)

    def presigned(self, file: Path, host: str) -> str:
        """Give the URL under which a layer is read once and again, without other credentials."""
        path = f"/starport-layer-bucket/{file.name}?X-Amz-Signature={secrets.token_hex(32)}"
        with self._lock:
            self._presigned[path] = file
        return f"http://{host}:{self._port('storage', StorageHandler)}{path}"

    def presigned_file(self, path: str) -> Path | None:
        """Give the file that a presigned URL stands for."""
        with self._lock:
            return self._presigned.get(path)

    def _port(self, account: str, handler: type[BaseHTTPRequestHandler]) -> int:
        with self._lock:
            if not self._running:
                raise RuntimeError("the local registry is not running")
            if account not in self._servers:
                server = _Server(self.host, handler, self, account)
                self._servers[account] = server
                threading.Thread(
                    target=server.serve_forever, args=(0.05,), name=f"ecr-{account}", daemon=True
                ).start()
            return int(self._servers[account].server_address[1])
