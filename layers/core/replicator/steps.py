"""What the steps of the state machine hand to each other: small, and the same shape in every round.

Step Functions allows 262,144 bytes of state, so the description of the package is never part of it:
each step that needs it reads it again, which also shows whether it changed meanwhile.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from replicator.errors import ErrorCode
from replicator.model import Frozen, Strict


class Action(StrEnum):
    """What a run has to do."""

    MIRROR = "MIRROR"
    UPDATE = "UPDATE"
    NOTHING = "NOTHING"
    REFUSE = "REFUSE"


class ArtifactCopy(Strict):
    """One S3 location to copy, however many members of the package name it."""

    kind: Literal["artifact"] = "artifact"
    uri: str
    """``s3://<bucket>/<key>``, whichever way the package spells it: `replicator.package.one_spelling`."""
    type: Literal["object", "prefix", "manifest"]
    etag: str | None = None
    """The ETag that SageMaker recorded at registration, where the package has one. Without quotes."""
    registered_at: str | None = None
    """When the package named the location first, as far as it is known: bytes that are younger are not those that
    were registered. ISO 8601."""
    runs: bool = False
    """Whether a model that is deployed reads it. Then bytes that are younger than ``registered_at`` are refused,
    else noted."""
    destination: str
    """Key prefix in the hub's bucket, ending with a slash: ``models/<account>/<group>/<version>/``."""
    longest: int = 1024
    """How many characters the members that name it leave for the location."""
    base: ArtifactCopy | None = None
    """Of a manifest: the copy of the location beside it, below which what it lists lies."""
    named: bool = True
    """Whether SageMaker uses the last segment of the key as a file name, so that it has to stay."""
    member: str | None = None
    """Path of the free text that names it, where nothing but free text does: for the message when it is missing."""


class ImageCopy(Strict):
    """One image to copy."""

    kind: Literal["image"] = "image"
    uri: str
    """As the package spells it."""
    digest: str | None = None
    """The digest that SageMaker recorded at registration, where the package has one."""
    repository: str
    """Name of the hub's repository for it."""
    neighbours: list[str] = []
    """The hub's repositories of other images of the package: layers that they have need not be sent again."""


Copy = Annotated[ArtifactCopy | ImageCopy, Field(discriminator="kind")]


class Cursor(Strict):
    """Up to where the objects of a prefix, in the order of their keys, are copied and compared."""

    after: str
    """The last key that is finished, as every key before it is. Empty when there is none."""
    listing: str
    """SHA-256 of the source's listing, which has to be the same in every invocation."""
    chain: str
    """See `CopyResult.checksum`; up to here."""
    objects: int
    """Objects up to here."""
    bytes: int
    """Bytes of them."""
    verified: list[str]
    """How they were compared."""
    methods: list[str]
    """How their bytes travelled."""


class Progress(Strict):
    """How far a copy is, when it stopped ahead of the deadline."""

    moved: int
    """Bytes known to be at the destination."""
    total: int
    """Bytes in all."""
    objects: int = 0
    """Objects (or layers) that are finished; of a prefix, up to the cursor."""
    cursor: Cursor | None = None
    """Of a prefix: where to go on. Without it, from the beginning."""
    streams: int | None = None
    """Of an artifact: how many requests may be in flight from now on, where that is fewer than usual."""
    stopped: str | None = None
    """Why it stopped, where that was not for the time."""
    unconfirmed: list[str] = []
    """Of an image: digests of the blobs that were sent whole, while the deadline came before the answer."""


ALREADY_THERE = "already there"
"""The method of a copy that was whole before, so that nothing travelled."""


type Pinned = Literal["digest", "ETag", "version", "time", "none"]
"""How copied bytes are known to be those that were registered, the best first.

``digest``, ``ETag``
    SageMaker recorded it at registration, and the copied bytes have it.
``version``
    The object was written again later; the version that was the newest at registration was copied.
``time``
    What was copied was last written before the registration.
``none``
    Not at all: it is younger than the registration, or nothing says when that was.
"""


class CopyResult(Strict):
    """Where a location went, and how it is known to be the same bytes."""

    kind: Literal["artifact", "image"]
    uri: str
    """As the package spells it: the key for rewriting."""
    destination: str
    """The location that takes its place."""
    bytes: int
    objects: int = 1
    """Objects of a prefix; manifests and blobs of an image."""
    pin: str | None = None
    """What exactly was copied: the version id, else the ETag, else (image) the digest."""
    pinned: Pinned = "none"
    """How the bytes are known to be those that were registered."""
    checksum: str | None = None
    """``<algorithm>:<value>`` of the whole object; the digest of an image. Of a prefix, the last of a chain
    of SHA-256, one for each object in the order of the keys: of the 32 bytes of the one before it (none for the
    first), the key below the prefix, the size in decimal and the object's checksum in this same form, each of
    the three ended by a zero byte."""
    verified: str
    """How source and copy were compared, for instance ``CRC64NVME``, ``ETag``, ``digest``."""
    method: str
    """How the bytes travelled, for instance ``server-side``, ``streamed``, ``already there``."""
    base: str | None = None
    """Of a manifest that was rewritten: where it says that what it lists is."""


class CopyRequest(Strict):
    """Input of the copy functions."""

    source_arn: str
    copy_: Copy = Field(alias="copy")
    progress: Progress | None = None
    """What the invocation before this one answered, so that a loop without progress can be told."""


class CopyAnswer(Strict):
    """Output of the copy functions: ``result`` when done, else ``progress``."""

    done: bool
    result: CopyResult | None = None
    progress: Progress | None = None


class RunInput(Strict):
    """Input of an execution. It depends on the ledger's item alone, so starting it twice is harmless."""

    source_arn: str
    attempt: int


class PlanAnswer(Strict):
    """Output of the plan function."""

    action: Action
    reason: str
    code: ErrorCode | None = None
    """Why it is refused."""
    wanted: int
    """The ledger's counter, read before the source was described."""
    fingerprint: str | None = None
    """Of the source as it was described."""
    copies: list[Copy] = []
    again: bool = False
    """With ``NOTHING``: the source changed again meanwhile, plan once more."""


class RegisterRequest(Frozen):
    """Input of the register function."""

    source_arn: str
    attempt: int
    plan: PlanAnswer
    results: list[CopyResult] = []


class RegisterAnswer(Strict):
    """Output of the register function."""

    again: bool
    status: str
    hub_arn: str | None = None
    lag_seconds: float | None = None
    """From the event that started the run to the mirror, where that tells of a delay; see `counting.lag`."""
