"""Multipart uploads of S3: null mode, FULL_OBJECT and COMPOSITE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.replay import Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

NULL_MODE = "s3/multipart-null-mode.json"


@pytest.fixture
def s3(client: Callable[[str], Any]) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any, fresh: Callable[[str], str]) -> str:
    name = fresh("recorded")
    s3.create_bucket(Bucket=name)
    return name


def named(number: int, etag: str, **checksum: str) -> dict[str, Any]:
    return {"Parts": [{"PartNumber": number, "ETag": etag, **checksum}]}


@replays(NULL_MODE, "test_complete_multipart_parts_checksum_default")
def test_null_mode(replay: Replay, s3: Any, bucket: str) -> None:
    key = "test-multipart-checksum"
    about = {"Bucket": bucket, "Key": key}
    begun = replay("create-mpu-no-checksum", lambda: s3.create_multipart_upload(**about))
    target = {**about, "UploadId": begun["UploadId"]}
    replay("list-multiparts", lambda: s3.list_multipart_uploads(Bucket=bucket))
    part = replay(
        "upload-part-different-checksum-than-default",
        lambda: s3.upload_part(**target, PartNumber=1, Body=b"aaa", ChecksumAlgorithm="CRC32C"),
    )
    replay("list-parts", lambda: s3.list_parts(**target))
    etag = part["ETag"]

    def complete(parts: dict[str, Any], **more: str) -> Callable[[], Any]:
        return lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts, **more)

    with_checksum = named(1, etag, ChecksumCRC32C=part["ChecksumCRC32C"])
    replay("complete-multipart-parts-checksum", complete(with_checksum))
    other = named(1, etag, ChecksumSHA256="l0CdoTkyWjEGcVnPA0aPYCGrLVD8cGnGo2p/RiYQqt8=")
    replay("complete-multipart-wrong-parts-checksum", complete(other))
    replay("complete-multipart-full-object-type", complete(named(1, etag), ChecksumType="FULL_OBJECT"))
    replay("complete-multipart-composite-type", complete(named(1, etag), ChecksumType="COMPOSITE"))
    replay("complete-multipart-checksum", complete(named(1, etag), ChecksumCRC32C="MzVIGw==-2"))
    read = s3.get_object(**about, ChecksumMode="ENABLED")
    assert read["Body"].read() == b"aaa"
    replay("get-object-with-checksum", lambda: read)
    replay("head-object-with-checksum", lambda: s3.head_object(**about, ChecksumMode="ENABLED"))
    wanted = ["Checksum", "ETag", "ObjectParts"]
    replay("get-object-attrs", lambda: s3.get_object_attributes(**about, ObjectAttributes=wanted))
    copy = {"Bucket": bucket, "Key": f"{key}-copy"}
    replay("copy-obj-checksum", lambda: s3.copy_object(**copy, CopySource=f"{bucket}/{key}"))
    replay("get-copy-object-attrs", lambda: s3.get_object_attributes(**copy, ObjectAttributes=wanted))


@replays(NULL_MODE, "test_multipart_size_validation")
def test_size_at_completion(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-multipart-size"}
    begun = replay("create-mpu", lambda: s3.create_multipart_upload(**about))
    target = {**about, "UploadId": begun["UploadId"]}
    etag = replay("upload-part", lambda: s3.upload_part(**target, PartNumber=1, Body=b"aaaa"))["ETag"]

    def complete(size: int) -> Callable[[], Any]:
        return lambda: s3.complete_multipart_upload(
            **target, MultipartUpload=named(1, etag), MpuObjectSize=size
        )

    replay("complete-multipart-wrong-size", complete(5))
    replay("complete-multipart-good-size", complete(4))
    replay(
        "get-object-attrs",
        lambda: s3.get_object_attributes(**about, ObjectAttributes=["ETag", "Checksum"]),
    )
