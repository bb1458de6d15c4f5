"""Copies all objects under a prefix, however many there are.

Theory of operation. The prefix is listed and summed up first, for its place in the hub has the fingerprint
of the whole listing. Then it is listed again, page by page compared with the sum, and copied in the order
of its keys, in a window that slides: objects finish in any order, but what is finished without a gap needs
no more memory, and an invocation that ends early says up to where that is. The next one sums up the
listing again, which has to be the same, and goes on after that key. At the very end the source is listed
once more.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_facts import LONGEST_KEY, Tuning, younger
from replicator.aws.artifact_listing import (
    ChangedError,
    Entry,
    Listing,
    StrayError,
    TimeUpError,
    UnorderedError,
    UnwritableError,
    paired,
    read_ahead,
)
from replicator.aws.artifact_pool import Clock, Job, run
from replicator.aws.artifact_tally import ALREADY_THERE, Item, Tally
from replicator.aws.artifact_transfer import Transfer
from replicator.errors import PermanentError, RetryableError
from replicator.steps import CopyAnswer, CopyResult, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.aws.artifact_place import Place
    from replicator.steps import Pinned


class PrefixCopy:
    """The copy of all objects under a prefix, as they were at one moment."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._source = place.source
        key = place.location.key
        # SageMaker wants the slash; without it a sibling of the same beginning would come along.
        self._prefix = key if not key or key.endswith("/") else f"{key}/"

    def destination(self, patience: Clock) -> str:
        """Give the key prefix of the copies. The source is listed for it, in so many seconds."""
        return self._root(self._listed(patience).digest)

    def copy(self, before: Progress | None, seconds_left: Clock, tuning: Tuning) -> CopyAnswer:
        """Copy all objects, or as many as there is time for."""
        cursor = before.cursor if before else None
        tally = Tally(self._prefix, tuning.window, cursor)

        def patience() -> float:
            return seconds_left() - tuning.margin

        try:
            listing = self._listed(patience, tally.after)
        except TimeUpError:
            return self._place.unfinished(tally, before.total if before else 0, before, tuning, cursor)
        root = self._root(cursor.listing if cursor else listing.digest)
        transfer = Transfer(self._source, self._place.hub, tuning, tally, root)
        stopped: RetryableError | None = None
        try:
            if cursor and cursor.listing != listing.digest:
                raise self._changed()
            self._check_room(listing, root)
            jobs = self._jobs(listing, root, tally, transfer, patience)
            if run(jobs, tuning.streams, seconds_left, tuning.margin):
                self._check_again(listing, tally, cursor.after if cursor else "", patience)
                return CopyAnswer(done=True, result=self._result(listing, root, tally))
        except TimeUpError:
            pass  # where it is the last look: all is copied, and the next invocation looks again
        except RetryableError as error:
            stopped = error
        except ChangedError as error:
            transfer.abandon_all()
            raise self._changed() from error
        except StrayError as error:
            transfer.abandon_all()
            raise refusals.stray(self._source.uri(self._prefix), self._place.hub.uri(str(error))) from error
        except PermanentError:
            transfer.abandon_all()
            raise
        now = tally.cursor(listing.digest)
        return self._place.unfinished(tally, listing.bytes, before, tuning, now, stopped)

    def _listed(self, patience: Clock, after: str = "") -> Listing:
        """Sum up what is under the prefix now. Raises `TimeUpError` when there is no time for all of it."""
        listing = Listing(self._source.bucket, self._prefix, after)
        try:
            listing.add(read_ahead(self._source.pages(self._prefix), patience))
        except UnorderedError as error:
            raise refusals.unordered(self._source.uri(self._prefix), str(error)) from error
        except UnwritableError as error:
            raise refusals.unwritable(self._source.uri(str(error))) from error
        if not listing.objects:
            raise refusals.empty(self._source.uri(self._prefix))
        if self._place.wanted.runs and self._pinned(listing) == "none" and self._place.wanted.registered_at:
            raise refusals.changed(
                self._source.uri(listing.youngest.key),
                f"{self._source.uri(self._prefix)} was registered at {self._place.wanted.registered_at}, and this "
                f"object was last written at {listing.youngest.last_modified}",
            )
        return listing

    def _pinned(self, listing: Listing) -> Pinned:
        """Say how the objects are known to be those that were registered."""
        registered_at = self._place.wanted.registered_at
        if registered_at is None or younger(listing.youngest.last_modified, registered_at):
            return "none"
        return "time"

    def _root(self, digest: str) -> str:
        return self._place.fitting(digest, "")

    def _check_room(self, listing: Listing, root: str) -> None:
        key = root + listing.longest.removeprefix(self._prefix)
        if len(key.encode()) > LONGEST_KEY:
            raise refusals.key_too_long(self._source.uri(listing.longest), key, LONGEST_KEY)

    def _jobs(
        self, listing: Listing, root: str, tally: Tally, transfer: Transfer, patience: Clock
    ) -> Iterator[Job | None]:
        """Give the beginning of each object that is not finished; None while the window is full."""
        after = tally.after
        entries = self._entries(listing, after, patience)
        pages = self._place.hub.pages(root, root + after.removeprefix(self._prefix) if after else "")
        copies = chain.from_iterable(read_ahead(pages, patience))
        for entry, there in paired(entries, self._prefix, copies, root):
            while tally.is_full:
                yield None
            destination = root + entry.key.removeprefix(self._prefix)
            item = Item(entry.key, entry.size, entry.etag, destination, there is not None)
            tally.begin(item, entry.size if there == entry.size else 0)
            yield partial(transfer.begin, item)

    def _entries(self, listing: Listing, after: str, patience: Clock) -> Iterable[Entry]:
        if listing.entries is None:
            pages = listing.again(self._source.pages(self._prefix, after))
            return chain.from_iterable(read_ahead(pages, patience))
        return (entry for entry in listing.entries if entry.key > after)

    def _check_again(self, listing: Listing, tally: Tally, began_after: str, patience: Clock) -> None:
        """Look once more, at the end, whether the source is what it was."""
        if (tally.objects, tally.bytes) != (listing.objects, listing.bytes):
            raise self._changed()
        # With nothing finished in this invocation, the listing at its beginning was the last look.
        if tally.after != began_after and self._listed(patience).digest != listing.digest:
            raise self._changed()

    def _changed(self) -> PermanentError:
        return refusals.changed(
            self._source.uri(self._prefix), "objects came, went or changed during the copy"
        )

    def _result(self, listing: Listing, root: str, tally: Tally) -> CopyResult:
        return CopyResult(
            kind="artifact",
            uri=self._place.wanted.uri,
            destination=self._place.hub.uri(root),
            bytes=listing.bytes,
            objects=listing.objects,
            pin=listing.digest,
            pinned=self._pinned(listing),
            checksum=f"SHA-256:{tally.chain.hex()}",
            verified=", ".join(sorted(tally.verified)),
            method=", ".join(sorted(tally.methods - {ALREADY_THERE})) or ALREADY_THERE,
        )
