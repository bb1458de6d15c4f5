"""Counts the AWS calls that the functions make, by function, in the running local AWS."""

from __future__ import annotations

import re
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.server import LocalAws

_KEY = re.compile(r"Credential=([^/,]+)/[^/]+/[^/]+/([^/]+)/")
_NEW_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_PREFIX = "registry-replicator-"


class CountedCalls:
    """A WSGI middleware that counts what comes from the functions.

    ``calls`` has ``(function, service, call)``. Calls of other people, of the test for instance, are not in it.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self._assumed: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        found = _KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
        function = self._function(found[1]) if found else None
        if not found or not function:
            answer: Iterable[bytes] = self.app(environ, start_response)
            return answer
        service = found[2]
        call = _call(environ, service)
        with self._lock:
            self.calls[function, service, call] += 1
        body = b"".join(self.app(environ, start_response))
        if service == "sts" and (new := _NEW_KEY.search(body)):
            self._assumed[new[1].decode()] = function
        return [body]

    def _function(self, access_key: str) -> str | None:
        """Give the function whose key it is, also of a role that the function assumed."""
        if access_key in self._assumed:
            return self._assumed[access_key]
        for backends in list(sts_backends.values()):
            for backend in list(backends.values()):
                for role in backend.assumed_roles:
                    if role.access_key_id == access_key and role.session_name.startswith(_PREFIX):
                        return str(role.session_name).removeprefix(_PREFIX)
        return None

    def by_function(self) -> Counter[str]:
        """Sum up the calls of each function."""
        total: Counter[str] = Counter()
        for (function, _, _), count in self.calls.items():
            total[function] += count
        return total

    def total(self) -> int:
        """Sum up all calls."""
        return sum(self.calls.values())

    def clear(self) -> None:
        """Begin anew."""
        self.calls.clear()


def _call(environ: dict[str, Any], service: str) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rpartition(".")[2]
    if service == "s3":
        copy = "copy " if "HTTP_X_AMZ_COPY_SOURCE" in environ else ""
        query = sorted(parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        return f"{copy}{environ['REQUEST_METHOD']} {' '.join(query)}".strip()
    return "AssumeRole" if service == "sts" else str(environ.get("PATH_INFO"))


@contextmanager
def counting(aws: LocalAws) -> Iterator[CountedCalls]:
    """Count while the block runs."""
    server: Any = aws._server
    before = server.app
    counted = server.app = CountedCalls(before)
    try:
        yield counted
    finally:
        server.app = before
