"""What the registry's and the storage's HTTP handlers have in common: bodies, answers, planned failures."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from local.ecr.faults import Fault, Logged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PIECE = 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    """Answers one request after the other on a connection; bodies go through in pieces."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    _fault: Fault | None = None
    _body_taken = False

    def answer(self) -> None:
        """Answer a request."""
        raise NotImplementedError

    def _serve(self) -> None:
        self._body_taken = False
        self._fault = self.server.registry.faults.take(self.command, self.path)  # type: ignore[attr-defined]
        if self._fault and self._fault.delay:
            time.sleep(self._fault.delay)
        if self._fault and self._fault.status is not None:
            self.send(self._fault.status, self._fault.body, self._fault.headers)
        else:
            self.answer()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    @property
    def account(self) -> str:
        """Whose registry it is."""
        account: str = self.server.account  # type: ignore[attr-defined]
        return account

    @property
    def host(self) -> str:
        """The host name under which the client reached us, without the port."""
        return self.headers.get("Host", "127.0.0.1").rpartition(":")[0] or "127.0.0.1"

    @property
    def base_url(self) -> str:
        """The URL under which the client reached us."""
        return f"http://{self.headers.get('Host', '127.0.0.1')}"

    def pieces(self) -> Iterator[bytes]:
        """Give the request's body."""
        self._body_taken = True
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield from self._read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
        else:
            yield from self._read(int(self.headers.get("Content-Length", 0)))

    def send_json(self, status: int, document: Any, headers: Mapping[str, str]) -> None:
        """Answer with a document."""
        self.send(status, json.dumps(document).encode(), {"Content-Type": "application/json", **headers})

    def send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer with a small body."""
        self.send_head(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self._write(body)

    def send_file(self, file: Path) -> None:
        """Answer with a file."""
        self.send_head(200, {"Content-Length": str(file.stat().st_size)})
        if self.command == "HEAD":
            return
        with file.open("rb") as stream:
            while piece := stream.read(PIECE):
                self._write(piece)

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin an answer, and log the request."""
        self.server.registry.log.add(  # type: ignore[attr-defined]
            Logged(self.account, self.command, self.path, status, "Authorization" in self.headers)
        )
        self._drop_body()
        if self._fault and self._fault.silent:
            raise ConnectionError("hung up here, as planned")
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to the terminal: the request log has it."""

    def _read(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, PIECE))
            if not piece:
                raise ConnectionError("the client hung up in the middle of a body")
            size -= len(piece)
            self.server.registry.log.add_bytes(self.account, len(piece))  # type: ignore[attr-defined]
            yield piece

    def _drop_body(self) -> None:
        """Read what nobody wanted, or the next request would begin with it; a large body ends the connection."""
        if self._body_taken:
            return
        if int(self.headers.get("Content-Length", 0)) > PIECE or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return
        for _ in self.pieces():
            pass

    def _write(self, data: bytes) -> None:
        fault = self._fault
        if fault and fault.corrupt and data:
            data = bytes([data[0] ^ 1]) + data[1:]
            fault.corrupt = False
        if fault and fault.truncate is not None:
            data, fault.truncate = data[: fault.truncate], max(0, fault.truncate - len(data))
            self.wfile.write(data)
            if fault.truncate == 0:
                raise ConnectionError("cut here, as planned")
            return
        self.wfile.write(data)
