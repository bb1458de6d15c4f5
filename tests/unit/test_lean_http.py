"""What is read of HTTP by hand, and what is left to others."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from replicator.aws.lean_http import Connection, OddAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-amz-meta-By: Ada L.\r\n\r\nok"


class Server:
    """Answers each request on a connection with the next of some bytes; None closes the connection."""

    def __init__(self, *answers: bytes | None) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listening.getsockname()[1]}"
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    def close(self) -> None:
        with suppress(OSError):  # it may be over
            self.listening.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in accept
        self._serving.join(5)
        self.listening.close()

    def _serve(self) -> None:
        with suppress(OSError):  # the test is over
            while self.answers:
                with self.listening.accept()[0] as connection:
                    self.connections += 1
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        request = b""
        while self.answers:
            while b"\r\n\r\n" not in request:
                data = connection.recv(65536)
                if not data:
                    return
                request += data
            self.requests.append(request)
            request = b""
            answer = self.answers.pop(0)
            if answer is None:
                return
            for byte in range(0, len(answer), 7):  # in pieces, as a network may deliver it
                connection.sendall(answer[byte : byte + 7])
            if not answer.endswith(b"ok") and b"chunked" not in answer and b"\r\nhead: " not in answer:
                return


@contextmanager
def talking(*answers: bytes | None) -> Iterator[tuple[Server, Connection]]:
    server = Server(*answers)
    connection = Connection(server.host, None)
    try:
        yield server, connection
    finally:
        connection.close()
        server.close()


def test_a_request_is_what_it_is_to_be_and_the_connection_is_kept() -> None:
    with talking(OK, OK) as (server, connection):
        for _ in range(2):
            answer = connection.exchange(
                "PUT", "/b/k?versionId=1", {"host": server.host, "x-amz-date": "now"}, 5
            )
            assert answer == (200, {"Content-Length": "2", "x-amz-meta-By": "Ada L."}, b"ok")
        first, *lines = server.requests[0].decode().split("\r\n")
        assert first == "PUT /b/k?versionId=1 HTTP/1.1"
        assert lines == [f"host: {server.host}", "x-amz-date: now", "content-length: 0", "", ""]
        assert server.requests[1] == server.requests[0]
        assert server.connections == 1


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nhead: yes\r\nContent-Length: 999999\r\n\r\n"
    with talking(head, OK) as (_, connection):
        assert connection.exchange("HEAD", "/", {}, 5)[2] == b""
        assert connection.exchange("PUT", "/", {}, 5)[2] == b"ok"


def test_chunks_are_put_together() -> None:
    """S3 begins the answer to a copy before it knows its length."""
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n<Copy\r\n0B;name=value\r\nResult> <x>\r\n0\r\nTrailer: 1\r\n\r\n"
    )
    with talking(chunked, OK) as (server, connection):
        assert connection.exchange("PUT", "/", {}, 5)[2] == b"<CopyResult> <x>"
        assert connection.exchange("PUT", "/", {}, 5)[2] == b"ok"
        assert server.connections == 1


def test_a_server_that_says_close_is_asked_on_a_new_connection() -> None:
    closing = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with talking(closing, OK) as (_, connection):
        assert connection.exchange("HEAD", "/", {}, 5)[0] == 404
        assert connection._answers is None


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nxx",
        b"<html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, other\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nfolded: a\r\n b\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nlong: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\n"
        + b"many: 1\r\n" * 3
        + b"".join(b"h%d: 1\r\n" % n for n in range(300))
        + b"\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nxxx\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_left_to_others_and_the_connection_is_not_used_again(
    answer: bytes | None,
) -> None:
    with talking(answer, OK) as (server, connection):
        if answer and b"chunked" in answer:
            server.answers.insert(1, None)
        with pytest.raises((OddAnswerError, OSError)):
            connection.exchange("PUT", "/", {}, 5)
        assert connection._answers is None


def test_a_connection_that_went_stale_is_opened_again_for_the_next_request() -> None:
    with talking(OK, None, OK) as (server, connection):
        connection.exchange("PUT", "/", {}, 5)
        with pytest.raises((OddAnswerError, OSError)):
            connection.exchange("PUT", "/", {}, 5)
        assert connection.exchange("PUT", "/", {}, 5)[2] == b"ok"
        assert server.connections == 2


@pytest.mark.parametrize("headers", [{"a": "1\r\nx-evil: 2"}, {"a\nb": "1"}])
def test_no_header_is_smuggled_in(headers: dict[str, str]) -> None:
    with talking(OK) as (server, connection):
        with pytest.raises(OddAnswerError):
            connection.exchange("PUT", "/", headers, 5)
        assert server.requests == []


@pytest.mark.parametrize("end", [b"", b"x-amz-checksum-crc64nvme: AAAAA"])
def test_headers_that_break_off_are_no_answer_to_head(end: bytes) -> None:
    """It would look like an object without a checksum."""
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + end
    with talking(cut) as (_, connection), pytest.raises(OddAnswerError):
        connection.exchange("HEAD", "/", {}, 5)


def test_a_server_that_says_nothing_is_waited_for_as_long_as_the_request_is_worth() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(f"127.0.0.1:{silent.getsockname()[1]}", None)
        for timeout in (0.1, 0.3):
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                connection.exchange("HEAD", "/", {}, timeout)
            assert timeout <= time.monotonic() - started < timeout + 4


def test_to_connect_is_not_waited_for_as_long_as_for_an_answer() -> None:
    asked: list[float] = []

    def connect(_: object, timeout: float, *__: object) -> socket.socket:
        asked.append(timeout)
        raise TimeoutError

    connection = Connection("127.0.0.1:1", None)
    connection._connection._create_connection = connect  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError):
        connection.exchange("PUT", "/", {}, 300)
    assert asked == [5]
