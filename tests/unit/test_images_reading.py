"""How answers are read: in large pieces, whole or not at all, and never beyond the deadline."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from contextlib import contextmanager, suppress
from itertools import batched
from typing import TYPE_CHECKING, Any

import pytest

from replicator.aws.oci_http import (
    ATTEMPTS,
    BUFFER_BYTES,
    Budget,
    Connections,
    OutOfTimeError,
    TransientError,
    attempt,
)
from replicator.aws.oci_manifest import MOST_MANIFEST_BYTES, OCI_MANIFEST, Descriptor, digest_of
from replicator.aws.oci_registry import Place, Registry, Repository, Side
from replicator.errors import ErrorCode, PermanentError, RetryableError
from tests.unit.test_images_http import BLOB, repository, said, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEBIBYTE = 1024 * 1024


def manifest(**more: Any) -> bytes:
    config = {"digest": BLOB.digest, "size": BLOB.size}
    return json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [], **more}
    ).encode()


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection on loopback."""

    def run() -> None:
        with suppress(OSError):
            line, _ = listener.accept()
            with line:
                serve(line)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def cut(answer: bytes, missing: int) -> list[bytes | float | None]:
    """Give the script of a connection that closes when all but so many bytes are sent."""
    return [answer[:-missing]]


def test_a_manifest_whose_connection_breaks_is_fetched_again() -> None:
    raw = manifest()
    whole = said(200, raw, f"Content-Type: {OCI_MANIFEST}")
    with server(cut(whole, 40), [whole]) as script:
        source = repository(script.url)
        found = attempt(lambda: source.get_manifest(digest_of(raw)), source.connections.budget)
    assert found is not None
    assert found.raw == raw


def test_an_answer_that_is_longer_than_wanted_is_no_broken_one() -> None:
    with server([said(200, b"0123456789"), said(200)], [said(200)]) as script:
        source = repository(script.url)
        with source.open_blob(BLOB) as incoming:
            assert incoming.read(4) == b"0123"
        # What was left unread is not taken for the next answer.
        assert source.has_blob(BLOB)


@pytest.mark.parametrize("by_digest", [True, False])
def test_a_manifest_that_is_too_large_is_called_so(by_digest: bool) -> None:
    raw = manifest(annotations={"long": "x" * MOST_MANIFEST_BYTES})
    with (
        server([said(200, raw, f"Content-Type: {OCI_MANIFEST}")]) as script,
        pytest.raises(PermanentError, match="4 MiB") as caught,
    ):
        repository(script.url).get_manifest(digest_of(raw) if by_digest else "1.0")
    assert caught.value.code is ErrorCode.IMAGE_UNSUPPORTED


def test_a_chunked_answer_is_read_whole_and_its_connection_kept() -> None:
    raw = manifest()
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(piece), bytes(piece)) for piece in batched(raw, 50, strict=False)
    )
    head = f"HTTP/1.1 200 X\r\nContent-Type: {OCI_MANIFEST}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with server([head + chunks + b"0\r\n\r\n", said(200)]) as script:
        source = repository(script.url)
        found = source.get_manifest(digest_of(raw))
        assert found is not None
        assert found.raw == raw
        assert source.has_blob(BLOB)


def test_a_chunked_answer_that_breaks_off_is_a_transient_error() -> None:
    answer = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nnot a hundred"
    with server([answer]) as script, pytest.raises(TransientError):
        repository(script.url).get_manifest(BLOB.digest)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("head", [f"Content-Length: {MEBIBYTE}", "Transfer-Encoding: chunked"])
def test_a_body_that_trickles_does_not_hold_us_beyond_the_deadline(head: str) -> None:
    piece = b"x" * 1000 if "Length" in head else b"3e8\r\n" + b"x" * 1000 + b"\r\n"

    def trickle(line: socket.socket) -> None:
        line.recv(65536)
        line.sendall(f"HTTP/1.1 200 X\r\n{head}\r\n\r\n".encode())
        for _ in range(200):
            line.sendall(piece)
            time.sleep(0.05)

    with listening(trickle) as url:
        source = repository(url, seconds=0.5)
        began = time.monotonic()
        with pytest.raises(OutOfTimeError), source.open_blob(BLOB) as incoming:
            incoming.read_into(memoryview(bytearray(BUFFER_BYTES)))
        assert time.monotonic() - began < 3


def test_a_blob_comes_a_megabyte_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    readinto = socket.SocketIO.readinto

    def recording(self: socket.SocketIO, buffer: Any) -> int | None:
        asked.append(len(buffer))
        return readinto(self, buffer)

    blob = Descriptor(BLOB.digest, 2 * MEBIBYTE + 5)
    with server([said(200, bytes(blob.size))]) as script:
        source = repository(script.url)
        with source.open_blob(blob) as incoming:
            monkeypatch.setattr(socket.SocketIO, "readinto", recording)
            buffer = memoryview(bytearray(BUFFER_BYTES))
            pieces = [incoming.read_into(buffer) for _ in range(4)]
    # Each piece is full, however the network cuts it, and the kernel is offered the room for all of it.
    assert pieces == [MEBIBYTE, MEBIBYTE, 5, 0]
    assert max(asked) > MEBIBYTE - 64 * 1024


class Waits:
    """In place of a budget's event: notes how long a pause would be, and is over."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        return False


def pausing(monkeypatch: pytest.MonkeyPatch) -> tuple[Budget, Waits]:
    """Give a budget that pauses as long as its jitter may ever ask for, in no time."""
    monkeypatch.setattr(random, "uniform", lambda _, most: most)
    budget, waits = Budget(backoff_seconds=0.5), Waits()
    monkeypatch.setattr(budget, "_stopped", waits)
    return budget, waits


@pytest.mark.parametrize("status", [429, 503])
def test_there_is_a_longer_pause_after_every_failure(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    budget, waits = pausing(monkeypatch)
    with server([said(status)] * ATTEMPTS) as script:
        source = Repository(Place(Registry(script.url), "team/scorer"), Side.SOURCE, Connections(budget))
        with pytest.raises(RetryableError):
            attempt(lambda: source.has_blob(BLOB), budget)
    assert waits.seconds == [0.5, 1, 2, 4]


def test_a_server_is_given_the_time_that_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, waits = pausing(monkeypatch)
    with server([said(429, b"", "Retry-After: 7"), said(200)]) as script:
        source = Repository(Place(Registry(script.url), "team/scorer"), Side.SOURCE, Connections(budget))
        assert attempt(lambda: source.has_blob(BLOB), budget)
    assert waits.seconds == [7]
