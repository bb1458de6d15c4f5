"""A WSGI middleware for tests: keeps a log of requests and lets chosen ones fail."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


RULES: tuple[Rule, ...] = (
    Rule(
        "s3-error-inside-200",
        "S3 may answer 200 and then an error in the body, when a copy or a completion fails late.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html",
    ),
    Rule(
        "s3-error-document",
        "An error of S3 is an XML document with Code, Message and RequestId; to HEAD it has no body.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    ),
)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request, as it came in.

    Parameters
    ----------
    path
        Unquoted.
    sent
        Bytes of its body.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    sent: int

    @property
    def operation(self) -> str:
        """A name for it that tells the calls of S3 apart."""
        copy = "Copy" if "x-amz-copy-source" in self.headers else ""
        match self.method, "uploadId" in self.query, self.path.strip("/").count("/") > 0:
            case "PUT", True, _:
                return f"UploadPart{copy}"
            case "PUT", False, _:
                return "CopyObject" if copy else "PutObject"
            case "POST", True, _:
                return "CompleteMultipartUpload"
            case "DELETE", True, _:
                return "AbortMultipartUpload"
            case "GET", True, _:
                return "ListParts"
            case _:
                return self._plain()

    def _plain(self) -> str:
        for name, operation in _SUBRESOURCES.items():
            if name in self.query:
                return operation
        return {"GET": "GetObject", "HEAD": "HeadObject"}.get(self.method, self.method)


_SUBRESOURCES = {
    "uploads": "Uploads",
    "list-type": "ListObjectsV2",
    "versions": "ListObjectVersions",
    "tagging": "Tagging",
}


@dataclass
class Fault:
    """What shall happen to the requests that match.

    Parameters
    ----------
    method, path
        The method, and a regular expression that is searched in ``path?query``. None matches all.
    operation
        As `LoggedRequest.operation` names it.
    status, code, details
        The answer: an error in the XML of S3, with what stands beside its code. Status 200 is possible, as S3
        answers a copy that fails late.
    times
        How many requests fail; the others pass. None for all.
    after
        How many matching requests pass first.
    hook
        Called instead of an answer being made, when given: it may raise, wait, or change the world. The
        request then goes on.
    """

    method: str | None = None
    path: str | None = None
    operation: str | None = None
    status: int = 500
    code: str = "InternalError"
    details: str = "<Message>A fault of the test.</Message>"
    times: int | None = 1
    after: int = 0
    hook: Callable[[LoggedRequest], None] | None = None
    seen: int = field(default=0, init=False)

    def matches(self, request: LoggedRequest, target: str) -> bool:
        """Say whether the fault is meant for this request."""
        return (
            (self.method is None or self.method == request.method)
            and (self.operation is None or self.operation == request.operation)
            and (self.path is None or re.search(self.path, target) is not None)
        )

    def strikes(self) -> bool:
        """Count a matching request, and say whether it is one of those that fail."""
        self.seen += 1
        number = self.seen - self.after
        return number > 0 and (self.times is None or number <= self.times)


class Faults:
    """The middleware. ``faults.log`` has every request, ``faults.add(Fault(...))`` makes some fail."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.log: list[LoggedRequest] = []

    def add(self, fault: Fault) -> Fault:
        """Arm a fault."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget faults and log."""
        with self._lock:
            self._faults.clear()
            self.log.clear()

    def count(self, operation: str) -> int:
        """Count the requests of one operation."""
        with self._lock:
            return sum(request.operation == operation for request in self.log)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Log the request, then let it fail or pass it on."""
        request = _read(environ)
        target = f"{request.path}?{environ.get('QUERY_STRING', '')}"
        with self._lock:
            self.log.append(request)
            struck = next((f for f in self._faults if f.matches(request, target) and f.strikes()), None)
        if struck and struck.hook is None:
            return _error(environ, start_response, struck)
        if struck and struck.hook:
            struck.hook(request)
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer


def _read(environ: dict[str, Any]) -> LoggedRequest:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return LoggedRequest(
        method=environ["REQUEST_METHOD"],
        path=unquote(environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]),
        query=parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True),
        headers=headers,
        sent=int(environ.get("CONTENT_LENGTH") or 0),
    )


def _error(environ: dict[str, Any], start_response: Any, fault: Fault) -> Iterator[bytes]:
    left = int(environ.get("CONTENT_LENGTH") or 0)
    if left:
        environ["wsgi.input"].read(left)  # an answer before the end of the request breaks the connection
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{fault.code}</Code>'
        f"{fault.details}<RequestId>0</RequestId></Error>"
    ).encode()
    if environ["REQUEST_METHOD"] == "HEAD":
        body = b""
    start_response(
        f"{fault.status} Fault",
        [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))],
    )
    return iter([body])
