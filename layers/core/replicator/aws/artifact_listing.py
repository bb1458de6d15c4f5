"""Listings of any length: summed up, paired and read ahead, but never held whole. Pure."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from replicator.aws.artifact_facts import NOT_IN_XML

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

type Digest = bytes

PAGE = 1000
"""Objects that S3 lists in one answer."""


class Entry(NamedTuple):
    """An object in a listing."""

    key: str
    size: int
    etag: str
    last_modified: str = ""
    """As S3 spells it: in the order of time."""


_NONE = Entry("", 0, "")


def listed(page: Mapping[str, Any]) -> list[Entry]:
    """Read an answer of ListObjectsV2."""
    return [
        Entry(item["Key"], item["Size"], item["ETag"].strip('"'), str(item.get("LastModified", "")))
        for item in page.get("Contents", [])
    ]


class TimeUpError(Exception):
    """There was no time for the whole of a listing."""


class UnorderedError(ValueError):
    """A listing that is not in the order of its keys."""


class UnwritableError(ValueError):
    """A key that the answers of S3 cannot hold."""


class ChangedError(ValueError):
    """A listing that is not what it was."""


class StrayError(ValueError):
    """A key among the copies that no object of the source has."""


@dataclass(slots=True)
class Listing:
    """What all objects under a prefix come to, at one moment.

    Parameters
    ----------
    bucket, prefix
        What is listed.
    after
        The key from after which it is going to be listed `again`.
    """

    bucket: str
    prefix: str
    after: str = ""
    objects: int = 0
    bytes: int = 0
    longest: str = ""
    """The key with the most bytes."""
    youngest: Entry = _NONE
    """The object that was written last."""
    entries: list[Entry] | None = field(default_factory=list)
    """All of them, where one page has them all."""
    digest: str = ""
    """SHA-256 of where it is and of each object's key below the prefix, size and ETag."""
    _before: Any = field(default=None, compare=False)
    """That hash as it was before the first key after ``after``."""
    _marks: list[Digest] = field(default_factory=list)
    """What it came to with every further page of objects: 32 bytes for each."""

    def add(self, pages: Iterable[list[Entry]]) -> None:
        """Sum up a listing, page by page.

        Raises
        ------
        UnorderedError
            The keys do not ascend, as those of a directory bucket.
        UnwritableError
            One cannot be copied.
        """
        found = hashlib.sha256(f"{self.bucket}\0{self.prefix}\0".encode())
        last, later = "", 0
        for page in pages:
            for entry in page:
                key, size = entry.key, entry.size
                _check(key, last)
                last = key
                if key > self.after:
                    if not later:
                        self._before = found.copy()
                    later += 1
                found.update(_line(entry, self.prefix))
                if later and later % PAGE == 0:
                    self._marks.append(found.digest())
                self.bytes += size
                if entry.last_modified > self.youngest.last_modified:
                    self.youngest = entry
                if len(key.encode()) > len(self.longest.encode()):
                    self.longest = key
            self.objects += len(page)
            if self.entries is not None:
                self.entries = self.entries + page if self.objects <= PAGE else None
        self.digest = found.hexdigest()
        self._before = self._before or found
        if later % PAGE:
            self._marks.append(found.digest())

    def again(self, pages: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
        """Give the objects of a second listing, from after ``after``; none that this one did not have.

        A page of objects is given only when all of them, and all before them, are the same as here: what is
        copied by the second listing is what was summed up in the first.

        Raises
        ------
        ChangedError
            An object came, went or changed since.
        """
        found = self._before.copy()
        marks = iter(self._marks)
        for page in _pages_of(PAGE, pages):
            for entry in page:
                found.update(_line(entry, self.prefix))
            if found.digest() != next(marks, None):
                raise ChangedError
            yield page
        if next(marks, None):
            raise ChangedError


def _check(key: str, last: str) -> None:
    if key <= last:
        raise UnorderedError(f"{key} comes after {last}")
    if NOT_IN_XML.search(key):
        raise UnwritableError(key)


def _line(entry: Entry, prefix: str) -> bytes:
    return f"{entry.key.removeprefix(prefix)}\0{entry.size}\0{entry.etag}\0".encode()


def _pages_of(size: int, pages: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
    """Give the entries in pages of a size: S3 may put fewer into an answer, and not the same number twice."""
    entries = chain.from_iterable(pages)
    while page := list(islice(entries, size)):
        yield page


def paired(
    entries: Iterable[Entry], prefix: str, copies: Iterable[Entry], root: str
) -> Iterator[tuple[Entry, int | None]]:
    """Give each object with the size of what is in the place of its copy, or None when nothing is.

    Both listings have to be in the order of the keys. Python compares texts by code points, which is the
    order of their UTF-8 too, in which S3 lists:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html.

    Raises
    ------
    StrayError
        There is something among the copies that is the copy of nothing: it would be part of the mirror.
    """
    there = iter(copies)
    copy = next(there, None)
    for entry in entries:
        place = root + entry.key.removeprefix(prefix)
        if copy and copy.key < place:
            raise StrayError(copy.key)
        if copy and copy.key == place:
            yield entry, copy.size
            copy = next(there, None)
        else:
            yield entry, None
    if copy:
        raise StrayError(copy.key)


def read_ahead(pages: Iterator[list[Entry]], patience: Callable[[], float]) -> Iterator[list[Entry]]:
    """Give the pages, and fetch the next one while one is taken.

    Parameters
    ----------
    patience
        Seconds for which a page is waited for, from now. A server that stalls then holds up nobody but the
        thread that asks it.

    Raises
    ------
    TimeUpError
        A page did not come in time.
    """
    fetching = ThreadPoolExecutor(1, thread_name_prefix="list")
    try:
        following = fetching.submit(next, pages, None)
        while (page := _within(following, patience)) is not None:
            following = fetching.submit(next, pages, None)
            yield page
    finally:
        fetching.shutdown(wait=False, cancel_futures=True)


def _within(page: Future[list[Entry] | None], patience: Callable[[], float]) -> list[Entry] | None:
    try:
        found = page.result(max(0.0, patience()))
    except TimeoutError as error:
        raise TimeUpError from error
    if found is not None and patience() <= 0:
        raise TimeUpError
    return found
