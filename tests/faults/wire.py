"""Every HTTP request of a handler that runs in this process: numbered, and struck where a test says so.

Theory of operation. botocore (through urllib3) and `replicator.aws.oci_http` end in `http.client.HTTPConnection`, whose
five methods are where a request begins and where its answer comes in; `replicator.aws.lean_http` writes and reads its
own, in one method. A strike before the request lets it never leave; one after it lets it have its effect, and the
caller does not learn of it; an answer that is made up here has no effect at all.

A request is known by function, service, operation, and which of its kind it is in this case: threads may make
their requests in any order, but the same case always has the same requests.
"""

from __future__ import annotations

import http.client
import io
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from unittest import mock

from replicator.aws import lean_http
from tests.faults.requests import Request, made_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Crashed(BaseException):
    """The process of a function ends here; nothing may catch this."""


class Effect(StrEnum):
    """What happens to a request that is struck."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    TIMED_OUT = "time-out after the effect"
    THROTTLED = "throttled"
    UNAVAILABLE = "503"
    BROKEN = "500"
    ERROR_IN_200 = "error inside a 200"
    NOTHING = "nothing"
    """But for the hook of the strike."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a test names it."""

    function: str
    """Without the namespace: ``copy-artifact``."""
    service: str
    operation: str
    number: int
    """Which of its kind in this case, from 1."""
    request: Request = field(compare=False, repr=False)
    begins: bool = field(default=False, compare=False, repr=False)
    """Whether it is the first of its invocation."""
    alone: bool = field(default=True, compare=False, repr=False)
    """Whether none of its invocation was under way when it was about to leave."""

    def __str__(self) -> str:
        return f"{self.function} {self.service}.{self.operation} {self.number}"

    @property
    def kind(self) -> str:
        """Give what it has in common with the others of its kind."""
        return f"{self.function} {self.service}.{self.operation}"


@dataclass
class Strike:
    """What shall happen to which request.

    Parameters
    ----------
    call
        As ``str(call)`` gives it; or ``+n``: the n-th request after the strike before this one has struck.
    lasts
        ``once``; ``invocation``: from this request on, all of its kind until the function ends; or
        ``always``: all of its kind from this one on.
    where
        Instead of ``call``: every request for which it is true.
    hook
        Called ahead, with the request; its own requests do not count.
    """

    call: str
    effect: Effect
    lasts: str = "once"
    where: Callable[[Call], bool] | None = None
    hook: Callable[[Call], None] | None = None
    struck: list[Call] = field(default_factory=list, init=False)
    _invocation: int | None = field(default=None, init=False)
    _position: int | None = field(default=None, init=False)

    def hits(self, call: Call, position: int, invocation: int, before: Strike | None) -> bool:
        """Tell whether this request is one of those that are struck, and remember it.

        Parameters
        ----------
        position
            Of the request in the case.
        before
            The strike before this one.
        """
        if self.where is not None:
            hit = self.where(call)
        elif not self.struck:
            hit = self._is_first(call, position, before)
        else:
            hit = call.kind == self.struck[0].kind and (
                self.lasts == "always" or (self.lasts == "invocation" and invocation == self._invocation)
            )
        if hit and not self.struck:
            self._invocation, self._position = invocation, position
        if hit:
            self.struck.append(call)
        return hit

    def _is_first(self, call: Call, position: int, before: Strike | None) -> bool:
        if not self.call.startswith("+"):
            return str(call) == self.call
        return (
            before is not None
            and before._position is not None
            and position == before._position + int(self.call)
        )


@dataclass
class _Invocation:
    number: int
    function: str
    dead: bool = False
    begun: bool = False
    in_flight: int = 0


@dataclass
class _Pending:
    """A request that is being written to a connection."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    invocation: _Invocation | None = None
    effect: Effect | None = None
    answer: bytes | None = None
    counted: bool = False


class Wire:
    """Watches and strikes the requests of one invocation at a time.

    ``calls`` has every request since `begin_case`, of all functions.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.strikes: list[Strike] = []
        self._kinds: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._invocation: _Invocation | None = None
        self._invocations = 0
        self._aside = threading.local()

    def begin_case(self, *strikes: Strike) -> None:
        """Forget what was, and arm."""
        with self._lock:
            self.calls, self.strikes = [], list(strikes)
            self._kinds.clear()

    @contextmanager
    def invocation(self, function: str) -> Iterator[None]:
        """Count the requests of this block, in whatever thread, as those of a function.

        At its end what is still in flight is waited for, so that nothing of a dead function reaches into the next
        one; what threads of a dead function still want to send is not sent.
        """
        self._invocations += 1
        mine = self._invocation = _Invocation(self._invocations, function)
        try:
            yield
        finally:
            mine.dead = True
            until = time.monotonic() + 20
            while mine.in_flight and time.monotonic() < until:
                time.sleep(0.001)
            self._invocation = None
            assert not mine.in_flight, f"{mine.in_flight} requests of {function} did not land in 20 s"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch every connection of this process."""
        kind = http.client.HTTPConnection
        methods = ("putrequest", "putheader", "endheaders", "send", "getresponse", "close")
        originals = {name: getattr(kind, name) for name in methods}
        wrappers = {name: getattr(self, f"_{name}") for name in methods}

        def wrapped(name: str) -> Any:
            original, wrapper = originals[name], wrappers[name]
            return lambda connection, *args, **more: wrapper(original, connection, *args, **more)

        lean = lean_http.Connection.exchange
        with (
            mock.patch.multiple(kind, **{name: wrapped(name) for name in methods}),
            mock.patch.object(lean_http.Connection, "exchange", lambda *args: self._exchange(lean, *args)),
        ):
            yield

    def _exchange(
        self, original: Any, connection: Any, method: str, target: str, headers: Any, timeout: float
    ) -> Any:
        """Strike a request of `replicator.aws.lean_http`, which asks and reads the answer in one call."""
        line = connection._connection
        if "_wire_owner" not in line.__dict__:
            line.__dict__["_wire_owner"] = None if self._is_aside() else self._invocation
        pending = _Pending(method, target, dict(headers), line.__dict__["_wire_owner"])
        if pending.invocation is not None:
            self._strike(line, pending, pending.invocation)
        try:
            if pending.answer is not None:
                found = _answer(line, pending)
                return found.status, dict(found.getheaders()), found.read()
            answer = original(connection, method, target, headers, timeout)
        finally:
            self._landed(pending)
        self._after(connection, pending)
        return answer

    # The six methods

    def _putrequest(
        self, original: Any, connection: Any, method: str, url: str, *args: Any, **more: Any
    ) -> None:
        owner = connection.__dict__
        if "_wire_owner" not in owner:
            owner["_wire_owner"] = None if self._is_aside() else self._invocation
        owner["_wire"] = _Pending(method, url, invocation=owner["_wire_owner"])
        original(connection, method, url, *args, **more)

    def _is_aside(self) -> bool:
        """Tell whether this thread is not the function's: a hook of the test, or the local AWS itself."""
        return getattr(self._aside, "on", False) or "process_request" in threading.current_thread().name

    def _putheader(self, original: Any, connection: Any, header: Any, *values: Any) -> None:
        pending: _Pending = connection.__dict__["_wire"]
        pending.headers[_text(header).lower()] = ", ".join(_text(value) for value in values)
        original(connection, header, *values)

    def _endheaders(self, original: Any, connection: Any, *args: Any, **more: Any) -> None:
        pending: _Pending = connection.__dict__["_wire"]
        if pending.invocation is not None:
            self._strike(connection, pending, pending.invocation)
        if pending.answer is None:
            original(connection, *args, **more)
            return
        if connection.sock is None:
            connection.connect()
        connection._buffer.clear()  # nothing leaves

    def _send(self, original: Any, connection: Any, data: Any) -> None:
        pending: _Pending | None = connection.__dict__.get("_wire")
        if pending is None or pending.answer is None:
            original(connection, data)

    def _getresponse(self, original: Any, connection: Any, *args: Any, **more: Any) -> Any:
        pending: _Pending = connection.__dict__["_wire"]
        try:
            if pending.answer is not None:
                return _answer(connection, pending)
            response = original(connection, *args, **more)
        finally:
            self._landed(pending)
        self._after(connection, pending)
        return response

    def _close(self, original: Any, connection: Any) -> None:
        # Of a request whose body could not be sent to its end nobody awaits the answer.
        pending: _Pending | None = connection.__dict__.get("_wire")
        original(connection)
        if pending is not None:
            self._landed(pending)

    @staticmethod
    def _after(connection: Any, pending: _Pending) -> None:
        if pending.effect is Effect.TIMED_OUT:
            connection.close()
            raise TimeoutError("timed out (a fault of the test)")
        if pending.effect is Effect.CRASH_AFTER and pending.invocation:
            pending.invocation.dead = True
            connection.close()
        if pending.invocation is not None and pending.invocation.dead:
            raise Crashed

    # What happens to a request

    def _strike(self, connection: Any, pending: _Pending, invocation: _Invocation) -> None:
        if invocation.dead:
            raise Crashed
        request = Request(pending.method, pending.url, pending.headers, connection.port)
        with self._lock:
            service, operation = request.name
            kind = f"{invocation.function} {service}.{operation}"
            self._kinds[kind] += 1
            begins, invocation.begun = not invocation.begun, True
            alone = invocation.in_flight == 0
            call = Call(invocation.function, service, operation, self._kinds[kind], request, begins, alone)
            self.calls.append(call)
            strike = self._struck_by(call, invocation)
        if strike is None:
            self._leaves(pending, invocation)
            return
        if strike.hook is not None:
            self._aside.on = True
            try:
                strike.hook(call)
            finally:
                self._aside.on = False
        if strike.effect is Effect.CRASH_BEFORE:
            invocation.dead = True
            raise Crashed
        if strike.effect in (Effect.THROTTLED, Effect.UNAVAILABLE, Effect.BROKEN, Effect.ERROR_IN_200):
            pending.answer = made_up(request, strike.effect.name)
        pending.effect = strike.effect
        self._leaves(pending, invocation)

    def _struck_by(self, call: Call, invocation: _Invocation) -> Strike | None:
        position, before = len(self.calls), None
        for strike in self.strikes:
            if strike.hits(call, position, invocation.number, before):
                return strike
            before = strike
        return None

    def _leaves(self, pending: _Pending, invocation: _Invocation) -> None:
        with self._lock:
            invocation.in_flight += 1
            pending.counted = True

    def _landed(self, pending: _Pending) -> None:
        if pending.counted and pending.invocation is not None:
            with self._lock:
                pending.invocation.in_flight -= 1
                pending.counted = False


class _Line:
    """Stands for the socket from which an answer is read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> Any:
        return io.BytesIO(self._data)


def _answer(connection: Any, pending: _Pending) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(_Line(pending.answer or b""), method=pending.method)  # type: ignore[arg-type]
    response.begin()
    # The connection has sent nothing, and is as it was.
    connection._HTTPConnection__state = "Idle"
    with suppress(AttributeError):
        connection._response_received = False
    return response


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
