"""HTTP for image copies: kept connections, bounded waits, large buffers, bodies never held whole.

``http.client`` rather than a library on top of it: it reads from the socket straight into a buffer of
ours and sends from the same buffer, which is what a copy consists of.
"""

from __future__ import annotations

import http.client
import random
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from replicator.errors import ErrorCode, RetryableError
from replicator.redaction import redacted

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator, Mapping

BUFFER_BYTES = 1024 * 1024
"""How much is read at once. 16 KiB, the libraries' default, costs two thirds of the speed."""
MOST_TEXT_BYTES = 4 * 1024 * 1024 + 1
"""No answer but a blob is longer: a manifest has 4 MiB at most."""
IO_SECONDS = 60.0
COMMIT_SECONDS = 300.0
"""A registry checks and moves a blob of gigabytes before it answers the last request for it."""
ATTEMPTS = 5


class OutOfTimeError(Exception):
    """The copy has to stop ahead of the deadline, or because another part of it failed."""


class TransientError(Exception):
    """One request failed in a way that may pass: `attempt` tries again, then it is a `RetryableError`."""

    def __init__(self, code: ErrorCode, message: str, retry_after: float = 0.0) -> None:
        super().__init__(redacted(message))
        self.code = code
        self.message = redacted(message)
        self.retry_after = retry_after


class Budget:
    """What time a copy has left, shared by its threads; any of them can end it for all.

    Parameters
    ----------
    time_left
        Seconds until the copy must have stopped.
    backoff_seconds
        Upper bound of the first pause between two attempts; doubled for each further one.
    """

    def __init__(
        self, time_left: Callable[[], float] = lambda: float("inf"), backoff_seconds: float = 0.5
    ) -> None:
        self._time_left = time_left
        self._backoff_seconds = backoff_seconds
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the copy: every thread gets `OutOfTimeError` at its next read, write or pause."""
        self._stopped.set()

    def resume(self) -> None:
        """Go on after `stop`, when every thread has ended."""
        self._stopped.clear()

    def seconds(self, most: float) -> float:
        """Give a time-out of at most ``most`` seconds that ends before the deadline."""
        left = self._time_left()
        if left <= 0 or self._stopped.is_set():
            raise OutOfTimeError
        return min(most, left)

    def pause(self, attempts: int, at_least: float = 0.0) -> None:
        """Wait before another attempt, with full jitter, or as long as the server asked for."""
        bound = self._backoff_seconds * 2 ** (attempts - 1)
        # Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
        seconds = max(at_least, random.uniform(0, bound))  # noqa: S311 - nothing secret
        if seconds >= self._time_left() or self._stopped.wait(seconds):
            raise OutOfTimeError


def attempt[T](work: Callable[[], T], budget: Budget) -> T:
    """Do ``work``, again after a pause when it fails in a way that may pass.

    Raises
    ------
    RetryableError
        When it still fails at the last attempt.
    """
    for attempts in range(1, ATTEMPTS + 1):
        try:
            return work()
        except TransientError as error:
            if attempts == ATTEMPTS:
                raise RetryableError(
                    error.code, f"{error.message} ({ATTEMPTS} attempts). It will be tried again later."
                ) from error
            budget.pause(attempts, error.retry_after)
    raise AssertionError("unreachable")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; ``headers`` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    authorization: str | None = field(default=None, repr=False)
    """What the request was sent with."""


@dataclass
class Incoming:
    """An answer whose body is still to be read."""

    response: http.client.HTTPResponse
    _socket: socket.socket
    _budget: Budget
    _authorization: str | None = field(default=None, repr=False)

    def read_into(self, buffer: memoryview) -> int:
        """Fill ``buffer`` as far as the body goes, and tell how far that is: 0 at its end, or where it broke off."""
        filled = 0
        try:
            while filled < len(buffer) and (count := self._receive(buffer[filled:])):
                filled += count
        except BROKEN as error:
            self._budget.seconds(IO_SECONDS)  # a time-out that the deadline caused is not the server's fault
            raise TransientError(ErrorCode.SERVICE_UNAVAILABLE, f"the download broke off: {error}") from error
        return filled

    def read(self, most: int) -> bytes:
        """Read a small body whole, or its first ``most`` bytes."""
        length = self.response.length
        if length == 0:
            self.response.close()  # or the connection would not be kept
        buffer = memoryview(bytearray(most if length is None else min(length, most)))
        count = self.read_into(buffer)
        if count < len(buffer) and length is not None:
            # Half an answer has another digest and is no JSON, which would pass for the registry's mistake.
            raise TransientError(
                ErrorCode.SERVICE_UNAVAILABLE, f"an answer of {length:,} bytes ended after {count:,}"
            )
        return bytes(buffer[:count])

    def _receive(self, buffer: memoryview) -> int:
        """Give what one receive brings: a time-out bounds no more than that, and bytes may come one by one."""
        response = self.response
        self._socket.settimeout(self._budget.seconds(IO_SECONDS))
        if response.length is None:
            return response.readinto1(buffer)
        # What follows is `HTTPResponse.readinto1` without its further copy of every byte.
        if not response.length:
            response.close()
            return 0
        count = response.fp.readinto1(buffer[: response.length])
        response.length -= count
        if not response.length:
            response.close()
        return count

    def answer(self, body: bytes, url: str) -> Answer:
        """Give the answer with the body that was read of it."""
        headers = {name.lower(): value for name, value in self.response.getheaders()}
        return Answer(self.response.status, headers, body, url, self._authorization)


Origin = tuple[str, str, int]
BROKEN = (http.client.HTTPException, OSError)


def origin(url: str) -> Origin:
    """Tell scheme, host and port: what credentials are good for."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


@dataclass
class Connections:
    """Kept connections to any number of hosts, for any number of threads."""

    budget: Budget
    _idle: dict[Origin, list[http.client.HTTPConnection]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _context: ssl.SSLContext | None = None

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Make a request whose body and answer are small. Raises `TransientError` when the line breaks."""
        with self.open(method, url, headers, body) as incoming:
            return incoming.answer(incoming.read(MOST_TEXT_BYTES), url)

    @contextmanager
    def open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[Incoming]:
        """Make a request and give the answer with its body still to be read."""
        with self._connection(url) as (connection, kept):
            try:
                incoming = self._send(connection, method, url, headers, body)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # The server closed a kept connection while it was idle: that says nothing about the request.
                if not kept:
                    raise
                connection.close()
                incoming = self._send(connection, method, url, headers, body)
            yield incoming
            # What a caller does not read would be taken for the next answer.
            if not incoming.response.isclosed():
                connection.close()

    def upload(
        self, method: str, url: str, headers: Mapping[str, str], chunks: Iterable[memoryview]
    ) -> Answer:
        """Send a body piece by piece. ``headers`` has its ``Content-Length``."""
        with self._connection(url) as (connection, _):
            connection.putrequest(method, _target(url), skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            # A registry may refuse at once and hang up: what it answered says more than the broken line.
            with suppress(BrokenPipeError, ConnectionResetError):
                for chunk in chunks:
                    self._limit(connection, IO_SECONDS)
                    connection.send(chunk)
            self._limit(connection, COMMIT_SECONDS)
            line = connection.sock
            incoming = Incoming(connection.getresponse(), line, self.budget, headers.get("Authorization"))
            return incoming.answer(incoming.read(MOST_TEXT_BYTES), url)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            for connections in self._idle.values():
                for connection in connections:
                    connection.close()
            self._idle.clear()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Incoming:
        connection.request(method, _target(url), body=body, headers=dict(headers))
        # The connection forgets its socket when the answer says that it is the last one on it.
        line = connection.sock
        return Incoming(connection.getresponse(), line, self.budget, headers.get("Authorization"))

    @contextmanager
    def _connection(self, url: str) -> Iterator[tuple[http.client.HTTPConnection, bool]]:
        place = origin(url)
        with self._lock:
            idle = self._idle.setdefault(place, [])
            connection = idle.pop() if idle else None
        kept = connection is not None
        connection = connection or self._new(place)
        try:
            self._limit(connection, IO_SECONDS)
            yield connection, kept
        except BROKEN as error:
            connection.close()
            self.budget.seconds(IO_SECONDS)  # a time-out that the deadline caused is not the server's fault
            raise TransientError(
                ErrorCode.SERVICE_UNAVAILABLE, f"no answer from {place[1]}: {error or type(error).__name__}"
            ) from error
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle[place].append(connection)

    def _new(self, place: Origin) -> http.client.HTTPConnection:
        scheme, host, port = place
        if scheme != "https":
            return http.client.HTTPConnection(host, port, blocksize=BUFFER_BYTES)
        with self._lock:
            self._context = self._context or ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, blocksize=BUFFER_BYTES, context=self._context)

    def _limit(self, connection: http.client.HTTPConnection, most: float) -> None:
        connection.timeout = self.budget.seconds(most)
        if connection.sock is not None:
            connection.sock.settimeout(connection.timeout)


def retry_after(answer: Answer) -> float:
    """Tell how many seconds the server asks to wait, a minute at most; 0 when it does not say."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isascii() and text.isdecimal() else 0.0


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
