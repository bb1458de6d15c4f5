"""An S3 for benchmarks: it answers as S3 does, moves no bytes, and takes the time that S3 would take.

Every call costs a fixed delay, a server-side copy also its bytes at the rate of one stream. It runs in a process
of its own, so that its work counts for nobody, and keeps no bodies: an object is a size and an ETag. It also
answers ``sts:AssumeRole``, so the engine under measurement is the one that ships.

``/_control/...`` is for the benchmark: fill a bucket, forget everything, read what was counted.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import hashlib
import json
import multiprocessing
import urllib.request
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_PAGE = 1000
_DATE = "2026-01-01T00:00:00.000Z"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(slots=True)
class _Request:
    method: str
    bucket: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Answer:
    operation: str
    body: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    moved: int = 0
    """Bytes that S3 moves from place to place before it answers."""


@dataclass
class _Upload:
    bucket: str
    key: str
    parts: dict[int, int] = field(default_factory=dict)


class SlowS3:
    """The state of the server.

    Parameters
    ----------
    delay
        Seconds that every call takes.
    rate
        Bytes a second that one server-side copy moves.
    """

    def __init__(self, delay: float, rate: float) -> None:
        self.delay, self.rate = delay, rate
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.buckets: dict[str, dict[str, int]] = {}
        self.sorted: dict[str, list[str]] = {}
        self.uploads: dict[str, _Upload] = {}
        self.counts: Counter[str] = Counter()
        self.data_in = self.data_out = 0
        self.in_flight = self.most_in_flight = 0

    def fill(self, bucket: str, prefix: str, count: int, size: int) -> None:
        """Put so many objects of one size under a prefix."""
        objects = self.buckets.setdefault(bucket, {})
        for number in range(count):
            objects[f"{prefix}{number:07}" if count > 1 else prefix] = size
        self.sorted.pop(bucket, None)

    def figures(self) -> dict[str, Any]:
        """Give what was counted."""
        return {
            "calls": dict(self.counts),
            "data_in": self.data_in,
            "data_out": self.data_out,
            "most_in_flight": self.most_in_flight,
            "objects": {bucket: len(objects) for bucket, objects in self.buckets.items()},
            "bytes": {bucket: sum(objects.values()) for bucket, objects in self.buckets.items()},
        }

    def answer(self, request: _Request) -> _Answer:  # noqa: C901 - a table
        """Do what a request asks for."""
        if not request.bucket:
            return _assumed(request)
        query, method = request.query, request.method
        match method:
            case "HEAD":
                return self._head(request)
            case "GET" if "uploadId" in query:
                return self._parts(request)
            case "GET" if "uploads" in query:
                return self._uploads(request)
            case "GET" if "tagging" in query:
                return _Answer("GetObjectTagging", f"{_XML}<Tagging><TagSet/></Tagging>")
            case "GET":
                return self._list(request)
            case "POST" if "uploads" in query:
                return self._create(request)
            case "POST" if "uploadId" in query:
                return self._complete(request)
            case "PUT" if "x-amz-copy-source" in request.headers:
                return self._copy(request)
            case "DELETE" if "uploadId" in query:
                self.uploads.pop(query["uploadId"], None)
                return _Answer("AbortMultipartUpload", status=204)
        return _error("NotImplemented", 501)

    def _head(self, request: _Request) -> _Answer:
        size = self.buckets.get(request.bucket, {}).get(request.key)
        if size is None:
            return _Answer("HeadObject", status=404)
        etag = _etag(request.key.rpartition("/")[2], size)
        headers = {
            "ETag": f'"{etag}"',
            "x-amz-meta-replicator-source-pin": etag,  # a copy has the name and the size of its source
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "Content-Type": "binary/octet-stream",
            "x-amz-checksum-crc64nvme": _checksum(size),
            "x-amz-checksum-type": "FULL_OBJECT",
            "X-Size": str(size),
        }
        return _Answer("HeadObject", headers=headers)

    def _list(self, request: _Request) -> _Answer:
        objects = self.buckets.get(request.bucket, {})
        if request.bucket not in self.sorted:
            self.sorted[request.bucket] = sorted(objects)
        keys = self.sorted[request.bucket]
        prefix = request.query.get("prefix", "")
        after = request.query.get("continuation-token") or request.query.get("start-after", "")
        first = bisect.bisect_right(keys, after) if after else bisect.bisect_left(keys, prefix)
        page = [key for key in keys[first : first + _PAGE] if key.startswith(prefix)]
        more = len(page) == _PAGE and first + _PAGE < len(keys) and keys[first + _PAGE].startswith(prefix)
        url = request.query.get("encoding-type") == "url"
        contents = "".join(
            f"<Contents><Key>{quote(key, safe='/') if url else escape(key)}</Key><LastModified>{_DATE}</LastModified>"
            f"<ETag>&quot;{_etag(key.rpartition('/')[2], objects[key])}&quot;</ETag><Size>{objects[key]}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        body = (
            f"{_XML}<ListBucketResult><Name>{request.bucket}</Name><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
        )
        return _Answer("ListObjectsV2", body)

    def _uploads(self, request: _Request) -> _Answer:
        prefix = request.query.get("prefix", "")
        found = "".join(
            f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{name}</UploadId><Initiated>{_DATE}</Initiated></Upload>"
            for name, upload in self.uploads.items()
            if upload.bucket == request.bucket and upload.key.startswith(prefix)
        )
        body = f"{_XML}<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{found}</ListMultipartUploadsResult>"
        return _Answer("ListMultipartUploads", body)

    def _parts(self, request: _Request) -> _Answer:
        upload = self.uploads.get(request.query["uploadId"])
        if upload is None:
            return _error("NoSuchUpload", 404)
        after = int(request.query.get("part-number-marker", "0"))
        numbers = sorted(number for number in upload.parts if number > after)
        page = numbers[:_PAGE]
        found = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{_etag(str(n), upload.parts[n])}</ETag>"
            f"<Size>{upload.parts[n]}</Size></Part>"
            for n in page
        )
        more = len(numbers) > len(page)
        body = (
            f"{_XML}<ListPartsResult><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"<NextPartNumberMarker>{page[-1] if page else 0}</NextPartNumberMarker>{found}</ListPartsResult>"
        )
        return _Answer("ListParts", body)

    def _create(self, request: _Request) -> _Answer:
        name = f"upload{sum(self.counts.values())}"
        self.uploads[name] = _Upload(request.bucket, request.key)
        result = "InitiateMultipartUploadResult"
        body = (
            f"{_XML}<{result}><Bucket>{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
            f"<UploadId>{name}</UploadId></{result}>"
        )
        return _Answer("CreateMultipartUpload", body)

    def _copy(self, request: _Request) -> _Answer:
        bucket, _, key = unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        size = self.buckets.get(bucket, {}).get(key)
        if size is None:
            return _error("NoSuchKey", 404)
        if "uploadId" in request.query:
            upload = self.uploads.get(request.query["uploadId"])
            if upload is None:
                return _error("NoSuchUpload", 404)
            first, last = request.headers["x-amz-copy-source-range"].removeprefix("bytes=").split("-")
            number, moved = int(request.query["partNumber"]), int(last) - int(first) + 1
            upload.parts[number] = moved
            body = f"<CopyPartResult><ETag>{_etag(str(number), moved)}</ETag></CopyPartResult>"
            return _Answer("UploadPartCopy", _XML + body, moved=moved)
        self._store(request.bucket, request.key, size)
        body = (
            f"<CopyObjectResult><ETag>{_etag(request.key, size)}</ETag><LastModified>{_DATE}</LastModified>"
            f"<ChecksumCRC64NVME>{_checksum(size)}</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>"
            "</CopyObjectResult>"
        )
        return _Answer("CopyObject", _XML + body, moved=size)

    def _complete(self, request: _Request) -> _Answer:
        upload = self.uploads.pop(request.query["uploadId"], None)
        if upload is None:
            return _error("NoSuchUpload", 404)
        listed = sum(1 for element in ElementTree.fromstring(request.body) if element.tag.endswith("Part"))  # noqa: S314 - our own client
        if listed != len(upload.parts):
            return _error("InvalidPart", 400)
        size = sum(upload.parts.values())
        self._store(request.bucket, request.key, size)
        result = "CompleteMultipartUploadResult"
        body = (
            f"{_XML}<{result}><Key>{escape(request.key)}</Key><ETag>{_etag(request.key, size)}-9</ETag>"
            f"<ChecksumCRC64NVME>{_checksum(size)}</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType></{result}>"
        )
        return _Answer("CompleteMultipartUpload", body)

    def _store(self, bucket: str, key: str, size: int) -> None:
        self.buckets.setdefault(bucket, {})[key] = size
        self.sorted.pop(bucket, None)


def _etag(name: str, size: int) -> str:
    return hashlib.md5(f"{name}:{size}".encode(), usedforsecurity=False).hexdigest()


def _checksum(size: int) -> str:
    # Of the size alone: source and copy have the same bytes exactly when they have the same size here.
    return f"{size:011x}="


def _error(code: str, status: int) -> _Answer:
    return _Answer(
        code, f"{_XML}<Error><Code>{code}</Code><Message>of the benchmark</Message></Error>", status
    )


def _assumed(request: _Request) -> _Answer:
    if b"AssumeRole" not in request.body:
        return _error("NotImplemented", 501)
    keys = "".join(f"<{n}>local</{n}>" for n in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    body = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        f"{keys}<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    return _Answer("AssumeRole", body)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 by hand: only what SDKs send."""

    def __init__(self, state: SlowS3) -> None:
        self.state = state
        self.buffer = b""
        self.continued = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length") or 0)
        if headers.get("expect", "").lower() == "100-continue" and not self.continued:
            self.continued = True
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(rest) < length:
            return
        self.buffer, self.continued = rest[length:], False
        method, target, _ = first.split(" ")
        path, _, text = target.partition("?")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        query = {k: v[0] for k, v in parse_qs(text, keep_blank_values=True).items()} if text else {}
        self._take(_Request(method, bucket, key, query, headers, rest[:length]))

    def _take(self, request: _Request) -> None:
        state = self.state
        if request.bucket == "_control":
            self._send(_control(state, request))
            return
        answer = state.answer(request)
        state.counts[answer.operation] += 1
        if answer.operation in ("UploadPart", "PutObject"):
            state.data_in += len(request.body)
        state.in_flight += 1
        state.most_in_flight = max(state.most_in_flight, state.in_flight)
        asyncio.get_running_loop().call_later(state.delay + answer.moved / state.rate, self._land, answer)

    def _land(self, answer: _Answer) -> None:
        self.state.in_flight -= 1
        self._send(answer)

    def _send(self, answer: _Answer) -> None:
        body = answer.body.encode()
        size = answer.headers.pop("X-Size", None) or str(len(body))
        headers = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {size}\r\nx-amz-request-id: 1\r\n{headers}\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)


def _control(state: SlowS3, request: _Request) -> _Answer:
    if request.key == "fill":
        state.fill(**json.loads(request.body))
    elif request.key == "forget":
        state.forget()
    return _Answer("control", json.dumps(state.figures()))


def _serve(ready: Connection, delay: float, rate: float) -> None:
    async def main() -> None:
        state = SlowS3(delay, rate)
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(state), "127.0.0.1", 0, backlog=512
        )
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    endpoint: str

    def control(self, what: str, **body: Any) -> dict[str, Any]:
        """Tell it something and read its figures."""
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.endpoint}/_control/{what}", json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
            found: dict[str, Any] = json.loads(answer.read())
            return found


@contextmanager
def serving(delay: float = 0.030, rate: float = 80e6) -> Iterator[Running]:
    """Run the server in a process of its own on a free port of this machine."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, delay, rate), daemon=True
    )
    process.start()
    try:
        yield Running(f"http://127.0.0.1:{ours.recv()}")
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.030)
    parser.add_argument("--rate", type=float, default=80e6)
    arguments = parser.parse_args()
    with serving(arguments.delay, arguments.rate) as running:
        print(running.endpoint, flush=True)
        input()
