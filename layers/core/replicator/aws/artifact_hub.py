"""The hub's side of an artifact copy: what is there already, and writing it.

Every call names the hub as the account that has to own the bucket, and every object is written under
the hub's key.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from replicator.aws.artifact_calls import Denied, Missing, S3Answer, Unmet, answers
from replicator.aws.artifact_facts import (
    Checksum,
    ObjectFacts,
    algorithm_for,
    checksums,
    facts,
)
from replicator.aws.artifact_listing import listed
from replicator.errors import KMS, ErrorCode, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mypy_boto3_s3.client import S3Client

    from replicator.aws.artifact_listing import Entry
    from replicator.parts import Part

type Arguments = dict[str, Any]

ONLY_IF_ABSENT: Arguments = {"IfNoneMatch": "*"}
"""What is there stays: a mirror that was approved may name it. The first of two runs wins."""
_NO_ANNOTATIONS: Arguments = {"AnnotationDirective": "EXCLUDE"}


class Hub:
    """The hub's bucket.

    Parameters
    ----------
    client
        With the hub's copy role: it may write only what belongs to its spoke.
    account, bucket, key_arn
        Owner, name, and the key that encrypts every object.
    """

    def __init__(self, client: S3Client, account: str, bucket: str, key_arn: str) -> None:
        self.client = client
        self.owned: Arguments = {"Bucket": bucket, "ExpectedBucketOwner": account}
        self.encrypted: Arguments = {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": key_arn,
            "BucketKeyEnabled": True,
        }
        self.bucket = bucket
        self.key_arn = key_arn

    def uri(self, key: str) -> str:
        """Spell the location of an object."""
        return f"s3://{self.bucket}/{key}"

    def head(self, key: str) -> ObjectFacts | None:
        """Describe an object, or None when it is not there."""
        try:
            with answers(f"HeadObject of {self.uri(key)}"):
                return facts(key, self.client.head_object(Key=key, ChecksumMode="ENABLED", **self.owned))
        except Missing:
            return None
        except S3Answer as answer:
            raise self.refused(key, answer) from answer

    def pages(self, prefix: str, after: str = "") -> Iterator[list[Entry]]:
        """List the objects under a prefix, in pages and in the order of their keys, from after a key."""
        start: Arguments = {"StartAfter": after} if after else {}
        pages = self.client.get_paginator("list_objects_v2").paginate(Prefix=prefix, **start, **self.owned)
        for page in self._pages(pages, "ListObjectsV2", prefix):
            yield listed(page)

    def _pages(self, pages: Iterable[Any], call: str, key: str) -> Iterator[Mapping[str, Any]]:
        try:
            with answers(f"{call} of {self.uri(key)}"):
                yield from pages
        except S3Answer as answer:
            raise self.refused(key, answer) from answer

    def copy(
        self,
        source: ObjectFacts,
        copy_source: Arguments,
        key: str,
    ) -> tuple[Checksum, ...]:
        """Copy an object in one request, where there is none yet.

        Returns
        -------
        tuple of Checksum
            Those of the copy.

        Raises
        ------
        S3Answer
            The caller judges, for it knows the source.
        """
        with answers(f"CopyObject to {self.uri(key)}"):
            answer = self.client.copy_object(
                Key=key,
                **copy_source,
                **self.owned,
                **self.described(source, []),
                **self.encrypted,
                **ONLY_IF_ABSENT,
                MetadataDirective="REPLACE",
                # To copy no tags needs no permission to read and to write tags. Annotations would be copied
                # unless excluded, with permissions that no role has; parts never bring them along.
                # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
                TaggingDirective="COPY" if source.tag_count else "REPLACE",
                **_NO_ANNOTATIONS,
                ChecksumAlgorithm=cast("Any", algorithm_for(source)),
            )
        return checksums(answer["CopyObjectResult"])

    def put(
        self,
        source: ObjectFacts,
        body: bytearray,
        key: str,
        tags: list[dict[str, str]],
    ) -> tuple[Checksum, ...]:
        """Write an object in one request, where there is none yet.

        S3 refuses bytes that do not have the source's checksum.
        """
        known: Arguments = {f"Checksum{c.algorithm}": c.value for c in source.checksums[:1]}
        with answers(f"PutObject to {self.uri(key)}"):
            answer = self.client.put_object(
                Key=key,
                Body=cast("bytes", body),
                ContentMD5=md5(body),
                **self.owned,
                **self.described(source, tags),
                **self.encrypted,
                **ONLY_IF_ABSENT,
                **known,
            )
        return checksums(answer)

    def write(self, source: ObjectFacts, body: bytes, key: str) -> None:
        """Write an object that was rewritten, described as its source was, where there is none yet.

        Raises
        ------
        Unmet
            There is one.
        """
        try:
            with answers(f"PutObject to {self.uri(key)}"):
                self.client.put_object(
                    Key=key,
                    Body=body,
                    ContentMD5=md5(body),
                    **self.owned,
                    **self.described(source, []),
                    **self.encrypted,
                    **ONLY_IF_ABSENT,
                )
        except Unmet:
            raise
        except S3Answer as answer:
            raise self.refused(key, answer) from answer

    def read(self, copy: ObjectFacts, part: Part | None) -> Iterator[bytes]:
        """Read a range of a copy, or all of it."""
        wanted: Arguments = {"Range": part.range} if part else {}
        try:
            with answers(f"GetObject of {self.uri(copy.key)}"):
                body = self.client.get_object(Key=copy.key, IfMatch=f'"{copy.etag}"', **wanted, **self.owned)[
                    "Body"
                ]
                with body:
                    yield from body.iter_chunks(1024 * 1024)
        except S3Answer as answer:
            raise self.refused(copy.key, answer) from answer

    def refused(self, key: str, answer: S3Answer) -> PermanentError:
        """Say that the hub's own bucket or key does not let the copy role do its work."""
        if isinstance(answer, Denied):
            return PermanentError(
                ErrorCode.HUB_ACCESS_DENIED,
                f"the hub's copy role may not write {self.uri(key)}, or {self.owned['ExpectedBucketOwner']} "
                f"does not own the bucket, or the role may not use the hub's key. Deploy the hub's stack "
                f"again, then redrive. S3 says: {answer}",
            )
        if answer.code.startswith(KMS):
            return PermanentError(
                ErrorCode.HUB_REFUSED,
                f"{self.uri(key)} cannot be encrypted or decrypted with the hub's key {self.key_arn}. Enable the key, "
                f"or cancel its deletion, then redrive. S3 says: {answer}",
            )
        if answer.code == "400":
            return PermanentError(
                ErrorCode.HUB_REFUSED,
                f"S3 does not describe {self.uri(key)}: it answers HeadObject with 400 Bad Request, without a reason. "
                f"Most likely the hub's key {self.key_arn} is disabled or is to be deleted: enable it, or cancel its "
                f"deletion, then redrive.",
            )
        return PermanentError(
            ErrorCode.HUB_REFUSED, f"the hub's bucket did not take {self.uri(key)}. S3 says: {answer}"
        )

    def described(self, source: ObjectFacts, tags: list[dict[str, str]]) -> Arguments:
        """Give the arguments that describe a copy as its source was described, and pin it."""
        described: Arguments = {**source.headers, "Metadata": source.metadata_of_copy()}
        if tags:
            described["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
        return described


def md5(body: bytes | bytearray) -> str:
    """Give the Content-MD5 of a body: S3 refuses other bytes."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
