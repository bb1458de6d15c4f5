"""Listings of any length: summed up, paired and read ahead, but never held whole. Pure."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

PAGE = 1000
"""Objects that S3 lists in one answer."""


class Entry(NamedTuple):
    """An object in a listing."""

    key: str
    size: int
    etag: str


def listed(page: Mapping[str, Any]) -> list[Entry]:
    """Read an answer of ListObjectsV2."""
    return [Entry(item["Key"], item["Size"], item["ETag"].strip('"')) for item in page.get("Contents", [])]


class TimeUpError(Exception):
    """There was no time for the whole of a listing."""


class UnorderedError(ValueError):
    """A listing that is not in the order of its keys."""


@dataclass(slots=True)
class Listing:
    """What all objects under a prefix come to, at one moment.

    Parameters
    ----------
    bucket, prefix
        What is listed.
    """

    bucket: str
    prefix: str
    objects: int = 0
    bytes: int = 0
    longest: str = ""
    """The key with the most bytes."""
    entries: list[Entry] | None = field(default_factory=list)
    """All of them, where one page has them all."""
    digest: str = ""
    """SHA-256 of where it is and of each object's key below the prefix, size and ETag."""

    def add(self, pages: Iterable[list[Entry]]) -> None:
        """Sum up a listing, page by page.

        Raises
        ------
        UnorderedError
            The keys do not ascend, as those of a directory bucket.
        """
        found = hashlib.sha256(f"{self.bucket}\0{self.prefix}\0".encode())
        last = ""
        for page in pages:
            for key, size, etag in page:
                if key <= last:
                    raise UnorderedError(f"{key} comes after {last}")
                last = key
                found.update(f"{key.removeprefix(self.prefix)}\0{size}\0{etag}\0".encode())
                self.bytes += size
                if len(key.encode()) > len(self.longest.encode()):
                    self.longest = key
            self.objects += len(page)
            if self.entries is not None:
                self.entries = self.entries + page if self.objects <= PAGE else None
        self.digest = found.hexdigest()


def while_in_time(pages: Iterable[list[Entry]], in_time: Callable[[], bool]) -> Iterator[list[Entry]]:
    """Give the pages. Raises `TimeUpError` when the time is up before the last of them."""
    for page in pages:
        if not in_time():
            raise TimeUpError
        yield page


def paired(
    entries: Iterable[Entry], prefix: str, copies: Iterable[Entry], root: str
) -> Iterator[tuple[Entry, int | None]]:
    """Give each object with the size of what is in the place of its copy, or None when nothing is.

    Both listings have to be in the order of the keys. Python compares texts by code points, which is the
    order of their UTF-8 too, in which S3 lists:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html.
    """
    there = iter(copies)
    copy = next(there, None)
    for entry in entries:
        place = root + entry.key.removeprefix(prefix)
        while copy and copy.key < place:
            copy = next(there, None)
        yield entry, copy.size if copy and copy.key == place else None


def read_ahead(pages: Iterator[list[Entry]]) -> Iterator[Entry]:
    """Give the entries one by one, and fetch the next page while they are taken."""
    fetching = ThreadPoolExecutor(1, thread_name_prefix="list")
    try:
        following = fetching.submit(next, pages, None)
        while (page := following.result()) is not None:
            following = fetching.submit(next, pages, None)
            yield from page
    finally:
        fetching.shutdown(wait=False)
