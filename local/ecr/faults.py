"""Failures that tests plan for the registry, and the log of what was asked of it."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    With a ``status`` the request is answered with it, and with ``body`` and ``headers``, and has no effect.
    Otherwise it is served, but its answer never comes (``silent``), or the answer's body is cut after
    ``truncate`` bytes, or its first byte is wrong (``corrupt``). It waits ``delay`` seconds before.
    """

    method: str
    path: str
    """Regular expression, searched in path and query."""
    status: int | None = None
    times: int = 1
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    truncate: int | None = None
    corrupt: bool = False
    delay: float = 0.0
    silent: bool = False


class Faults:
    """A list of planned failures, used up in order."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []
        self._lock = threading.Lock()

    def plan(
        self,
        method: str,
        path: str,
        *,
        status: int | None = None,
        times: int = 1,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        truncate: int | None = None,
        corrupt: bool = False,
        delay: float = 0.0,
        silent: bool = False,
    ) -> Fault:
        """Let the next ``times`` requests that match go wrong."""
        fault = Fault(method, path, status, times, body, headers or {}, truncate, corrupt, delay, silent)
        with self._lock:
            self._planned.append(fault)
        return fault

    def take(self, method: str, path: str) -> Fault | None:
        """Give the failure for a request, and count it as used."""
        with self._lock:
            for fault in self._planned:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return replace(fault)
        return None

    def clear(self) -> None:
        """Forget what is planned."""
        with self._lock:
            self._planned.clear()


@dataclass(frozen=True, slots=True)
class Logged:
    """A request that was answered."""

    account: str
    """Whose registry, or ``storage`` for the object storage behind all of them."""
    method: str
    path: str
    status: int
    authorized: bool
    """Whether it came with an ``Authorization`` header."""


class RequestLog:
    """Every request, in the order of the answers."""

    def __init__(self) -> None:
        self._entries: list[Logged] = []
        self._bytes: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add_bytes(self, account: str, size: int) -> None:
        """Count bytes of a body that one account's registry was sent."""
        with self._lock:
            self._bytes[account] += size

    def bytes(self, account: str) -> int:
        """Give how many bytes of bodies one account's registry was sent."""
        with self._lock:
            return self._bytes[account]

    def add(self, entry: Logged) -> None:
        """Log a request."""
        with self._lock:
            self._entries.append(entry)

    def entries(self, account: str | None = None) -> list[Logged]:
        """Give what one account's registry was asked, or all."""
        with self._lock:
            return [entry for entry in self._entries if account in (None, entry.account)]

    def count(self, method: str, path: str = "", account: str | None = None) -> int:
        """Count requests by method and a regular expression for the path."""
        return sum(
            entry.method == method and re.search(path, entry.path) is not None
            for entry in self.entries(account)
        )

    def clear(self) -> None:
        """Forget what was asked."""
        with self._lock:
            self._entries.clear()
            self._bytes.clear()
