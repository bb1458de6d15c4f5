"""Copies one object."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from replicator.aws.artifact_facts import Tuning, digest, younger
from replicator.aws.artifact_pool import Clock, run
from replicator.aws.artifact_tally import Item, Tally
from replicator.aws.artifact_transfer import Transfer
from replicator.aws.artifact_uploads import Uploads
from replicator.errors import PermanentError, RetryableError
from replicator.steps import CopyAnswer, CopyResult, Progress

if TYPE_CHECKING:
    from replicator.aws.artifact_facts import ObjectFacts
    from replicator.aws.artifact_place import Place
    from replicator.steps import Pinned


class ObjectCopy:
    """The copy of one object, in the version that was registered where that is known."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @property
    def destination(self) -> str:
        """Key of the copy."""
        return self._destination(self.found.pin)

    def _destination(self, pin: str) -> str:
        location = self._place.location
        return self._place.fitting(digest([location.bucket, location.key, pin]), location.basename)

    @property
    def found(self) -> ObjectFacts:
        """The object that was registered, as it is described now. Raises as `pinned` does."""
        return self.pinned[0]

    @cached_property
    def pinned(self) -> tuple[ObjectFacts, Pinned]:
        """The object that was registered, and how that is known.

        Raises
        ------
        PermanentError
            It is not there, or not what was registered.
        """
        source, key = self._place.source, self._place.location.key
        registered = (self._place.wanted.etag or "").strip('"')
        found = source.head(key)
        if not registered:
            return self._by_time(found)
        if found.etag == registered:
            return found, "ETag"
        version = source.version_with(key, registered)
        if version:
            return source.head(key, registered, version), "ETag"
        was = self._destination(registered)
        uploads = Uploads(self._place.hub)
        for upload_id in uploads.open(was).get(was, ()):
            uploads.abort(was, upload_id)
        return source.changed(key, f"registered with ETag {registered}, now {found.etag}")

    def _by_time(self, found: ObjectFacts) -> tuple[ObjectFacts, Pinned]:
        """Compare by time where SageMaker recorded no ETag: what is younger than the package was not registered."""
        wanted, source = self._place.wanted, self._place.source
        if wanted.registered_at is None:
            return found, "none"
        if not younger(found.last_modified, wanted.registered_at):
            return found, "time"
        if version := source.version_at(found.key, wanted.registered_at):
            return source.head(found.key, version_id=version), "version"
        if not wanted.runs:
            return found, "none"
        return source.changed(
            found.key, f"registered at {wanted.registered_at}, last written at {found.last_modified}"
        )

    def copy(self, before: Progress | None, seconds_left: Clock, tuning: Tuning) -> CopyAnswer:
        """Copy the object, or as many of its parts as there is time for."""
        place, found, key = self._place, self.found, self.destination
        there = place.hub.head(key)
        item = Item(found.key, found.size, found.etag, key, there is not None, found, there)
        tally = Tally()
        tally.begin(item, there.size if there else 0)
        transfer = Transfer(place.source, place.hub, tuning, tally, key)
        stopped: RetryableError | None = None
        try:
            done = run([partial(transfer.begin, item)], tuning.streams, seconds_left, tuning.margin)
        except PermanentError:
            transfer.abandon_all()
            raise
        except RetryableError as error:
            done, stopped = False, error
        if not done:
            return place.unfinished(tally, found.size, before, tuning, stopped=stopped)
        outcome = tally.latest
        result = CopyResult(
            kind="artifact",
            uri=place.wanted.uri,
            destination=place.hub.uri(key),
            bytes=found.size,
            pin=found.pin,
            pinned=self.pinned[1],
            checksum=str(outcome.checksum) if outcome.checksum else None,
            verified=outcome.verified,
            method=outcome.method,
        )
        return CopyAnswer(done=True, result=result)
