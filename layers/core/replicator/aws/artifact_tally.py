"""What the threads of a copy count together."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
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
    """What is at the destination, and how the objects came out, in the order in which they were begun.

    Objects are finished in any order. Those without a gap before them become a link of a chain and are
    forgotten, so there is never more in memory than ``window`` objects.

    Parameters
    ----------
    prefix
        What the keys of the source have in common.
    window
        Objects that may be between the first that is not finished and the last that was begun.
    start
        Up to where earlier invocations came.
    """

    def __init__(self, prefix: str = "", window: int = 1, start: steps.Cursor | None = None) -> None:
        self._lock = threading.Lock()
        self._prefix = prefix
        self._window = window
        self._begun: deque[Item] = deque()
        self._finished: dict[str, Outcome] = {}
        self._beyond = 0
        self._start = start.after if start else ""
        self.after = self._start
        """The last key that is finished without a gap."""
        self.chain = bytes.fromhex(start.chain) if start else b""
        """See `replicator.steps.CopyResult.checksum`."""
        self.objects = start.objects if start else 0
        """Objects up to there."""
        self.bytes = start.bytes if start else 0
        """Bytes of them."""
        self.verified = set(start.verified) if start else set()
        self.methods = set(start.methods) if start else set()
        self.latest = Outcome(None, "", "")
        """Of the last key that is finished without a gap."""
        self._wrote = False

    @property
    def moved(self) -> int:
        """Bytes known to be at the destination."""
        return self.bytes + self._beyond

    @property
    def came_further(self) -> bool:
        """Whether anything arrived at the destination, or was found to be finished, since the start."""
        return self._wrote or self.after != self._start

    @property
    def is_full(self) -> bool:
        """Whether another object has to wait for the first that is not finished."""
        return len(self._begun) >= self._window

    def begin(self, item: Item, there: int) -> None:
        """Note that an object comes next, of which so many bytes are there already."""
        with self._lock:
            self._begun.append(item)
            self._beyond += there

    def found(self, there: int) -> None:
        """Count bytes that were there before."""
        with self._lock:
            self._beyond += there

    def add(self, moved: int) -> None:
        """Count bytes that arrived."""
        with self._lock:
            self._beyond += moved
            self._wrote = True

    def finish(self, item: Item, outcome: Outcome) -> None:
        """Note that an object is done and compared."""
        with self._lock:
            self._finished[item.key] = outcome
            while self._begun and self._begun[0].key in self._finished:
                first = self._begun.popleft()
                self._link(first, self._finished.pop(first.key))

    def _link(self, item: Item, outcome: Outcome) -> None:
        link = f"{item.key.removeprefix(self._prefix)}\0{item.size}\0{outcome.checksum or ''}\0"
        self.chain = hashlib.sha256(self.chain + link.encode()).digest()
        self.after = item.key
        self.objects += 1
        self.bytes += item.size
        self._beyond -= item.size
        self.verified.add(outcome.verified)
        self.methods.add(outcome.method)
        self.latest = outcome

    def cursor(self, listing: str) -> steps.Cursor:
        """Say up to where everything is finished, for the next invocation."""
        with self._lock:
            return steps.Cursor(
                after=self.after,
                listing=listing,
                chain=self.chain.hex(),
                objects=self.objects,
                bytes=self.bytes,
                verified=sorted(self.verified),
                methods=sorted(self.methods),
            )


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
