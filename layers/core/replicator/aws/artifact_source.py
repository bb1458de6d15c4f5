"""The spoke's side of an artifact copy: what is there, and reading it.

Two can read: the hub's copy role, where the bucket's policy lets it in, and the spoke's own read role.
Every call names the account that has to own the bucket.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Never

from botocore.exceptions import ClientError

from replicator.aws import artifact_refusals as refusals
from replicator.aws.artifact_calls import (
    Archived,
    Beyond,
    Denied,
    Missing,
    Refused,
    S3Answer,
    Unmet,
    answers,
    s3_client,
)
from replicator.aws.artifact_facts import ObjectFacts, facts, younger
from replicator.aws.artifact_listing import listed
from replicator.aws.sessions import Reads, spoke_role_arn
from replicator.errors import KMS, ErrorCode, PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3.client import S3Client

    from replicator.aws.artifact_listing import Entry
    from replicator.aws.sessions import Sessions
    from replicator.parts import Part

_CHUNK = 1024 * 1024


class Source:
    """A bucket of one spoke.

    Parameters
    ----------
    direct
        Client with the hub's copy role; the spoke's role is assumed when it is first needed.
    account
        The only account that may own the bucket.
    copy_role_arn, spoke_role_name
        The two readers.
    """

    def __init__(
        self,
        sessions: Sessions,
        direct: S3Client,
        *,
        bucket: str,
        account: str,
        copy_role_arn: str,
        spoke_role_name: str,
        streams: int,
    ) -> None:
        self._sessions = sessions
        self._direct = direct
        self.bucket = bucket
        self.account = account
        self._copy_role_arn = copy_role_arn
        self._spoke_role_name = spoke_role_name
        self._streams = streams
        self._direct_denied = False
        self._assumed: S3Client | None = None
        self._assuming = threading.Lock()

    def _spoke(self) -> S3Client:
        with self._assuming:
            if self._assumed is None:
                session = self._sessions.spoke(self.account, self._spoke_role_name, Reads.ARTIFACTS)
                self._assumed = s3_client(session, self._sessions.region, self._streams)
            return self._assumed

    def uri(self, key: str) -> str:
        """Spell the location of an object, for messages."""
        return f"s3://{self.bucket}/{key}"

    def head(self, key: str, etag: str | None = None, version_id: str | None = None) -> ObjectFacts:
        """Describe an object. Raises `PermanentError` when it is not there, not readable or not the same.

        Parameters
        ----------
        etag
            When it is given, the object must still have it.
        """
        pin: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag else {}
        if version_id:
            pin["VersionId"] = version_id

        def ask(client: S3Client) -> ObjectFacts:
            wanted: dict[str, Any] = {"Bucket": self.bucket, "Key": key, "ExpectedBucketOwner": self.account}
            try:
                answer = client.head_object(**wanted, **pin, ChecksumMode="ENABLED")
            except ClientError as error:
                if error.response["Error"]["Code"] == "400":
                    # HEAD cannot say why, for it has no body: a GET that is refused can.
                    client.get_object(**wanted, **pin)["Body"].close()
                raise
            return facts(key, answer, direct=client is self._direct)

        try:
            found = self._read("HeadObject", key, ask)
        except Missing as answer:
            if etag:
                self.changed(key, answer)
            raise self._missing(key) from answer
        except Unmet as answer:
            self.changed(key, answer)
        if found.archive:
            raise self._archived(key, found.archive)
        return found

    def pages(self, prefix: str, after: str = "") -> Iterator[list[Entry]]:
        """List all objects under a prefix, in pages and in the order of their keys, from after a key."""
        more: dict[str, Any] = {"StartAfter": after} if after else {}
        while True:

            def ask(client: S3Client, more: dict[str, Any] = more) -> Any:
                return client.list_objects_v2(
                    Bucket=self.bucket, Prefix=prefix, ExpectedBucketOwner=self.account, **more
                )

            try:
                page = self._read("ListObjectsV2", prefix, ask)
            except Missing as answer:
                raise self._missing(prefix) from answer
            yield listed(page)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def version_with(self, key: str, etag: str) -> str | None:
        """Find the version of an object that has this ETag, where the bucket keeps versions."""

        def ask(client: S3Client) -> str | None:
            pages = client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=key, ExpectedBucketOwner=self.account
            )
            for page in pages:
                for version in page.get("Versions", []):
                    same = version["Key"] == key and version["ETag"].strip('"') == etag
                    if same and version["VersionId"] != "null":
                        return version["VersionId"]
                if page.get("NextKeyMarker", key) > key:
                    break
            return None

        return self._look_for_version(key, ask)

    def version_at(self, key: str, time: str) -> str | None:
        """Find the version of an object that was the newest at a time, where the bucket keeps versions.

        Parameters
        ----------
        time
            ISO 8601.
        """

        def ask(client: S3Client) -> str | None:
            pages = client.get_paginator("list_object_versions").paginate(
                Bucket=self.bucket, Prefix=key, ExpectedBucketOwner=self.account
            )
            # The versions of a key come newest first:
            # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
            for page in pages:
                for version in page.get("Versions", []):
                    if version["Key"] == key and not younger(str(version["LastModified"]), time):
                        return version["VersionId"] if version["VersionId"] != "null" else None
                if page.get("NextKeyMarker", key) > key:
                    break
            return None

        return self._look_for_version(key, ask)

    def _look_for_version(self, key: str, ask: Callable[[S3Client], str | None]) -> str | None:
        try:
            return self._read("ListObjectVersions", key, ask)
        except (S3Answer, PermanentError):
            return None  # not allowed to look: then there is no such version for us

    def tags(self, source: ObjectFacts) -> list[dict[str, str]]:
        """Give the tags of an object: none when nobody may read them."""
        if not source.tag_count:
            return []
        version: dict[str, Any] = {"VersionId": source.version_id} if source.version_id else {}

        def ask(client: S3Client) -> Any:
            return client.get_object_tagging(
                Bucket=self.bucket, Key=source.key, ExpectedBucketOwner=self.account, **version
            )["TagSet"]

        try:
            tags: list[dict[str, str]] = self._read("GetObjectTagging", source.key, ask)
        except (S3Answer, PermanentError):
            return []
        return tags

    def read(self, source: ObjectFacts, part: Part | None, *, direct: bool = False) -> Iterator[bytes]:
        """Read a range of exactly the object that was described, about a megabyte at a time.

        Parameters
        ----------
        direct
            Whether to try the hub's copy role first.
        """
        wanted: dict[str, Any] = {"Range": part.range} if part else {}
        if source.version_id:
            wanted["VersionId"] = source.version_id

        def ask(client: S3Client) -> Any:
            return client.get_object(
                Bucket=self.bucket,
                Key=source.key,
                ExpectedBucketOwner=self.account,
                IfMatch=f'"{source.etag}"',
                **wanted,
            )["Body"]

        try:
            body = self._read("GetObject", source.key, ask, direct=direct)
        except (Missing, Unmet, Beyond) as answer:
            self.changed(source.key, answer)
        with answers(f"reading {self.uri(source.key)}"), body:
            yield from body.iter_chunks(_CHUNK)

    def copy_source(self, source: ObjectFacts) -> dict[str, Any]:
        """Give the arguments that name and pin the source in CopyObject and UploadPartCopy."""
        location = {"Bucket": self.bucket, "Key": source.key}
        if source.version_id:
            location["VersionId"] = source.version_id
        return {
            "CopySource": location,
            "CopySourceIfMatch": f'"{source.etag}"',
            "ExpectedSourceBucketOwner": self.account,
        }

    def _read[Answer](
        self, call: str, key: str, ask: Callable[[S3Client], Answer], *, direct: bool = True
    ) -> Answer:
        """Ask with the hub's copy role, and where that is denied with the spoke's read role."""
        what = f"{call} of {self.uri(key)}"
        try:
            if direct and not self._direct_denied:
                try:
                    with answers(what):
                        return ask(self._direct)
                except Denied:
                    # One page has been denied: do not ask again for each of the others.
                    self._direct_denied = call == "ListObjectsV2"
            with answers(what):
                return ask(self._spoke())
        except Denied as answer:
            raise self.denied(key, answer) from answer
        except Archived as answer:
            raise self._archived(key, str(answer)) from answer
        except Refused as answer:
            raise self._refused(what, key, answer) from answer

    def changed(self, key: str, answer: S3Answer | str) -> Never:
        """Say that the object is not the one that was registered or described."""
        raise refusals.changed(self.uri(key), str(answer)) from (
            answer if isinstance(answer, S3Answer) else None
        )

    def denied(self, key: str, answer: S3Answer) -> PermanentError:
        """Say who may not read, and what to grant: or that the bucket is somebody else's."""
        if self._is_somebody_elses():
            return refusals.owner_mismatch(self.uri(key), self.account)
        return refusals.denied(
            uri=self.uri(key),
            bucket_arn=f"arn:{self._sessions.partition}:s3:::{self.bucket}",
            account=self.account,
            copy_role=self._copy_role_arn,
            spoke_role=spoke_role_arn(self._sessions.partition, self.account, self._spoke_role_name),
            answer=str(answer),
        )

    def _is_somebody_elses(self) -> bool:
        """Tell another owner from a missing permission: S3 answers 403 to both.

        The only call without ``ExpectedBucketOwner``. It reads nothing but whether there is an answer.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        """
        for client in (self._direct, self._assumed):
            if client is None:
                continue
            try:
                with answers(f"HeadBucket of {self.bucket}"):
                    client.head_bucket(Bucket=self.bucket)
            except S3Answer:
                continue
            try:
                with answers(f"HeadBucket of {self.bucket}"):
                    client.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self.account)
            except Denied:
                return True
            except S3Answer:
                continue
        return False

    def _missing(self, key: str) -> PermanentError:
        return refusals.missing(self.uri(key))

    def _archived(self, key: str, storage_class: str) -> PermanentError:
        return refusals.archived(self.uri(key), storage_class, self.account)

    def _refused(self, what: str, key: str, answer: S3Answer) -> PermanentError:
        if answer.code == "NoSuchBucket":
            return self._missing(key)
        if answer.code == "400" or (answer.code == "InvalidRequest" and what.startswith("HeadObject")):
            return refusals.unexplained(self.uri(key), self.account, str(answer))
        if answer.code.startswith(KMS):
            return refusals.undecryptable(self.uri(key), str(answer))
        return PermanentError(ErrorCode.UNEXPECTED, f"{what}: S3 says: {answer}")
