"""The least that a copy of a prefix can take: the two calls of each object, written and read with no thought.

Nothing is signed, verified, pinned or tried again, and one thread serves all connections. What this takes beside the
delays alone is the server's own work, and the machine's.
"""

from __future__ import annotations

import asyncio
import os
import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class _Stream(asyncio.Protocol):
    """A connection that asks for one object after the other: HeadObject, then CopyObject."""

    def __init__(self, keys: Iterator[str], done: asyncio.Future[None]) -> None:
        self._keys, self._done = keys, done
        self._key: str | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        key = next(self._keys, None)
        if key is None:
            self._transport.close()
            self._done.set_result(None)
            return
        self._key = key
        self._transport.write(f"HEAD /spoke/{key} HTTP/1.1\r\nhost: s3\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, ended, body = self._buffer.partition(b"\r\n\r\n")
        if not ended:
            return
        if self._key is not None:
            key, self._key, self._buffer = self._key, None, b""
            source = f"x-amz-copy-source: spoke/{key}\r\ncontent-length: 0"
            self._transport.write(f"PUT /hub/{key} HTTP/1.1\r\nhost: s3\r\n{source}\r\n\r\n".encode())
            return
        length = _LENGTH.search(head)
        if length and len(body) >= int(length[1]):
            self._buffer = b""
            self._next()


def bare(prefix: str, streams: int) -> None:
    """List a prefix twice and the hub once, as `floor` allows for, and copy it. The engine lists once more."""
    client = boto3.client("s3")
    pages = client.get_paginator("list_objects_v2")
    for _ in range(2):
        keys = [
            item["Key"] for page in pages.paginate(Bucket="spoke", Prefix=prefix) for item in page["Contents"]
        ]
    client.list_objects_v2(Bucket="hub", Prefix=prefix)
    where = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    host, port = where.hostname or "", where.port or 80

    async def copy() -> None:
        loop, left = asyncio.get_running_loop(), iter(keys)
        over: list[asyncio.Future[None]] = [loop.create_future() for _ in range(streams)]
        for done in over:
            await loop.create_connection(partial(_Stream, left, done), host, port)
        await asyncio.gather(*over)

    asyncio.run(copy())
