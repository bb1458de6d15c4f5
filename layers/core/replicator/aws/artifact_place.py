"""One location that is to be copied: from where, to where, and what is said while it is under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_facts import LONGEST_KEY, digest, shortened
from replicator.steps import CopyAnswer, Cursor, Progress

if TYPE_CHECKING:
    from replicator.aws.artifact_facts import Tuning
    from replicator.aws.artifact_hub import Hub
    from replicator.aws.artifact_source import Source
    from replicator.aws.artifact_tally import Tally
    from replicator.errors import RetryableError
    from replicator.identifiers import S3Uri
    from replicator.steps import ArtifactCopy


@dataclass(frozen=True, slots=True)
class Place:
    """A location of a package, and both of its sides."""

    wanted: ArtifactCopy
    location: S3Uri
    source: Source
    hub: Hub

    def fitting(self, mark: str, name: str) -> str:
        """Give the key of the copy: the readable one, unless the members that name it have no room for it.

        Then group and version go into the fingerprint; and last the name, where nobody reads it.

        Parameters
        ----------
        mark
            Fingerprint of exactly these bytes: a whole SHA-256 in hexadecimal digits, for a spoke chooses what is
            hashed, and could find two locations with the same beginning.
        name
            File name.
        """
        account = self.wanted.destination.split("/")[1]
        short = f"models/{account}/{digest([self.wanted.destination, mark])}/"
        keys = [f"{self.wanted.destination}{mark}/{name}", f"{short}{name}"]
        if name and not self.wanted.named:
            keys.append(f"{short}{shortened(name)}")
        for key in keys:
            if len(self.hub.uri(key)) <= self.wanted.longest and len(key.encode()) <= LONGEST_KEY:
                return key
        raise refusals.key_too_long(self.wanted.uri, keys[-1], min(LONGEST_KEY, self.wanted.longest))

    def unfinished(
        self,
        tally: Tally,
        total: int,
        before: Progress | None,
        tuning: Tuning,
        cursor: Cursor | None = None,
        stopped: RetryableError | None = None,
    ) -> CopyAnswer:
        """Say how far the copy is.

        Parameters
        ----------
        stopped
            What ended it, where it was not the time. What came further is called again at once, as often as
            it does; the state machine's tries are for what did not.

        Raises
        ------
        PermanentError
            This invocation came no further than the one before it, and had few streams.
        """
        moved = min(tally.moved, total)
        streams = before.streams if before else None
        if not tally.came_further:
            if stopped:
                raise stopped
            if before and tuning.streams <= tuning.few_streams:
                raise refusals.no_progress(str(self.location), moved, total)
            streams = tuning.few_streams
        now = Progress(
            moved=moved,
            total=total,
            objects=tally.objects,
            cursor=cursor,
            streams=streams,
            stopped=str(stopped)[:500] if stopped else None,
        )
        return CopyAnswer(done=False, progress=now)
