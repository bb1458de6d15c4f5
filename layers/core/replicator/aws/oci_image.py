"""One image with all that belongs to it, from one registry to another."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replicator.aws.oci_copy import STREAMS, Copier, mirror_tag
from replicator.aws.oci_http import OutOfTimeError
from replicator.aws.oci_referrers import Followers
from replicator.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from replicator.aws.oci_manifest import Manifest
    from replicator.aws.oci_registry import Place


@dataclass(frozen=True)
class Outcome:
    """How a copy went. Sizes are bytes."""

    digest: str
    """Of the image; empty when time ran out before its tag was resolved."""
    done: bool
    moved: int
    """Known to be at the destination; of an image that was there already nothing was looked at."""
    total: int
    streamed: int
    """What travelled in this call."""
    objects: int
    """Manifests and blobs known to be at the destination."""
    arrivals: int
    """Blobs that came there in this call, sent or mounted."""
    already_there: bool = False
    referrers: int = 0
    """Signatures, attestations and the like that were copied with it."""
    left_behind: tuple[str, ...] = ()
    """Why some of those were not."""
    stopped: str | None = None
    """Why it stopped, where that was not for the time."""
    unconfirmed: tuple[str, ...] = ()
    """Digests of blobs that were sent whole, by this call or an earlier one, and have not been seen to arrive."""


def copy_image(
    source: Place,
    destination: Place,
    reference: str,
    *,
    time_left: Callable[[], float] = lambda: float("inf"),
    prepare: Callable[[], object] = lambda: None,
    streams: int = STREAMS,
    backoff_seconds: float = 0.5,
    unconfirmed: Iterable[str] = (),
) -> Outcome:
    """Copy an image; safe to repeat, and to go on with after a stop or a crash.

    Parameters
    ----------
    source, destination
        Repositories.
    reference
        Tag or digest. A digest is what gets copied, whatever a tag says by now.
    time_left
        Seconds until it has to have stopped; it then answers ``done=False``, and called again skips every
        blob that has arrived. So it does when a request keeps failing and other blobs have arrived.
    prepare
        Called before the first write, when the image is not at the destination and its manifests can be
        mirrored: makes the repository.
    streams
        Blobs at once; memory is a buffer of 1 MiB for each.
    backoff_seconds
        Upper bound of the first pause after a failure that may pass; doubled for each further one.
    unconfirmed
        Of the outcome of the call before: such a blob counts as an arrival when it is found.

    Raises
    ------
    PermanentError, RetryableError
        With the image's name and what to do about it; the second only when nothing has arrived in this call.
    """
    copier = Copier.between(
        source,
        destination,
        time_left=time_left,
        streams=streams,
        backoff_seconds=backoff_seconds,
        unconfirmed=unconfirmed,
    )
    followers = Followers(copier)
    tally = copier.tally
    digest, done, already_there, stopped = "", False, False, None
    try:
        with suppress(OutOfTimeError):
            digest = copier.resolve(reference)
            already_there = copier.is_mirrored(digest)
            if not already_there:
                manifests = copier.tree(digest)
                prepare()
                _copy(copier, followers, manifests)
            done = True
    except RetryableError as error:
        # Retries are few and meant for what does not get on. Blobs run out, so this does not go on for ever.
        if not tally.arrivals:
            raise
        stopped = str(error)[:500]
    finally:
        copier.close()
    return Outcome(
        digest,
        done,
        tally.moved,
        tally.total,
        tally.streamed,
        tally.objects,
        tally.arrivals,
        already_there,
        followers.copied,
        tuple(followers.left_behind),
        stopped,
        tuple(sorted(copier.unconfirmed)),
    )


def _copy(copier: Copier, followers: Followers, manifests: list[Manifest]) -> None:
    copier.copy_blobs(manifests)
    image = manifests.pop()
    digest = image.digest
    for manifest in manifests:
        copier.put(manifest, manifest.digest)
    entries, tags = followers.find(digest)
    if entries or tags:
        # What refers to an image may be refused until the image is there, and the tag has to come last.
        copier.put(image, digest)
        followers.copy(digest, entries, tags)
    copier.put(image, mirror_tag(digest))
