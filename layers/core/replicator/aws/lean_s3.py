"""HeadObject and CopyObject for prefixes of thousands of objects, at a fifth of botocore's work for a call.

Theory of operation. A small object costs these two calls and nothing else, and botocore takes more time to build,
sign and read a call than S3 takes to answer it: one process cannot keep 64 streams busy. These two have no
body, so here they are headers, signed by hand and sent over kept connections. Names and places of the
headers are taken from botocore's own model, and the host from its endpoint rules. Everything that is not
a plain answer (a fault, throttling, a redirect, an odd value, a broken connection) is asked again through
botocore, which knows how to wait, to try again and to name the error.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import random
import ssl
import threading
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from botocore.exceptions import ClientError
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from replicator.aws.lean_http import Connection, OddAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3
    from mypy_boto3_s3.client import S3Client

_NOTHING = hashlib.sha256(b"").hexdigest()
_SAFE = "-_.~"
_JUDGED = frozenset({403, 404, 412})
"""Answers that trying again does not change: they are errors as botocore would raise them."""


QUICK, SLOW = 20, 300
"""Seconds for which an answer is waited for: to what S3 can tell at once, and to what it has to copy first."""
_QUICK_CALLS = frozenset(
    {"get_object_tagging", "get_paginator", "head_bucket", "list_multipart_uploads", "list_objects_v2"}
)

PAUSE = 1.0
"""Seconds at most before botocore is asked after a fault: as long as it would wait itself before a second try."""


class _Again(Exception):
    """Ask botocore instead."""


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=get_cert_path(True))


class _Where(Exception):
    """The URL to which botocore was about to send a request."""


class LeanS3:
    """An S3 client with two calls of its own; everything else is the client's.

    Parameters
    ----------
    client
        For the model, the endpoint, and everything else; it waits for an answer for ``SLOW`` seconds.
    quick
        The same but for ``QUICK`` seconds, for what describes and lists.
    session
        With the credentials of the clients, which must outlive the copy.
    """

    def __init__(self, client: S3Client, quick: S3Client, session: boto3.Session) -> None:
        self._client = client
        self._quick = quick
        credentials = session.get_credentials()
        self._credentials = credentials.get_frozen_credentials() if credentials else None
        self._region = client.meta.region_name
        config: Any = client.meta.config
        self._agent = f"{config.user_agent} {config.user_agent_extra}"
        self._threads = threading.local()
        client.meta.events.register("before-sign.s3.HeadObject", self._tell_where)
        self._keys: dict[str, bytes] = {}
        self._places: dict[str, tuple[str, str, str] | None] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._quick if name in _QUICK_CALLS else self._client, name)

    def head_object(self, **arguments: Any) -> Any:
        """Do what the method of this name of a client does."""
        return self._call("HeadObject", "HEAD", self._quick.head_object, arguments)

    def copy_object(self, **arguments: Any) -> Any:
        """Do what the method of this name of a client does."""
        return self._call("CopyObject", "PUT", self._client.copy_object, arguments)

    def _call(self, name: str, method: str, ask: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        model = self._client.meta.service_model.operation_model(name)
        try:
            scheme, host, path, query, headers = self._request(model.input_shape, arguments)
            self._sign(method, host, path, query, headers)
            target = f"{path}?{query}" if query else path
            status, found, body = self._exchange(scheme, host, method, target, headers)
        except _Again:
            return ask(**arguments)
        if status in _JUDGED:
            raise ClientError(_error(status, body), name)
        if status != 200:
            _give_way(status)
            return ask(**arguments)
        answer = _members(model.output_shape, found)
        if method == "PUT":
            result = _result(body)
            if result is None:  # an error can come after the status of success
                _give_way(status)
                return ask(**arguments)
            answer["CopyObjectResult"] = result
        return answer

    def _request(self, shape: Any, arguments: dict[str, Any]) -> tuple[str, str, str, str, dict[str, str]]:
        place = self._place(arguments["Bucket"])
        if place is None:
            raise _Again
        scheme, host, base = place
        headers: dict[str, str] = {}
        query = ""
        for member, value in arguments.items():
            where = shape.members[member].serialization
            match where["location"]:
                case "header":
                    headers[where["name"].lower()] = _text(value)
                case "headers":
                    headers |= {f"{where['name']}{n}".lower(): _text(v) for n, v in value.items()}
                case "querystring":
                    query = f"{where['name']}={quote(str(value), safe=_SAFE)}"
        return scheme, host, f"{base}/{quote(arguments['Key'], safe='/' + _SAFE)}", query, headers

    def _place(self, bucket: str) -> tuple[str, str, str] | None:
        """Give scheme, host and path of a bucket as botocore would; None where only botocore knows the way."""
        if bucket not in self._places:
            url = ""
            self._threads.asks_where = True
            try:
                self._client.head_object(Bucket=bucket, Key="-")
            except _Where as where:
                url = str(where)
            finally:
                self._threads.asks_where = False
            parts = urlsplit(url)
            # A directory bucket wants a session of its own, and a proxy is botocore's business.
            odd = not url or bucket.endswith("--x-s3") or get_environ_proxies(url)
            place = (parts.scheme, parts.netloc, parts.path.removesuffix("/-"))
            self._places[bucket] = None if odd else place
        return self._places[bucket]

    def _tell_where(self, request: Any, **_: Any) -> None:
        """Stop a request of botocore's, on the way from its endpoint rules to the network."""
        if getattr(self._threads, "asks_where", False):
            raise _Where(request.url)

    def _sign(self, method: str, host: str, path: str, query: str, headers: dict[str, str]) -> None:
        if self._credentials is None:
            raise _Again
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers |= {"host": host, "x-amz-content-sha256": _NOTHING, "x-amz-date": now}
        if self._credentials.token:
            headers["x-amz-security-token"] = self._credentials.token
        names = sorted(headers)
        signed = ";".join(names)
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{_NOTHING}"
        scope = f"{now[:8]}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key(scope), text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        headers["user-agent"] = self._agent

    def _key(self, scope: str) -> bytes:
        if scope not in self._keys:
            key = b"AWS4" + self._credentials.secret_key.encode()  # type: ignore[union-attr]
            for part in scope.split("/"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[scope] = key
        return self._keys[scope]

    def _exchange(
        self, scheme: str, host: str, method: str, target: str, headers: dict[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        kept: dict[str, Connection] = self._threads.__dict__
        connection = kept.get(host)
        if connection is None:
            context = _tls() if scheme == "https" else None
            connection = kept[host] = Connection(host, context)
        try:
            return connection.exchange(method, target, headers, QUICK if method == "HEAD" else SLOW)
        except (OSError, OddAnswerError) as error:
            raise _Again from error


def _give_way(status: int) -> None:
    """Wait a moment after throttling or a fault, each thread another one; a redirect needs no patience."""
    if status == 200 or status == 429 or status >= 500:
        time.sleep(random.uniform(0, PAUSE))  # noqa: S311 - nothing secret


def _text(value: Any) -> str:
    """Write a value as a header. What S3 takes only with care is left to botocore, which has that care."""
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return format_datetime(value.astimezone(UTC), usegmt=True)
        case {"Bucket": bucket, "Key": key}:
            version = f"?versionId={value['VersionId']}" if "VersionId" in value else ""
            return quote(f"{bucket}/{key}", safe="/" + _SAFE) + version
        case str() if value.isascii() and value.isprintable():
            return value
    raise _Again


@cache
def _readers(shape: Any) -> dict[str, tuple[str, Callable[[str], Any]]]:
    """Give by header the member of an answer and how to read it. Of the times there are two, which stay texts."""
    by_type: dict[str, Callable[[str], Any]] = {"string": str, "integer": int, "long": int}
    readers = {
        member.serialization["name"].lower(): (name, by_type[member.type_name])
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header" and member.type_name in by_type
    }
    return {**readers, "expires": ("Expires", str), "last-modified": ("LastModified", str)}


def _members(shape: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """Read an answer's headers as botocore does."""
    metadata: dict[str, str] = {}
    answer: dict[str, Any] = {"Metadata": metadata}
    readers = _readers(shape)
    for name, value in headers.items():
        low = name.lower()
        if low.startswith("x-amz-meta-"):
            metadata[name[len("x-amz-meta-") :]] = value
        elif low in readers:
            member, read = readers[low]
            answer[member] = read(value)
    return answer


def _result(body: bytes) -> dict[str, str] | None:
    try:
        root = ElementTree.fromstring(body.lstrip())  # noqa: S314 - S3 is who answers, over TLS
    except ElementTree.ParseError:
        return None
    if not root.tag.endswith("CopyObjectResult"):
        return None
    return {child.tag.rpartition("}")[2]: child.text or "" for child in root}


def _error(status: int, body: bytes) -> Any:
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - as above
        error = {child.tag: child.text or "" for child in root}
    except ElementTree.ParseError:
        error = {}
    details = {"Code": str(status), "Message": http.client.responses[status], **error}
    return {"Error": details, "ResponseMetadata": {"HTTPStatusCode": status}}
