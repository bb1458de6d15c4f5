"""Copies an image from one registry to another: same bytes, same digest, nothing on disk, little memory.

Theory of operation. An image is a tree of manifests over a set of blobs, every one named by its digest,
so whatever is at the destination already needs no second look: that is how a copy resumes. Blobs go
first, biggest first, several at once; then the manifests, children before the index that names them;
then what refers to the image (signatures, attestations); and at the very end the image's tag. The tag
is made from the digest. It is the mark that all of the above is there, which one ``HEAD`` tells, and it
keeps lifecycle rules for untagged images from deleting a mirror that is referred to by digest alone.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicator.aws.oci_http import BUFFER_BYTES, Budget, Connections, OutOfTimeError, TransientError, attempt
from replicator.aws.oci_registry import Place, Repository, Side
from replicator.errors import ErrorCode, PermanentError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from replicator.aws.oci_http import Answer, Incoming
    from replicator.aws.oci_manifest import Descriptor, Manifest

STREAMS = 3
"""Blobs at once: more than two are no faster against registries on the same host, but hide latency."""
MOST_MANIFESTS = 1000
MOST_LEVELS = 10
"""Of indexes in indexes; builders make two."""
MOST_TREE_BYTES = 64 * 1024 * 1024
"""Of manifests, which are held until they are put."""


def mirror_tag(digest: str) -> str:
    """Give the tag that a complete mirror has; ``sha256-<hex>`` would be the list of its referrers."""
    return f"mirror-{digest.removeprefix('sha256:')}"


@dataclass
class Tally:
    """What is known to be at the destination; counted by several threads."""

    total: int = 0
    moved: int = 0
    streamed: int = 0
    objects: int = 0
    arrivals: int = 0
    """Blobs that were not there before. A manifest does not tell: it is put again by every invocation."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, size: int) -> None:
        """Count bytes that have to be at the destination."""
        with self._lock:
            self.total += size

    def there(self, size: int, streamed: int = 0, *, new: bool = False) -> None:
        """Count a manifest or blob that is there now, and how many of its bytes travelled."""
        with self._lock:
            self.moved += size
            self.streamed += streamed
            self.objects += 1
            self.arrivals += new


@dataclass
class Copier:
    """The two ends of a copy and what travels between them."""

    source: Repository
    hub: Repository
    budget: Budget
    streams: int = STREAMS
    tally: Tally = field(default_factory=Tally)
    finished: set[str] = field(default_factory=set)
    """Digests of the blobs that are at the destination."""
    begun: set[str] = field(default_factory=set)
    """Digests of the blobs of which this copy opened an upload."""
    unconfirmed: set[str] = field(default_factory=set)
    """Digests of the blobs that were sent whole, by this copy or an earlier one, while no answer came before the
    deadline. What is found at the destination later has arrived."""

    @classmethod
    def between(
        cls,
        source: Place,
        destination: Place,
        *,
        time_left: Callable[[], float] = lambda: float("inf"),
        streams: int = STREAMS,
        backoff_seconds: float = 0.5,
        unconfirmed: Iterable[str] = (),
    ) -> Copier:
        """Make a copier.

        Parameters
        ----------
        source, destination
            From where to where.
        time_left
            Seconds until it has to have stopped.
        streams
            Blobs at once; memory is a buffer of 1 MiB for each.
        backoff_seconds
            Upper bound of the first pause after a failure that may pass.
        unconfirmed
            Digests of blobs that an earlier copy sent whole without an answer.
        """
        budget = Budget(time_left, backoff_seconds)
        connections = Connections(budget)
        return cls(
            Repository(source, Side.SOURCE, connections),
            Repository(destination, Side.HUB, connections),
            budget,
            streams,
            unconfirmed=set(unconfirmed),
        )

    def close(self) -> None:
        """Close its connections."""
        self.source.connections.close()
        self.hub.connections.close()

    def resolve(self, reference: str) -> str:
        """Give the digest that a tag stands for at the source. Raises ``SOURCE_IMAGE_MISSING``."""
        if ":" in reference:
            return reference
        digest = attempt(lambda: self.source.head_manifest(reference), self.budget)
        if digest is None:
            raise self._missing(reference)
        return digest

    def is_mirrored(self, digest: str) -> bool:
        """Tell, with one request, whether the image and all that belongs to it is at the destination."""
        return attempt(lambda: self.hub.head_manifest(mirror_tag(digest)), self.budget) == digest

    def tree(self, digest: str) -> list[Manifest]:
        """Fetch an image's manifests, children before the index that names them, each once.

        Raises ``IMAGE_UNSUPPORTED`` for more than is fetched and held of one image.
        """
        found: dict[str, Manifest] = {}
        fetched = held = 0

        def visit(digest: str, above: str | None, level: int) -> None:
            nonlocal fetched, held
            if digest in found:
                return
            manifest = attempt(lambda: self.source.get_manifest(digest), self.budget)
            if manifest is None:
                raise self._missing(digest, above)
            fetched += 1
            held += len(manifest.raw)
            self._check_bounds(digest, fetched, held, level)
            for child in manifest.children:
                visit(child.digest, digest, level + 1)
            found[digest] = manifest
            self.tally.expect(len(manifest.raw))

        visit(digest, None, 1)
        return list(found.values())

    def copy_blobs(self, manifests: Iterable[Manifest]) -> None:
        """Bring every blob that the manifests name to the destination, several at once."""
        wanted = {
            blob.digest: blob
            for manifest in manifests
            for blob in manifest.blobs
            if blob.digest not in self.finished
        }
        # The biggest layer bounds the time from below, so it must not start last.
        queue = deque(sorted(wanted.values(), key=lambda blob: blob.size, reverse=True))
        for blob in queue:
            self.tally.expect(blob.size)
        with ThreadPoolExecutor(max(1, min(self.streams, len(queue)))) as pool:
            workers = [pool.submit(self._work, queue) for _ in range(min(self.streams, len(queue)))]
        errors = [error for worker in workers if (error := worker.exception())]
        self.budget.resume()
        # What will never succeed comes first; that others were stopped for it is not what went wrong.
        errors.sort(key=lambda error: (isinstance(error, OutOfTimeError), isinstance(error, RetryableError)))
        if errors:
            raise errors[0]

    def put(self, manifest: Manifest, reference: str) -> Answer:
        """Put a manifest under a tag or its digest, unless it is there already.

        Raises
        ------
        PermanentError
            ``IMAGE_REJECTED`` with the registry's own words.
        """
        return attempt(lambda: self._put(manifest, reference), self.budget)

    def _work(self, queue: deque[Descriptor]) -> None:
        buffer = memoryview(bytearray(BUFFER_BYTES))
        try:
            while True:
                try:
                    blob = queue.popleft()
                except IndexError:
                    return
                attempt(lambda blob=blob: self._copy_blob(blob, buffer), self.budget)  # type: ignore[misc]
                self.finished.add(blob.digest)
        except RetryableError:
            raise  # the other blobs may still arrive, and what arrives stays
        except BaseException:
            self.budget.stop()
            raise

    def _copy_blob(self, blob: Descriptor, buffer: memoryview) -> None:
        """Copy one blob from its first byte: upload sessions of registries do not resume reliably."""
        if self.hub.has_blob(blob):
            # It may be ours: an upload can succeed and its answer be lost, or come after the deadline.
            self.tally.there(blob.size, new=blob.digest in self.begun | self.unconfirmed)
            self.unconfirmed.discard(blob.digest)
            return
        # The source first: when it fails, no upload session is left behind.
        with self.source.open_blob(blob) as incoming:
            self._check_length(incoming, blob)
            session = self.hub.begin_upload(blob)
            if session is not None:
                self.begun.add(blob.digest)
                self.hub.upload(session, blob, self._verified(incoming, blob, buffer))
            self.unconfirmed.discard(blob.digest)
        self.tally.there(blob.size, 0 if session is None else blob.size, new=True)

    def _verified(self, incoming: Incoming, blob: Descriptor, buffer: memoryview) -> Iterator[memoryview]:
        """Give a blob's bytes, the last piece only when the digest of all of them is right.

        When the last piece has been taken, the blob is sent and not confirmed.
        """
        hasher = hashlib.sha256()
        left = blob.size
        while left:
            count = incoming.read_into(buffer[: min(left, len(buffer))])
            if count == 0:
                raise TransientError(
                    ErrorCode.SERVICE_UNAVAILABLE,
                    f"{blob.digest} in {self.source.place.name} ended {left:,} bytes early",
                )
            left -= count
            hasher.update(buffer[:count])
            if left == 0 and f"sha256:{hasher.hexdigest()}" != blob.digest:
                raise self._mismatch(blob, "it came with other bytes")
            yield buffer[:count]
        self.unconfirmed.add(blob.digest)

    def _check_bounds(self, digest: str, fetched: int, held: int, level: int) -> None:
        for too_large, bound in (
            (fetched > MOST_MANIFESTS, f"has more than {MOST_MANIFESTS:,} manifests"),
            (held > MOST_TREE_BYTES, f"has more than {MOST_TREE_BYTES // 1024**2} MiB of manifests"),
            (level > MOST_LEVELS, f"has indexes in indexes, more than {MOST_LEVELS} deep"),
        ):
            if too_large:
                raise PermanentError(
                    ErrorCode.IMAGE_UNSUPPORTED,
                    f"{self.source.place.image(digest)} cannot be mirrored: the image that it belongs to {bound}. "
                    "Push an image of fewer or smaller parts and register the model again.",
                )

    def _check_length(self, incoming: Incoming, blob: Descriptor) -> None:
        length = incoming.response.headers.get("Content-Length")
        if length is not None and length != str(blob.size):
            raise self._mismatch(blob, f"the manifest says {blob.size} bytes, the registry {length}")

    def _put(self, manifest: Manifest, reference: str) -> Answer:
        answer = self.hub.put_manifest(manifest, reference)
        image = self.hub.place.image(reference)
        if answer.status == 201:
            if answer.headers.get("docker-content-digest", manifest.digest) != manifest.digest:
                raise PermanentError(
                    ErrorCode.DIGEST_MISMATCH,
                    f"the hub's registry stored the manifest of {image} under another digest than "
                    f"{manifest.digest}: it changed the bytes.",
                )
            self.tally.there(len(manifest.raw), len(manifest.raw))
            return answer
        failure = self.hub.failure(answer, f"putting the manifest of {image}")
        rejected = isinstance(failure, PermanentError) and failure.code is ErrorCode.IMAGE_REJECTED
        # Amazon ECR refuses to put the same image again under an immutable tag: another run was quicker.
        if rejected and self.hub.head_manifest(reference) == manifest.digest:
            self.tally.there(len(manifest.raw))
            return answer
        raise failure

    def _missing(self, reference: str, above: str | None = None) -> PermanentError:
        image = self.source.place.image(reference)
        named = f", which the index {above} names," if above else ""
        return PermanentError(
            ErrorCode.SOURCE_IMAGE_MISSING,
            f"{image}{named} is not in its registry: the image or repository was deleted, or never pushed. "
            "Push it again with the same digest, then redrive.",
        )

    def _mismatch(self, blob: Descriptor, why: str) -> PermanentError:
        return PermanentError(
            ErrorCode.DIGEST_MISMATCH,
            f"layer {blob.digest} of {self.source.place.name}: {why}. "
            "Pull the image to see whether its registry is damaged; push it again if so.",
        )
