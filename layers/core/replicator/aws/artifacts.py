"""Copies one S3 location of a package, an object or a prefix, into the hub's bucket.

Theory of operation. The destination is the checkpoint: its key has the fingerprint of exactly these
bytes, so what is found there needs only to be compared, and other bytes can never overwrite it. Multipart
uploads for the exact key belong to the same bytes too, so their parts are taken over. All requests of
all objects run side by side in one pool that stops ahead of the deadline; a run that was killed
anywhere is simply run again.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_calls import s3_client
from replicator.aws.artifact_facts import LONGEST_KEY, Tuning, digest, fingerprint, shortened
from replicator.aws.artifact_hub import Hub
from replicator.aws.artifact_pool import Clock, run
from replicator.aws.artifact_source import Entry, Source
from replicator.aws.artifact_tally import ALREADY_THERE, Item, Tally
from replicator.aws.artifact_transfer import Transfer
from replicator.aws.artifact_uploads import Uploads
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import InvalidIdentifierError, ModelPackageArn, S3Uri
from replicator.manifests import ForeignLocationError, rewrite_manifest
from replicator.steps import ArtifactCopy, CopyAnswer, CopyRequest, CopyResult, Progress

if TYPE_CHECKING:
    from replicator.aws.artifact_facts import ObjectFacts
    from replicator.aws.sessions import Sessions
    from replicator.settings import CopyArtifactSettings

LARGEST_MANIFEST = 16 * 1024 * 1024


def copy_artifact(
    request: CopyRequest,
    settings: CopyArtifactSettings,
    sessions: Sessions,
    seconds_left: Clock,
    tuning: Tuning | None = None,
) -> CopyAnswer:
    """Copy one S3 location, or as much of it as there is time for.

    Parameters
    ----------
    request
        What to copy, and how far the invocation before this one came.
    seconds_left
        Seconds until the deadline.

    Returns
    -------
    CopyAnswer
        The result, or the progress to call again with.

    Raises
    ------
    PermanentError
        The source is missing, empty, archived, changed, not readable or somebody else's; the hub refuses;
        nothing moved in a whole invocation.
    RetryableError
        The same call may succeed later.
    """
    tuning = tuning or Tuning()
    copy, account = _parse(request)
    client = s3_client(sessions.for_spoke(settings.copy_role_arn, account), sessions.region, tuning.streams)
    hub = Hub(client, settings.hub_account, settings.hub_bucket, settings.hub_key_arn)

    def work(copy: ArtifactCopy) -> _Copying:
        location = _location(request.source_arn, copy)
        source = Source(
            sessions,
            client,
            bucket=location.bucket,
            account=account,
            copy_role_arn=settings.copy_role_arn,
            spoke_role_name=settings.spoke_role_name,
            streams=tuning.streams,
        )
        kind = {"object": _Object, "prefix": _Prefix, "manifest": _Manifest}[copy.type]
        made = kind(copy, location, source, hub)
        if isinstance(made, _Manifest) and copy.base is not None:
            made.base = work(copy.base)
        return made

    return work(copy).copy(request.progress, seconds_left, tuning)


def _location(source_arn: str, copy: ArtifactCopy) -> S3Uri:
    try:
        location = S3Uri.parse(copy.uri)
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{source_arn}: {error}") from error
    if copy.type != "prefix" and not location.basename:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{source_arn}: {copy.uri} names no object")
    return location


def _parse(request: CopyRequest) -> tuple[ArtifactCopy, str]:
    copy = request.copy_
    if not isinstance(copy, ArtifactCopy):
        raise PermanentError(ErrorCode.UNEXPECTED, f"{copy.uri} is an image, not an artifact")
    try:
        account = ModelPackageArn.parse(request.source_arn).account
    except InvalidIdentifierError as error:
        raise PermanentError(ErrorCode.INVALID_LOCATION, f"{request.source_arn}: {error}") from error
    if not copy.destination.startswith(f"models/{account}/") or not copy.destination.endswith("/"):
        raise PermanentError(
            ErrorCode.UNEXPECTED,
            f"{request.source_arn}: {copy.destination} is not the place of account {account} in the hub",
        )
    return copy, account


class _Copying:
    """What copying an object and copying a prefix have in common."""

    def __init__(self, copy: ArtifactCopy, location: S3Uri, source: Source, hub: Hub) -> None:
        self.wanted = copy
        self.location = location
        self.source = source
        self.hub = hub
        self.at_first = 0
        """Bytes that were at the destination before."""

    def copy(self, before: Progress | None, seconds_left: Clock, tuning: Tuning) -> CopyAnswer:
        items, prefix = self.items()
        for item in items:
            if len(item.destination.encode()) > LONGEST_KEY:
                raise refusals.key_too_long(self.source.uri(item.key), item.destination, LONGEST_KEY)
        tally = Tally(self.at_first)
        transfer = Transfer(self.source, self.hub, tuning, tally, prefix)
        try:
            # What is not there yet goes first: to look again at what is there is no progress.
            jobs = (partial(transfer.begin, item) for item in sorted(items, key=lambda item: item.present))
            if run(jobs, tuning.streams, seconds_left, tuning.margin):
                self.still_the_same()
                return CopyAnswer(done=True, result=self.result(items, tally))
        except PermanentError:
            transfer.abandon_all()
            raise
        return CopyAnswer(done=False, progress=self.progress(items, tally, before))

    def fitting(self, mark: str, name: str) -> str:
        """Give the key of the copy: the readable one, unless the members that name it have no room for it.

        Then group and version go, for the fingerprint is enough; and last the name, where nobody reads it.
        """
        account = self.wanted.destination.split("/")[1]
        keys = [f"{self.wanted.destination}{mark}/{name}", f"models/{account}/{mark}/{name}"]
        if name and not self.wanted.named:
            keys.append(f"models/{account}/{mark}/{shortened(name)}")
        for key in keys:
            if len(self.hub.uri(key)) <= self.wanted.longest and len(key.encode()) <= LONGEST_KEY:
                return key
        raise refusals.key_too_long(self.wanted.uri, keys[-1], min(LONGEST_KEY, self.wanted.longest))

    def items(self) -> tuple[list[Item], str]:
        """Find out what is to be copied to where, and give the prefix that all copies share."""
        raise NotImplementedError

    def still_the_same(self) -> None:
        """Look once more, at the end, whether the source is what it was."""

    def result(self, items: list[Item], tally: Tally) -> CopyResult:
        raise NotImplementedError

    def progress(self, items: list[Item], tally: Tally, before: Progress | None) -> Progress:
        total = sum(item.size for item in items)
        now = Progress(moved=min(tally.moved, total), total=total, objects=len(tally.outcomes))
        if before and now.moved <= before.moved and now.objects <= before.objects:
            raise refusals.no_progress(str(self.location), now.moved, total)
        return now


class _Object(_Copying):
    def items(self) -> tuple[list[Item], str]:
        self.found = self._registered()
        key = self._destination(self.found.pin)
        there = self.hub.head(key)
        item = Item(
            self.found.key, self.found.size, self.found.etag, key, there is not None, self.found, there
        )
        self.at_first = there.size if there else 0
        return [item], key

    def _destination(self, pin: str) -> str:
        mark = fingerprint(self.location.bucket, self.location.key, pin)
        return self.fitting(mark, self.location.basename)

    def _registered(self) -> ObjectFacts:
        """Describe the object, in the version that was registered where that is known."""
        key = self.location.key
        found = self.source.head(key)
        registered = self.wanted.etag and self.wanted.etag.strip('"')
        if not registered or found.etag == registered:
            return found
        version = self.source.version_with(key, registered)
        if version:
            return self.source.head(key, registered, version)
        was = self._destination(registered)
        uploads = Uploads(self.hub)
        for upload_id in uploads.open(was).get(was, ()):
            uploads.abort(was, upload_id)
        return self.source.changed(key, f"registered with ETag {registered}, now {found.etag}")

    def result(self, items: list[Item], tally: Tally) -> CopyResult:
        outcome = tally.outcomes[items[0].destination]
        return CopyResult(
            kind="artifact",
            uri=self.wanted.uri,
            destination=self.hub.uri(items[0].destination),
            bytes=self.found.size,
            pin=self.found.pin,
            checksum=str(outcome.checksum) if outcome.checksum else None,
            verified=outcome.verified,
            method=outcome.method,
        )


class _Prefix(_Copying):
    def items(self) -> tuple[list[Item], str]:
        key = self.location.key
        # SageMaker wants the slash; without it a sibling of the same beginning would come along.
        self.prefix = key if not key or key.endswith("/") else f"{key}/"
        entries = list(self.source.entries(self.prefix))
        if not entries:
            raise refusals.empty(self.source.uri(self.prefix))
        self.listing = self._digest(entries)
        self.root = self.fitting(self.listing[:16], "")
        there = self.hub.sizes(self.root)
        items = []
        for entry in entries:
            destination = self.root + entry.key.removeprefix(self.prefix)
            items.append(Item(*entry, destination, destination in there))
        self.at_first = sum(item.size for item in items if there.get(item.destination) == item.size)
        return items, self.root

    def _digest(self, entries: list[Entry]) -> str:
        texts = [self.location.bucket, self.prefix]
        for key, size, etag in entries:
            texts += [key.removeprefix(self.prefix), str(size), etag]
        return digest(texts)

    def still_the_same(self) -> None:
        if self._digest(list(self.source.entries(self.prefix))) != self.listing:
            self.source.changed(self.prefix, "objects came, went or changed during the copy")

    def result(self, items: list[Item], tally: Tally) -> CopyResult:
        outcomes = tally.outcomes
        texts: list[str] = []
        for item in sorted(items, key=lambda item: item.key):
            checksum = outcomes[item.destination].checksum
            texts += [item.key.removeprefix(self.prefix), str(item.size), str(checksum)]
        methods = {outcome.method for outcome in outcomes.values()}
        return CopyResult(
            kind="artifact",
            uri=self.wanted.uri,
            destination=self.hub.uri(self.root),
            bytes=sum(item.size for item in items),
            objects=len(items),
            pin=self.listing,
            checksum=f"SHA-256:{digest(texts)}",
            verified=", ".join(sorted({outcome.verified for outcome in outcomes.values()})),
            method=", ".join(sorted(methods - {ALREADY_THERE})) or ALREADY_THERE,
        )


class _Manifest(_Object):
    """A manifest: copied as it is, or rewritten where it names the location beside it."""

    base: _Copying | None = None

    def copy(self, before: Progress | None, seconds_left: Clock, tuning: Tuning) -> CopyAnswer:
        self.found = self._registered()
        if self.found.size > LARGEST_MANIFEST:
            raise refusals.too_large(
                self.wanted.uri, f"a manifest of {self.found.size} bytes, over {LARGEST_MANIFEST}"
            )
        body = b"".join(self.source.read(self.found, None, direct=self.found.direct))
        moved = ""
        try:
            text = body.decode()
            if "s3://" in text and self.base is not None:
                items, root = self.base.items()
                moved = self.hub.uri(root if self.base.wanted.type == "prefix" else items[0].destination)
                text = rewrite_manifest(text, str(self.base.location), moved)
            elif "s3://" in text:
                raise ForeignLocationError("a location, and there is none beside it")
        except UnicodeDecodeError as error:
            raise refusals.unreadable_manifest(self.wanted.uri, f"it is not UTF-8 text ({error})") from error
        except ForeignLocationError as error:
            raise refusals.unreadable_manifest(self.wanted.uri, f"it lists {error}") from error
        if text.encode() == body:
            return super().copy(before, seconds_left, tuning)
        mark = fingerprint(self.location.bucket, self.location.key, self.found.pin, moved)
        key = self.fitting(mark, self.location.basename)
        self.hub.write(self.found, text.encode(), key)
        return CopyAnswer(
            done=True,
            result=CopyResult(
                kind="artifact",
                uri=self.wanted.uri,
                destination=self.hub.uri(key),
                bytes=len(text.encode()),
                pin=self.found.pin,
                checksum=f"SHA-256:{hashlib.sha256(text.encode()).hexdigest()}",
                verified="written by the replicator",
                method="rewritten",
            ),
        )
