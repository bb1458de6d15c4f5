"""Knows whether a copy has the bytes of its source, and by what.

In this order: a full-object checksum that both have; for what went through the function, the MD5 that S3
checked of every part; reading both; for what is too large for that, the size, and that every part was
copied by S3 from the pinned source.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Never

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_calls import MISMATCH_CODES
from replicator.aws.artifact_facts import Checksum, ObjectFacts, Tuning, compare
from replicator.aws.artifact_tally import STREAMED, Countdown, Item, Outcome, Tally
from replicator.parts import MIB, PartLimits, plan_parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from replicator.aws.artifact_calls import S3Answer
    from replicator.aws.artifact_hub import Hub
    from replicator.aws.artifact_pool import Job
    from replicator.aws.artifact_source import Source
    from replicator.parts import Part

_ANY_SIZE = PartLimits(smallest=1)


class Verifier:
    """Compares copies with their sources and notes the outcome."""

    def __init__(self, source: Source, hub: Hub, tuning: Tuning, tally: Tally) -> None:
        self._source = source
        self._hub = hub
        self._tuning = tuning
        self._tally = tally

    def judge_writing(self, item: Item, answer: S3Answer) -> Never:
        """Say what a refusal to write or to complete means: other bytes, or the hub."""
        if answer.code in MISMATCH_CODES:
            raise refusals.mismatch(
                self._source.uri(item.key), self._hub.uri(item.destination), str(answer)
            ) from answer
        raise self._hub.refused(item.destination, answer) from answer

    def verify(
        self,
        item: Item,
        source: ObjectFacts,
        copied: tuple[Checksum, ...],
        method: str,
        pinned: bool = True,
    ) -> Iterable[Job] | None:
        """Compare what was copied with its source: by checksum, else in the steps that are left.

        Parameters
        ----------
        pinned
            Whether the copy is known to be made from this very version; else both are read.
        """
        if source.checksums and not copied:
            copy = self._hub.head(item.destination)
            copied = copy.checksums if copy else ()
        same = compare(source.checksums, copied)
        if same is False:
            raise refusals.mismatch(
                self._source.uri(item.key),
                self._hub.uri(item.destination),
                f"{', '.join(map(str, source.checksums))} became {', '.join(map(str, copied))}",
            )
        of_copy = same or (copied[0] if copied else None)
        step = same.algorithm if same else self._without_checksum(source, method)
        if not pinned and source.size:
            step = None
        if step is None:
            return self._read_both(item, source, of_copy, method)
        self._finish(item, of_copy, step, method)
        return None

    def _without_checksum(self, source: ObjectFacts, method: str) -> str | None:
        """Say what a copy is known by that has no checksum in common with its source; None: by reading."""
        if source.size == 0:
            return "size"
        if method == STREAMED:
            return "MD5 of every part"
        if source.size > self._tuning.read_limit:
            return "size and pinned parts"
        return None

    def _finish(self, item: Item, checksum: Checksum | None, verified: str, method: str) -> None:
        self._tally.finish(item, Outcome(checksum, verified, method))

    def _read_both(
        self,
        item: Item,
        source: ObjectFacts,
        of_copy: Checksum | None,
        method: str,
    ) -> Iterable[Job]:
        """Read source and copy, range by range side by side, when S3 has nothing to compare them by."""
        copy = self._hub.head(item.destination)
        if copy is None or copy.size != source.size:
            raise refusals.mismatch(self._source.uri(item.key), self._hub.uri(item.destination), "size")
        plan = plan_parts(source.size, 64 * MIB, _ANY_SIZE)
        countdown = Countdown(plan.count)
        differs: list[Part] = []

        def compare_part(part: Part) -> Iterable[Job] | None:
            if not differs and not self._same_bytes(source, copy, part):
                differs.append(part)
            if not countdown.is_last():
                return None
            if not differs:
                self._finish(item, of_copy, "SHA-256 by reading both", method)
                return None
            raise refusals.mismatch(
                self._source.uri(item.key), self._hub.uri(item.destination), f"SHA-256 of {differs[0].range}"
            )

        return (partial(compare_part, part) for part in plan)

    def _same_bytes(self, source: ObjectFacts, copy: ObjectFacts, part: Part) -> bool:
        read, written = hashlib.sha256(), hashlib.sha256()
        for chunk in self._source.read(source, part, direct=source.direct):
            read.update(chunk)
        for chunk in self._hub.read(copy, part):
            written.update(chunk)
        return read.digest() == written.digest()
