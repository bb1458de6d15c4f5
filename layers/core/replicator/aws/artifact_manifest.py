"""Copies a manifest: as it is, or rewritten where it names the location beside it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_calls import Unmet
from replicator.aws.artifact_facts import Tuning, digest
from replicator.aws.artifact_listing import TimeUpError
from replicator.aws.artifact_object import ObjectCopy
from replicator.aws.artifact_prefix import PrefixCopy
from replicator.aws.artifact_tally import Tally
from replicator.manifests import ForeignLocationError, rewrite_manifest
from replicator.steps import CopyAnswer, CopyResult, Progress

if TYPE_CHECKING:
    from replicator.aws.artifact_facts import ObjectFacts
    from replicator.aws.artifact_place import Place
    from replicator.aws.artifact_pool import Clock

LARGEST_MANIFEST = 16 * 1024 * 1024


class ManifestCopy:
    """The copy of a manifest.

    Parameters
    ----------
    base
        The location beside it, below which what it lists lies.
    """

    def __init__(self, place: Place, base: Place | None) -> None:
        self._place = place
        self._base = base
        self._object = ObjectCopy(place)

    def copy(self, before: Progress | None, seconds_left: Clock, tuning: Tuning) -> CopyAnswer:
        """Copy the manifest to the letter, or write it anew."""
        place, found = self._place, self._object.found
        if found.size > LARGEST_MANIFEST:
            raise refusals.too_large(
                place.wanted.uri, f"a manifest of {found.size} bytes, over {LARGEST_MANIFEST}"
            )
        body = b"".join(place.source.read(found, None, direct=found.direct))
        try:
            text, moved = self._rewritten(body, lambda: seconds_left() - tuning.margin)
        except TimeUpError:
            return place.unfinished(Tally(), found.size, before, tuning)
        if text == body:
            return self._object.copy(before, seconds_left, tuning)
        mark = digest([place.location.bucket, place.location.key, found.pin, moved])
        key = place.fitting(mark, place.location.basename)
        self._write(found, text, key)
        result = CopyResult(
            kind="artifact",
            uri=place.wanted.uri,
            destination=place.hub.uri(key),
            bytes=len(text),
            pin=found.pin,
            pinned=self._object.pinned[1],
            checksum=f"SHA-256:{hashlib.sha256(text).hexdigest()}",
            verified="MD5 of what was written",
            method="rewritten",
            base=moved,
        )
        return CopyAnswer(done=True, result=result)

    def _write(self, found: ObjectFacts, text: bytes, key: str) -> None:
        """Write the manifest, or compare it with what is there already: that is never overwritten."""
        hub = self._place.hub
        try:
            hub.write(found, text, key)
        except Unmet as answer:
            there = hub.head(key)
            if there is None or there.size != len(text) or b"".join(hub.read(there, None)) != text:
                raise refusals.taken(self._place.wanted.uri, hub.uri(key)) from answer

    def _rewritten(self, body: bytes, patience: Clock) -> tuple[bytes, str]:
        """Give the manifest as it is to be in the hub, and where what it lists is there."""
        uri = self._place.wanted.uri
        try:
            text = body.decode()
            if "s3://" not in text:
                return body, ""
            if self._base is None:
                raise ForeignLocationError("a location, and there is none beside it")
            base = str(self._base.location)
            if self._base.wanted.type == "prefix":
                base = base if base.endswith("/") else f"{base}/"
                moved = self._base.hub.uri(PrefixCopy(self._base).destination(patience))
            else:
                moved = self._base.hub.uri(ObjectCopy(self._base).destination)
            return rewrite_manifest(text, base, moved).encode(), moved
        except UnicodeDecodeError as error:
            raise refusals.unreadable_manifest(uri, f"it is not UTF-8 text ({error})") from error
        except ForeignLocationError as error:
            raise refusals.unreadable_manifest(uri, f"it lists {error}") from error
