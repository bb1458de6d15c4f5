"""Conditions of S3: on what is read and written, on the source of a copy, and on a completion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

UPLOADS = "s3/multipart-preconditions.json"
PUTS = "s3/put-preconditions.json"
COPIES = "s3/copy-preconditions.json"
KEY = "test-precondition"
DAY = timedelta(days=1)


class Uploading:
    """Begins uploads of the key and completes them."""

    def __init__(self, replay: Replay, s3: Any, bucket: str) -> None:
        self.replay, self.s3, self.about = replay, s3, {"Bucket": bucket, "Key": KEY}

    def begin(self, key: str | None = None, body: bytes = b"test") -> dict[str, Any]:
        create: Callable[[], Any] = lambda: self.s3.create_multipart_upload(**self.about)  # noqa: E731
        begun = self.replay(key, create) if key else create()
        target = {**self.about, "UploadId": begun["UploadId"]}
        etag = self.s3.upload_part(**target, PartNumber=1, Body=body)["ETag"]
        return {**target, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}

    def complete(self, key: str, upload: dict[str, Any], **condition: str) -> Any:
        return self.replay(key, lambda: self.s3.complete_multipart_upload(**upload, **condition))

    def put(self, key: str, body: bytes = b"", **more: Any) -> str:
        return str(self.replay(key, lambda: self.s3.put_object(**self.about, Body=body, **more))["ETag"])

    def delete(self, key: str) -> None:
        self.replay(key, lambda: self.s3.delete_object(**self.about))


@replays(UPLOADS, "test_multipart_if_none_match_with_delete")
def test_a_deletion_during_the_upload(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    it.put("put-obj", IfNoneMatch="*")
    upload = it.begin("create-multipart")
    it.complete("complete-multipart-if-none-match", upload, IfNoneMatch="*")
    it.delete("del-obj")
    it.complete("complete-multipart-after-del", upload, IfNoneMatch="*")
    it.complete("complete-multipart-after-del-restart", it.begin(), IfNoneMatch="*")


@replays(UPLOADS, "test_multipart_if_none_match_with_put")
def test_a_write_during_the_upload(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    upload = it.begin("create-multipart")
    it.put("put-obj")
    it.complete("complete-multipart-if-none-match-put-during", upload, IfNoneMatch="*")


@replays(UPLOADS, "test_multipart_if_match_with_put")
def test_if_match_and_a_write_during_the_upload(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    before = it.put("put-obj", b"test")
    upload = it.begin("create-multipart")
    during = it.put("put-obj-during", b"test2")
    it.complete("complete-multipart-if-match-put-before", upload, IfMatch=before)
    it.complete("complete-multipart-if-match-put-during", upload, IfMatch=during)
    upload = it.begin("create-multipart-again")
    it.complete("complete-multipart-if-match-put-before-restart", upload, IfMatch=during)


@replays(UPLOADS, "test_multipart_if_match_with_delete")
def test_if_match_and_a_deletion_during_the_upload(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    etag = it.put("put-obj", b"test")
    upload = it.begin("create-multipart")
    it.delete("del-obj")
    it.complete("complete-multipart-after-del", upload, IfMatch=etag)
    it.put("put-obj-2", b"test")
    it.complete("complete-multipart-if-match-after-put", upload, IfMatch=etag)


@replays(UPLOADS, "test_multipart_if_match_etag")
def test_if_match_with_the_etag_of_an_upload(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    etag = it.put("put-obj", b"test")
    done = it.complete("complete-multipart-if-match", it.begin("create-multipart"), IfMatch=etag)
    upload = it.begin("create-multipart-overwrite")
    it.complete("complete-multipart-if-match-true-etag", upload, IfMatch=etag)
    it.complete("complete-multipart-if-match-overwrite-multipart", upload, IfMatch=done["ETag"])


@replays(PUTS, "test_put_object_if_none_match")
def test_put_if_none_match(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    it.put("put-obj", IfNoneMatch="*")
    replay("put-obj-if-none-match", lambda: s3.put_object(**it.about, IfNoneMatch="*"))
    it.delete("del-obj")
    it.put("put-obj-after-del", IfNoneMatch="*")


@replays(PUTS, "test_put_object_if_none_match_versioned_bucket")
def test_put_if_none_match_with_versions(replay: Replay, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    it = Uploading(replay, s3, bucket)
    it.put("put-obj", IfNoneMatch="*")
    replay("put-obj-if-none-match", lambda: s3.put_object(**it.about, IfNoneMatch="*"))
    it.delete("del-obj")
    it.put("put-obj-after-del", IfNoneMatch="*")
    replay("list-object-versions", lambda: s3.list_object_versions(Bucket=bucket))


@replays(PUTS, "test_put_object_if_none_match_validation")
def test_put_with_another_condition(replay: Replay, s3: Any, bucket: str) -> None:
    it = Uploading(replay, s3, bucket)
    etag = it.put("put-obj")
    replay("put-obj-if-none-match-bad-value", lambda: s3.put_object(**it.about, IfNoneMatch=etag))


@replays(
    PUTS, "test_s3_get_object_preconditions[get_object]", "test_s3_get_object_preconditions[head_object]"
)
def test_conditions_of_a_reader(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-object"}
    etag = s3.put_object(**about, Body=b"data")["ETag"]
    written = s3.head_object(**about)["LastModified"]
    call = getattr(s3, replay.recording.name.partition("[")[2].rstrip("]"))
    now = datetime.now(UTC)
    conditions: dict[str, dict[str, Any]] = {
        "precondition-if-match": {
            "IfModifiedSince": now, "IfUnmodifiedSince": now - DAY, "IfMatch": "etag123", "IfNoneMatch": etag,
        },
        "precondition-if-unmodified-since": {
            "IfModifiedSince": now, "IfUnmodifiedSince": now - DAY, "IfNoneMatch": etag,
        },
        "precondition-if-none-match": {"IfModifiedSince": now, "IfNoneMatch": etag},
        "copy-precondition-if-modified-since": {"IfModifiedSince": now},
        "obj-ignore-future-modified-since": {"IfModifiedSince": now + DAY},
        "etag-missing-quotes": {"IfNoneMatch": etag.strip('"')},
        "precondition-if-unmodified-since-is-object": {"IfUnmodifiedSince": written},
        "precondition-if-modified-since-is-object": {"IfModifiedSince": written},
        "obj-success": {
            "IfMatch": etag, "IfNoneMatch": "etag123", "IfModifiedSince": now - DAY, "IfUnmodifiedSince": now,
        },
    }  # fmt: skip
    for key, more in conditions.items():
        replay(key, partial(call, **about, **more))


def source_of(s3: Any, bucket: str, body: bytes = b"source content") -> tuple[dict[str, str], str]:
    source = {"Bucket": bucket, "Key": "source-object"}
    return source, s3.put_object(**source, Body=body)["ETag"]


@replays(COPIES, "test_s3_copy_object_preconditions")
def test_conditions_on_the_source_of_a_copy(replay: Replay, s3: Any, bucket: str) -> None:
    source, etag = source_of(s3, bucket, b"data")
    replay("head-object", lambda: s3.head_object(**source))
    now = datetime.now(UTC)
    old: dict[str, Any] = {"CopySourceIfUnmodifiedSince": now - DAY}
    modified, same = {"CopySourceIfModifiedSince": now}, {"CopySourceIfNoneMatch": etag}
    conditions: dict[str, dict[str, Any]] = {
        "copy-precondition-if-match": {**modified, **old, **same, "CopySourceIfMatch": "etag123"},
        "copy-precondition-if-unmodified-since": {**modified, **old, **same},
        "copy-precondition-if-none-match": {**modified, **same},
        "copy-precondition-if-modified-since": modified,
        "copy-ignore-future-modified-since": {"CopySourceIfModifiedSince": now + DAY},
        "copy-etag-missing-quotes": {"CopySourceIfNoneMatch": etag.strip('"')},
        "copy-success": {
            "CopySourceIfMatch": etag.strip('"'),
            "CopySourceIfNoneMatch": "etag123",
            "CopySourceIfModifiedSince": now - DAY,
            "CopySourceIfUnmodifiedSince": now,
        },
    }
    target = {"Bucket": bucket, "Key": "dest-object", "CopySource": source}
    for key, more in conditions.items():
        replay(key, partial(s3.copy_object, **target, **more))


@replays(COPIES, "test_copy_object_if_none_match")
def test_copy_if_none_match(replay: Replay, s3: Any, bucket: str) -> None:
    source, _ = source_of(s3, bucket)
    target = {"Bucket": bucket, "Key": "dest-object", "CopySource": source}
    for key in replay.recording.content:
        if key.startswith("del"):
            replay(key, lambda: s3.delete_object(Bucket=bucket, Key="dest-object"))
        else:
            replay(key, lambda: s3.copy_object(**target, IfNoneMatch="*"))


@replays(COPIES, "test_copy_object_if_none_match_versioned_bucket")
def test_copy_if_none_match_with_versions(replay: Replay, s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    source, _ = source_of(s3, bucket)
    target = {"Bucket": bucket, "Key": "dest-object", "CopySource": source}
    for key in ("copy-obj", "copy-obj-if-none-match-fail"):
        replay(key, lambda: s3.copy_object(**target, IfNoneMatch="*"))
    replay("del-obj", lambda: s3.delete_object(Bucket=bucket, Key="dest-object"))
    replay("copy-obj-after-del", lambda: s3.copy_object(**target, IfNoneMatch="*"))
    replay("list-object-versions", lambda: s3.list_object_versions(Bucket=bucket))


@replays(COPIES, "test_copy_object_if_match")
def test_copy_if_match(replay: Replay, s3: Any, bucket: str) -> None:
    source, _ = source_of(s3, bucket)
    etag = s3.put_object(Bucket=bucket, Key="dest-object", Body=b"destination")["ETag"]
    about = {"Bucket": bucket, "CopySource": source}
    for key, more in {
        "copy-obj-if-match": {"Key": "dest-object", "IfMatch": etag},
        "copy-obj-if-match-fail-wrong-etag": {"Key": "dest-object", "IfMatch": '"wrong-etag"'},
        "copy-obj-if-match-fail-no-object": {"Key": "non-existent-key", "IfMatch": etag},
    }.items():
        replay(key, partial(s3.copy_object, **about, **more))


@replays(COPIES, "test_copy_object_precondition_write_validation")
def test_copy_with_other_conditions(replay: Replay, s3: Any, bucket: str) -> None:
    source, etag = source_of(s3, bucket)
    target = {"Bucket": bucket, "Key": "dest-object", "CopySource": source}
    for key, more in {
        "copy-obj-none-match-etag": {"IfNoneMatch": etag},
        "copy-obj-if-match-star": {"IfMatch": "*"},
        "copy-obj-both": {"IfMatch": etag, "IfNoneMatch": "*"},
    }.items():
        replay(key, partial(s3.copy_object, **target, **more))


@replays(COPIES, "test_copy_object_if_none_match_in_place")
def test_copy_in_place_if_none_match(replay: Replay, s3: Any, bucket: str) -> None:
    source, _ = source_of(s3, bucket)
    more = {**source, "CopySource": source, "MetadataDirective": "REPLACE", "IfNoneMatch": "*"}
    replay("copy-obj-if-none-match-fail", lambda: s3.copy_object(**more))


BEFORE_DEFAULTS = "recorded in 2023, before S3 gave every object a checksum (December 2024)"


@replays(
    COPIES,
    "test_s3_copy_object_src_not_exists",
    differing=[
        Differing("put-obj-versioned/Checksum*", BEFORE_DEFAULTS),
        Differing("copy-object-src-target-object-version/CopyObjectResult/Checksum*", BEFORE_DEFAULTS),
    ],
)
def test_a_source_that_is_not_there(replay: Replay, s3: Any, bucket: str) -> None:
    def copy(key: str, source: dict[str, str]) -> None:
        replay(key, lambda: s3.copy_object(Bucket=bucket, Key="copy", CopySource=source))

    source = {"Bucket": bucket, "Key": "random-src-key"}
    copy("copy-object-src-bucket-not-exists", {**source, "Bucket": f"{bucket}-none"})
    copy("copy-object-src-object-not-exists", source)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put = replay("put-obj-versioned", lambda: s3.put_object(**source))
    gone = replay("del-obj-versioned", lambda: s3.delete_object(**source))
    copy("copy-object-src-delete-marker-current-version", source)
    copy("copy-object-src-target-delete-marker", {**source, "VersionId": gone["VersionId"]})
    copy("copy-object-src-target-object-version", {**source, "VersionId": put["VersionId"]})


@replays(COPIES, "test_s3_copy_object_wrong_format")
def test_a_source_without_a_key(replay: Replay, s3: Any, bucket: str) -> None:
    more = {"Bucket": bucket, "Key": "copy", "CopySource": bucket}
    replay("copy-object-wrong-copy-source", lambda: s3.copy_object(**more))
