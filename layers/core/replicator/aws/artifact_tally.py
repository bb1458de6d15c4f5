"""What the threads of a copy count together."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from replicator import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from replicator.aws.artifact_facts import Checksum, ObjectFacts

ALREADY_THERE = steps.ALREADY_THERE
SERVER_SIDE = "server-side"
STREAMED = "streamed"


@dataclass(frozen=True, slots=True)
class Item:
    """One object to copy.

    Parameters
    ----------
    key, size, etag
        The source, as it was listed or described.
    destination
        Key of the copy.
    present
        Whether there is an object at the destination.
    found, copy
        The descriptions of source and destination, where there are any already.
    """

    key: str
    size: int
    etag: str
    destination: str
    present: bool = False
    found: ObjectFacts | None = None
    copy: ObjectFacts | None = None


class Outcome(NamedTuple):
    """How one object came out."""

    checksum: Checksum | None
    verified: str
    method: str


class Tally:
    """Bytes at the destination, and the outcome of every object that is finished and verified."""

    def __init__(self, moved: int = 0) -> None:
        self._lock = threading.Lock()
        self._moved = moved
        self._outcomes: dict[str, Outcome] = {}

    @property
    def moved(self) -> int:
        """Bytes known to be at the destination."""
        return self._moved

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Outcomes by destination key."""
        return self._outcomes

    def add(self, moved: int) -> None:
        """Count bytes that arrived."""
        with self._lock:
            self._moved += moved

    def finish(self, item: Item, outcome: Outcome) -> None:
        """Note that an object is done."""
        with self._lock:
            self._outcomes[item.destination] = outcome


class Countdown:
    """Tells the last of several threads that it is the last."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._lock = threading.Lock()

    def is_last(self) -> bool:
        """Count one down, and say whether it was the last one."""
        with self._lock:
            self._left -= 1
            return self._left == 0


class Budget:
    """Bytes of memory that the threads may hold together."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
