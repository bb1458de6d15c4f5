"""Multipart uploads in the hub's bucket."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from replicator.aws.artifact_calls import S3Answer, answers
from replicator.aws.artifact_facts import Checksum, ObjectFacts, checksums
from replicator.aws.artifact_hub import ONLY_IF_ABSENT, Arguments, Hub, md5
from replicator.aws.open_uploads import uploads_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from replicator.parts import Part, PartPlan

_WHOLE: Final = "FULL_OBJECT"
"""The type of checksum of every upload of ours: one of the whole object, which S3 compares at completion."""


class UploadGoneError(Exception):
    """The upload has been completed or aborted by somebody else meanwhile."""


@dataclass
class Upload:
    """A multipart upload and the ETags of the parts that it has."""

    key: str
    id: str
    algorithm: str | None
    """The one it was created with. None is S3's "null checksum mode"."""
    parts: dict[int, str] = field(default_factory=dict)


class Uploads:
    """The multipart uploads of the hub's bucket: each method is one request."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def _answers[Answer](self, found: Iterable[Answer], call: str, key: str) -> Iterator[Answer]:
        try:
            with answers(f"{call} of {self._hub.uri(key)}"):
                yield from found
        except S3Answer as answer:
            self._check_upload(answer)
            raise self._hub.refused(key, answer) from answer

    def open(self, prefix: str) -> dict[str, list[str]]:
        """List the uploads that are open under a prefix: ids by key, the oldest first."""
        uploads = uploads_of(self._hub.client, prefix, self._hub.owned)
        found: dict[str, list[str]] = {}
        for upload in self._answers(uploads, "ListMultipartUploads", prefix):
            found.setdefault(upload.key, []).append(upload.id)
        return found

    def parts(self, upload_id: str, key: str, plan: PartPlan, algorithm: str | None) -> dict[int, str] | None:
        """List the parts of an upload: their ETags by number.

        Returns
        -------
        dict or None
            None when the upload cannot become the object of this plan: it has other parts, or was created with
            another algorithm or type of checksum, so that S3 would refuse its completion.
        """
        mode = (algorithm, _WHOLE if algorithm else None)
        pages = self._hub.client.get_paginator("list_parts").paginate(
            Key=key, UploadId=upload_id, **self._hub.owned
        )
        found: dict[int, str] = {}
        try:
            for page in self._answers(pages, "ListParts", key):
                if (page.get("ChecksumAlgorithm"), page.get("ChecksumType")) != mode:
                    return None
                for part in page.get("Parts", []):
                    number = part["PartNumber"]
                    if number > plan.count or plan.part(number).size != part["Size"]:
                        return None
                    found[number] = part["ETag"]
        except UploadGoneError:
            return None
        return found

    def create(
        self, source: ObjectFacts, key: str, tags: list[dict[str, str]], algorithm: str | None
    ) -> Upload:
        """Create a multipart upload, with what a multipart copy does not carry by itself.

        S3 compares a checksum at completion only where the algorithm was named here, the default too. An
        upload without one is in the "null checksum mode", which takes any value and refuses a type.
        """
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
        named: Arguments = {"ChecksumAlgorithm": algorithm, "ChecksumType": _WHOLE} if algorithm else {}
        try:
            with answers(f"CreateMultipartUpload to {self._hub.uri(key)}"):
                answer = self._hub.client.create_multipart_upload(
                    Key=key,
                    **self._hub.owned,
                    **self._hub.described(source, tags),
                    **self._hub.encrypted,
                    **named,
                )
        except S3Answer as refusal:
            raise self._hub.refused(key, refusal) from refusal
        return Upload(key, answer["UploadId"], algorithm)

    def copy(self, upload: Upload, part: Part, copy_source: Arguments) -> str:
        """Copy a part server side and give its ETag. Raises `S3Answer`: the caller knows the source."""
        try:
            with answers(f"UploadPartCopy {part.number} to {self._hub.uri(upload.key)}"):
                answer = self._hub.client.upload_part_copy(
                    Key=upload.key,
                    UploadId=upload.id,
                    PartNumber=part.number,
                    CopySourceRange=part.range,
                    **copy_source,
                    **self._hub.owned,
                )
        except S3Answer as refusal:
            self._check_upload(refusal)
            raise
        return answer["CopyPartResult"]["ETag"]

    def put(self, upload: Upload, part: Part, body: bytearray) -> str:
        """Write a part and give its ETag; S3 refuses bytes that do not have the MD5 that was read."""
        own: Arguments = {}
        if upload.algorithm == "CRC32":
            own["ChecksumCRC32"] = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        try:
            with answers(f"UploadPart {part.number} to {self._hub.uri(upload.key)}"):
                answer = self._hub.client.upload_part(
                    Key=upload.key,
                    UploadId=upload.id,
                    PartNumber=part.number,
                    Body=cast("bytes", body),
                    ContentMD5=md5(body),
                    **self._hub.owned,
                    **own,
                )
        except S3Answer as refusal:
            self._check_upload(refusal)
            raise self._hub.refused(upload.key, refusal) from refusal
        return answer["ETag"]

    def complete(self, upload: Upload, source: ObjectFacts) -> tuple[Checksum, ...]:
        """Make the object of the parts.

        S3 compares the size and, where the upload was created with an algorithm of the source, the checksum,
        before the object is visible.

        Raises
        ------
        UploadGoneError
            Somebody else has completed or aborted it.
        S3Answer
            ``Unmet`` when the object is there already; ``Conflict`` when it was there since the upload began,
            which then can never be completed; ``Refused`` with ``InvalidPart`` when another execution has
            written a part again, with ``BadDigest`` when the checksum is another.
        """
        mode: Arguments = {"ChecksumType": _WHOLE} if upload.algorithm else {}
        expected: Arguments = {
            f"Checksum{c.algorithm}": c.value for c in source.checksums if c.algorithm == upload.algorithm
        }
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(upload.parts.items())]
        try:
            with answers(f"CompleteMultipartUpload to {self._hub.uri(upload.key)}"):
                answer = self._hub.client.complete_multipart_upload(
                    Key=upload.key,
                    UploadId=upload.id,
                    MultipartUpload=cast("Any", {"Parts": parts}),
                    MpuObjectSize=cast("Any", source.size),
                    **self._hub.owned,
                    **ONLY_IF_ABSENT,
                    **mode,
                    **expected,
                )
        except S3Answer as refusal:
            self._check_upload(refusal)
            raise
        return checksums(cast("Mapping[str, Any]", answer))

    def abort(self, key: str, upload_id: str) -> None:
        """Throw an upload away; one that is gone already is no error."""
        try:
            with answers(f"AbortMultipartUpload to {self._hub.uri(key)}"):
                self._hub.client.abort_multipart_upload(Key=key, UploadId=upload_id, **self._hub.owned)
        except S3Answer as answer:
            if answer.code != "NoSuchUpload":
                raise self._hub.refused(key, answer) from answer

    def _check_upload(self, answer: S3Answer) -> None:
        if answer.code == "NoSuchUpload":
            raise UploadGoneError(str(answer)) from answer
