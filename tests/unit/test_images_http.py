"""Connections, retries and time, against servers that answer what the test wrote down."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from replicator.aws.oci_http import ATTEMPTS, Budget, Connections, OutOfTimeError, TransientError, attempt
from replicator.aws.oci_manifest import Descriptor
from replicator.aws.oci_registry import Place, Registry, Repository, Side
from replicator.errors import ErrorCode, PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOB = Descriptor(f"sha256:{'a' * 64}", 10)


class Script:
    """A server on loopback: one list of answers for each connection it gets; None hangs up, a number waits."""

    def __init__(self, *connections: list[bytes | float | None]) -> None:
        self.requests: list[bytes] = []
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    def close(self) -> None:
        with suppress(OSError):  # it may be over
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in accept
        self._serving.join(5)
        self._listener.close()

    def _serve(self) -> None:
        for answers in self._connections:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(line, answers), daemon=True).start()

    def _answer(self, line: socket.socket, answers: list[bytes | float | None]) -> None:
        with line:
            for answer in answers:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = line.recv(65536)
                    if not data:
                        return
                    head += data
                self.requests.append(head)
                if isinstance(answer, (int, float)):
                    time.sleep(answer)
                elif answer is None:
                    return
                else:
                    line.sendall(answer)


def said(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@contextmanager
def server(*connections: list[bytes | float | None]) -> Iterator[Script]:
    script = Script(*connections)
    try:
        yield script
    finally:
        script.close()


def repository(url: str, side: Side = Side.SOURCE, seconds: float = 5) -> Repository:
    end = time.monotonic() + seconds
    connections = Connections(Budget(lambda: end - time.monotonic(), 0.001))
    return Repository(Place(Registry(url, "Basic secret"), "team/scorer"), side, connections)


def test_a_connection_is_kept_and_a_stale_one_replaced() -> None:
    with server([said(200), said(200), None], [said(200)]) as script:
        source = repository(script.url)
        for _ in range(3):
            assert source.has_blob(BLOB)
        # The third request met a connection that the server had closed, and went over a new one.
        assert len(script.requests) == 4


def test_a_new_connection_that_breaks_is_a_transient_error() -> None:
    with server([None]) as script, pytest.raises(TransientError):
        repository(script.url).has_blob(BLOB)


def test_nobody_there_is_a_transient_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(TransientError):
        repository(url).has_blob(BLOB)


def test_credentials_stay_with_scheme_host_and_port_of_the_registry() -> None:
    with server([said(200, b"0123456789")]) as elsewhere:
        with server([said(307, b"", f"Location: {elsewhere.url}/layer?X-Amz-Signature=1")]) as script:
            with repository(script.url).open_blob(BLOB) as incoming:
                assert incoming.read(100) == b"0123456789"
            assert b"Authorization: Basic secret" in script.requests[0]
        assert b"GET /layer?X-Amz-Signature=1 " in elsewhere.requests[0]
        assert b"Authorization" not in elsewhere.requests[0]


def test_a_circle_of_redirects_ends() -> None:
    answer = said(307, b"", "Location: /v2/again")
    with (
        server([answer] * 10) as script,
        pytest.raises(PermanentError) as caught,
        repository(script.url).open_blob(BLOB),
    ):
        raise AssertionError("there is nothing to read")
    assert caught.value.code is ErrorCode.REGISTRY_PROTOCOL


def test_a_registry_on_https_does_not_send_us_to_http() -> None:
    source = repository("https://registry.example")
    with pytest.raises(PermanentError, match="from https to http"):
        source._follow("https://registry.example/v2/x", "http://registry.example/layer")


def test_a_registry_that_refuses_in_the_middle_of_an_upload_is_heard() -> None:
    refusal = said(413, b'{"errors":[{"code":"SIZE_INVALID","message":"too large"}]}', "Connection: close")
    with server([refusal], [said(404)]) as script:
        hub = repository(script.url, Side.HUB)
        endless = (memoryview(bytes(1024 * 1024)) for _ in range(64))
        with pytest.raises((PermanentError, TransientError)) as caught:
            hub.upload(f"{script.url}/v2/upload", Descriptor(BLOB.digest, 64 * 1024 * 1024), endless)
    # Whether the answer or the broken line arrives first is up to the network.
    if isinstance(caught.value, PermanentError):
        assert "too large" in caught.value.message


def test_a_server_that_stalls_does_not_hold_us_beyond_the_deadline() -> None:
    with server([30.0]) as script:
        source = repository(script.url, seconds=0.3)
        began = time.monotonic()
        with pytest.raises(OutOfTimeError):
            source.has_blob(BLOB)
        assert time.monotonic() - began < 2


@pytest.mark.timeout(20)
def test_a_body_that_stalls_does_not_hold_us_beyond_the_deadline() -> None:
    half = said(200, b"0123456789")[:-5]
    left = [100.0]  # plenty when the answer begins, little when its body is read
    with server([half, 30.0]) as script:
        place = Place(Registry(script.url), "team/scorer")
        source = Repository(place, Side.SOURCE, Connections(Budget(lambda: left[0])))
        with source.open_blob(BLOB) as incoming:
            left[0] = 0.2
            with pytest.raises(TransientError, match="broke off"):
                incoming.read_into(memoryview(bytearray(10)))


def test_what_passes_is_tried_again_and_what_stays_is_given_up() -> None:
    failures = [TransientError(ErrorCode.THROTTLED, "busy")] * 2
    pauses = Budget(backoff_seconds=0.001)

    def work() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert attempt(work, pauses) == "done"
    tries = []

    def never() -> None:
        tries.append(1)
        raise TransientError(ErrorCode.THROTTLED, "busy")

    with pytest.raises(RetryableError, match="THROTTLED: busy"):
        attempt(never, pauses)
    assert len(tries) == ATTEMPTS


def test_a_pause_that_would_outlast_the_deadline_is_not_begun() -> None:
    began = time.monotonic()
    with pytest.raises(OutOfTimeError):
        Budget(lambda: 5.0).pause(1, at_least=60.0)
    assert time.monotonic() - began < 1


def test_the_server_says_how_long_to_wait() -> None:
    with server([said(429, b"", "Retry-After: 7")]) as script, pytest.raises(TransientError) as caught:
        repository(script.url).has_blob(BLOB)
    assert caught.value.retry_after == 7
    assert caught.value.code is ErrorCode.THROTTLED


def test_a_stop_reaches_every_thread_and_can_be_taken_back() -> None:
    budget = Budget()
    budget.stop()
    with pytest.raises(OutOfTimeError):
        budget.seconds(1)
    budget.resume()
    assert budget.seconds(1) == 1


def test_a_token_is_not_in_what_a_registry_says_of_itself() -> None:
    assert "secret" not in repr(Place(Registry("https://registry.example", "Basic secret"), "x"))


@pytest.mark.parametrize(
    "location",
    [
        "https://b.s3.us-east-1.amazonaws.com:99999/x",
        "https://b.s3.us-east-1.amazonaws.com:x/x",
        "https://[::1/x",
        "//[bad/x",
    ],
)
def test_a_redirect_to_an_address_that_is_none_is_the_registrys_mistake(location: str) -> None:
    with (
        server([said(307, b"", f"Location: {location}")]) as script,
        pytest.raises(PermanentError, match="address that is none") as caught,
        repository(script.url).open_blob(BLOB),
    ):
        pass
    assert caught.value.code is ErrorCode.REGISTRY_PROTOCOL


def test_a_registry_on_https_sends_us_nowhere_but_where_its_layers_are_kept() -> None:
    registry = Registry("https://registry.example", redirects_to=lambda host: host == "layers.example")
    source = Repository(Place(registry, "r"), Side.SOURCE, Connections(Budget()))
    here = "https://registry.example/v2/r/blobs/x"
    for allowed in ("https://layers.example/x", "/v2/r/blobs/y", "https://registry.example:443/y"):
        assert source._follow(here, allowed).startswith("https://")
    for refused in (
        "https://evil.example/x",
        "https://registry.example:8443/y",
        "https://layers.example.evil/x",
    ):
        with pytest.raises(PermanentError, match="not a host of its own") as caught:
            source._follow(here, refused)
        assert caught.value.code is ErrorCode.REGISTRY_PROTOCOL


def test_what_a_registry_says_is_repeated_without_its_tokens() -> None:
    body = b"<Error><Code>ExpiredToken</Code><Token-0>" + b"IQoJb3Jp" * 40 + b"</Token-0></Error>"
    with server([said(403, body)]) as script, pytest.raises(PermanentError) as caught:
        repository(script.url).get_manifest("1")
    assert "ExpiredToken" in caught.value.message
    assert "IQoJ" not in caught.value.message


def test_an_answer_nested_without_end_is_an_answer_all_the_same() -> None:
    with server([said(400, b"[" * 200_000)]) as script, pytest.raises(PermanentError) as caught:
        repository(script.url).get_manifest("1")
    assert caught.value.code is ErrorCode.REGISTRY_PROTOCOL
