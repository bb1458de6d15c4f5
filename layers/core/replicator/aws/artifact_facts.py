"""What S3 tells about an object, and what can be concluded from it. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from botocore.utils import parse_timestamp

from replicator.parts import GIB, MIB, S3_LIMITS, PartLimits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# In the order in which they are asked for. A full-object checksum does not depend on how an object was
# cut into parts; CRC64NVME always is one, and S3 computes it for new objects without being asked.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
ALGORITHMS = ("CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1")
DEFAULT_ALGORITHM = "CRC64NVME"
# Multipart uploads have these over the whole object; the SHA family only as a checksum of checksums.
MULTIPART_ALGORITHMS = ("CRC64NVME", "CRC32", "CRC32C")
# Those of which zlib computes the checksum of a part that is sent.
STREAMED_ALGORITHMS = ("CRC32",)

PIN_KEY = "replicator-source-pin"
"""User metadata of a copy: version id or ETag of what it was copied from."""
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
_METADATA_BYTES = 2048
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that S3 takes in a key and XML 1.0 has no way to write, so that its answers cannot be read:
https://www.w3.org/TR/xml/#charsets."""
LONGEST_KEY = 1024
"""Bytes of a key in UTF-8: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""

_KEPT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a copy goes about it. The defaults suit a function of 1 GiB memory and 15 minutes.

    Parameters
    ----------
    streams
        Requests in flight, over all objects of a copy.
    few_streams
        The same after an invocation in which nothing arrived: the largest parts may have shared the bandwidth
        until none was done in time. A rate at which an object of 10,000 parts is copied in the three days of a
        run carries four of its parts in 104 seconds, so little is cut off at the end.
    single_copy
        Bytes up to which an object is copied with one CopyObject. S3 allows ``largest_single_copy``, but
        parts side by side are several times as fast as one stream.
    largest_single_copy
        Bytes that S3 takes in one CopyObject:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html.
    part_size
        Bytes of a part copied server side, where 10,000 parts are enough.
    streamed_part_size, streamed_memory
        Bytes of a part that goes through the function, and of all such parts at one time.
    read_limit
        Bytes up to which an object without any comparable checksum is verified by reading it.
    window
        Objects of a prefix between the first that is not finished and the last that was begun. They are what
        is held in memory, about a kilobyte each.
    margin
        Seconds before the deadline in which nothing new is begun.
    limits
        Of the parts of a multipart upload.
    """

    streams: int = 64
    few_streams: int = 4
    single_copy: int = 512 * MIB
    largest_single_copy: int = 5 * GIB
    part_size: int = 128 * MIB
    streamed_part_size: int = 8 * MIB
    streamed_memory: int = 256 * MIB
    read_limit: int = 5 * GIB
    window: int = 10_000
    margin: float = 90.0
    limits: PartLimits = S3_LIMITS


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of all bytes of an object, in base64 as S3 gives it."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """An object at one moment: what HeadObject answered, and under which pin to read it."""

    key: str
    size: int
    etag: str
    """Without quotes."""
    version_id: str | None = None
    checksums: tuple[Checksum, ...] = ()
    headers: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tag_count: int = 0
    direct: bool = True
    """Whether the hub's copy role could see it."""
    archive: str | None = None
    """The storage class that must be restored before the object can be read."""
    last_modified: str = ""
    """When S3 received these bytes, as it spells that in a header: whole seconds."""

    @property
    def pin(self) -> str:
        """What names these bytes: the version id where there is one, else the ETag."""
        return self.version_id or self.etag

    def metadata_of_copy(self) -> dict[str, str]:
        """Return the pin and the user's metadata: as many of its entries, in order, as S3 has room for beside it."""
        kept = {PIN_KEY: self.pin}
        free = _METADATA_BYTES - _metadata_size(PIN_KEY, self.pin)
        for name, value in self.metadata.items():
            size = _metadata_size(name, value)
            # The source's own entry of this name says nothing about this copy.
            if name.lower() != PIN_KEY and size <= free:
                kept[name] = value
                free -= size
        return kept


def _metadata_size(name: str, value: str) -> int:
    return len(name.encode()) + len(value.encode())


def facts(key: str, answer: Mapping[str, Any], *, direct: bool = True) -> ObjectFacts:
    """Read an answer of HeadObject."""
    version = answer.get("VersionId")
    return ObjectFacts(
        key=key,
        size=answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        version_id=None if version in (None, "null") else version,
        checksums=checksums(answer),
        headers=_headers(answer),
        metadata=answer.get("Metadata", {}),
        tag_count=answer.get("TagCount", 0),
        direct=direct,
        archive=_archive(answer),
        last_modified=str(answer.get("LastModified", "")),
    )


def _headers(answer: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: answer[name] for name in _KEPT if name in answer}
    if "Expires" in kept:
        # S3 keeps whatever it was given. What is no time cannot be sent again, and tells nobody anything.
        try:
            kept["Expires"] = parse_timestamp(kept["Expires"]).astimezone(UTC)
        except (ValueError, OverflowError, OSError, RuntimeError):
            del kept["Expires"]
    return kept


def _archive(answer: Mapping[str, Any]) -> str | None:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: x-amz-restore, x-amz-archive-status
    if answer.get("ArchiveStatus"):
        return f"INTELLIGENT_TIERING, {answer['ArchiveStatus']}"
    storage_class = answer.get("StorageClass", "STANDARD")
    restored = 'ongoing-request="false"' in answer.get("Restore", "")
    return storage_class if storage_class in _ARCHIVES and not restored else None


def checksums(answer: Mapping[str, Any]) -> tuple[Checksum, ...]:
    """Take the full-object checksums from an answer of S3; those of parts are none."""
    if answer.get("ChecksumType") == "COMPOSITE":
        return ()
    found = ((name, answer.get(f"Checksum{name}")) for name in ALGORITHMS)
    return tuple(Checksum(name, value) for name, value in found if value and "-" not in value)


def algorithm_for(source: ObjectFacts, allowed: Iterable[str] = ALGORITHMS) -> str:
    """Choose the algorithm that S3 shall use for the copy: one that the source has, where it has one."""
    return _common(source, allowed) or DEFAULT_ALGORITHM


def streamed_algorithm_for(source: ObjectFacts) -> str | None:
    """Choose the algorithm to name for an upload whose parts are sent; None names none.

    An upload with an algorithm may want the checksum of every part from who sends it. One that names none gets
    `DEFAULT_ALGORITHM` all the same, and wants nothing.
    """
    return _common(source, STREAMED_ALGORITHMS)


def _common(source: ObjectFacts, allowed: Iterable[str]) -> str | None:
    return next((c.algorithm for c in source.checksums if c.algorithm in allowed), None)


def compare(source: Iterable[Checksum], copy: Iterable[Checksum]) -> Checksum | Literal[False] | None:
    """Compare two objects by their checksums.

    Returns
    -------
    Checksum or False or None
        The checksum that both have; False when they differ; None when they have none in common.
    """
    copied = {checksum.algorithm: checksum for checksum in copy}
    for checksum in source:
        other = copied.get(checksum.algorithm)
        if other is not None:
            return checksum if checksum == other else False
    return None


def may_be_copy(source: ObjectFacts, copy: ObjectFacts, read_limit: int) -> bool:
    """Whether an object may be a whole copy of the source.

    Size and checksum have to be the same, and the pin that is written with every copy. Where the pin is another
    one, or nothing tells, it may be a copy as long as it is small enough to be read.
    """
    if copy.size != source.size or compare(source.checksums, copy.checksums) is False:
        return False
    return pinned_by(source, copy) or source.size <= read_limit


def pinned_by(source: ObjectFacts, copy: ObjectFacts) -> bool:
    """Whether an object says that it was copied from exactly this version or ETag.

    The same bytes can have another version: those of an object that was deleted and written again. With a checksum
    alone they are not proven to be the same, for who may write the source can find others of one CRC64NVME and MD5.
    """
    return copy.metadata.get(PIN_KEY) == source.pin


_CLOCKS = timedelta(seconds=2)
"""S3 counts whole seconds, and its clock is not SageMaker's."""


def younger(last_modified: str, registered_at: str) -> bool:
    """Whether bytes were written after a registration, or nothing says that they were not.

    Parameters
    ----------
    last_modified
        As S3 spells it, in a header or in a listing. Empty when it did not say.
    registered_at
        ISO 8601.
    """
    return (
        not last_modified or parse_timestamp(last_modified) > datetime.fromisoformat(registered_at) + _CLOCKS
    )


def shortened(name: str) -> str:
    """Give a file name of at most 53 characters for a long one: a hash, and the endings as they were."""
    endings = re.search(r"(\.[A-Za-z0-9]{1,8}){1,2}$", name)
    return digest([name])[:32] + (endings[0] if endings else "")


def digest(texts: Iterable[str]) -> str:
    """Give the SHA-256 of a list of texts. A zero byte, which no key and no ETag has, ends each."""
    found = hashlib.sha256()
    for text in texts:
        found.update(text.encode() + b"\0")
    return found.hexdigest()
