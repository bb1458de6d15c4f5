"""Multipart uploads of S3: null mode, FULL_OBJECT and COMPOSITE."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

NULL_MODE = "s3/multipart-null-mode.json"
FULL_OBJECT = "s3/multipart-full-object.json"
COMPOSITE = "s3/multipart-composite.json"
PART_COPY = "s3/multipart-part-copy.json"
ANY_WRONG_PART = Differing(
    "complete-multipart-wrong-parts-checksum/Error/*",
    "all parts were wrong, and S3, which compares them side by side, named the last one; here it is the first",
)
ATTRIBUTES = ["Checksum", "ETag", "ObjectParts"]


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


def uploaded_in_three(
    replay: Replay, s3: Any, target: dict[str, Any], algorithm: str
) -> list[dict[str, Any]]:
    """Upload three parts and return what a completion may say of them."""
    parts = []
    for number, size in enumerate((5 * 1024 * 1024 + 1, 5 * 1024 * 1024 + 1, 10)):
        body = b"a" * size
        more = {**target, "PartNumber": number + 1, "Body": body, "ChecksumAlgorithm": algorithm}
        part = replay(f"upload-part-{number}", partial(s3.upload_part, **more))
        member = f"Checksum{algorithm}"
        parts.append({"PartNumber": number + 1, "ETag": part["ETag"], member: part[member]})
    replay("list-parts", lambda: s3.list_parts(**target))
    return parts


def look_at_result(replay: Replay, s3: Any, about: dict[str, Any]) -> None:
    """Read and copy what was uploaded in three parts."""
    read = s3.get_object(**about, ChecksumMode="ENABLED")
    assert len(read["Body"].read()) == 10485772
    replay("get-object-with-checksum", lambda: read)
    replay("head-object-with-checksum", lambda: s3.head_object(**about, ChecksumMode="ENABLED"))
    replay("get-object-attrs", lambda: s3.get_object_attributes(**about, ObjectAttributes=ATTRIBUTES))
    copy = {"Bucket": about["Bucket"], "Key": f"{about['Key']}-copy"}
    source = f"{about['Bucket']}/{about['Key']}"
    replay("copy-obj-checksum", lambda: s3.copy_object(**copy, CopySource=source))
    replay("get-copy-object-attrs", lambda: s3.get_object_attributes(**copy, ObjectAttributes=ATTRIBUTES))
    more = {**about, "PartNumber": 3, "ChecksumMode": "ENABLED"}
    replay("get-object-part-checksum", lambda: s3.get_object(**more))


def spoiled(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts, each with the checksum of another one."""
    checksum = next(name for name in parts[0] if name.startswith("Checksum"))
    wrong = [parts[2][checksum], parts[2][checksum], parts[0][checksum]]
    return [{**part, checksum: value} for part, value in zip(parts, wrong, strict=True)]


@replays(
    FULL_OBJECT,
    "test_complete_multipart_parts_checksum_full_object[CRC64NVME]",
    "test_complete_multipart_parts_checksum_full_object[CRC32C]",
)
def test_full_object(replay: Replay, s3: Any, bucket: str) -> None:
    complete_full_object(replay, s3, bucket)


@replays(FULL_OBJECT, "test_complete_multipart_parts_checksum_full_object[CRC32]", differing=[ANY_WRONG_PART])
def test_full_object_of_crc32(replay: Replay, s3: Any, bucket: str) -> None:
    complete_full_object(replay, s3, bucket)


def complete_full_object(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-multipart-checksum"}
    algorithm = replay.recording.content["create-mpu-checksum"]["ChecksumAlgorithm"]
    mode = {"ChecksumAlgorithm": algorithm, "ChecksumType": "FULL_OBJECT"}
    begun = replay("create-mpu-checksum", lambda: s3.create_multipart_upload(**about, **mode))
    target = {**about, "UploadId": begun["UploadId"]}
    parts = uploaded_in_three(replay, s3, target, algorithm)
    replay(
        "complete-multipart-wrong-parts-checksum",
        lambda: s3.complete_multipart_upload(**target, MultipartUpload={"Parts": spoiled(parts)}),
    )
    member = f"Checksum{algorithm}"
    value = replay.recording.content["complete-multipart-checksum"][member]
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    more = {"MultipartUpload": {"Parts": bare}, member: value, "ChecksumType": "FULL_OBJECT"}
    replay("complete-multipart-checksum", lambda: s3.complete_multipart_upload(**target, **more))
    look_at_result(replay, s3, about)


@replays(FULL_OBJECT, "test_complete_multipart_parts_checksum_full_object_default")
def test_full_object_by_default(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-multipart-checksum"}
    mode = {"ChecksumAlgorithm": "CRC64NVME"}
    begun = replay("create-mpu-checksum-crc64", lambda: s3.create_multipart_upload(**about, **mode))
    target = {**about, "UploadId": begun["UploadId"]}
    part = replay("upload-part", lambda: s3.upload_part(**target, PartNumber=1, Body=b"aaa", **mode))
    parts = named(1, part["ETag"], ChecksumCRC64NVME=part["ChecksumCRC64NVME"])
    replay(
        "complete-multipart-checksum", lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts)
    )
    read = s3.get_object(**about, ChecksumMode="ENABLED")
    assert read["Body"].read() == b"aaa"
    replay("get-object-with-checksum", lambda: read)
    replay("head-object-with-checksum", lambda: s3.head_object(**about, ChecksumMode="ENABLED"))
    replay("get-object-attrs", lambda: s3.get_object_attributes(**about, ObjectAttributes=ATTRIBUTES))


@replays(FULL_OBJECT, "test_multipart_parts_checksum_exceptions_full_object")
def test_refusals_of_full_object(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-multipart-checksum-exc"}
    full = {"ChecksumType": "FULL_OBJECT"}
    mode = {"ChecksumAlgorithm": "CRC32C", **full}
    replay("create-mpu-no-checksum-algo-with-type", lambda: s3.create_multipart_upload(**about, **full))
    begun = replay("create-mpu-checksum-crc32c", lambda: s3.create_multipart_upload(**about, **mode))
    target = {**about, "UploadId": begun["UploadId"]}
    replay("list-multiparts", lambda: s3.list_multipart_uploads(Bucket=bucket))
    send = {**target, "PartNumber": 1, "Body": b"abc", "ChecksumAlgorithm": "CRC32C"}
    part = replay("upload-part-no-checksum-ok", lambda: s3.upload_part(**send))
    right = part["ChecksumCRC32C"]
    parts = {"MultipartUpload": named(1, part["ETag"], ChecksumCRC32C=right)}
    bare = {"MultipartUpload": named(1, part["ETag"])}
    for key, more in {
        "complete-part-bad-checksum-type": {**parts, "ChecksumType": "COMPOSITE"},
        "complete-part-good-checksum-no-type": {**bare, "ChecksumCRC32C": f"{right}-1"},
        "complete-part-only-checksum-algo": {**bare, "ChecksumCRC32C": right},
        "complete-part-only-checksum-algo-diff": {**bare, "ChecksumCRC64NVME": "BeXKuz/B+us="},
        "complete-part-bad-checksum": {**bare, **full, "ChecksumCRC32C": "AAAAAA=="},
        "complete-part-bad-checksum-algo": {**bare, **full, "ChecksumCRC32": "AAAAAA=="},
        "complete-success": {**bare, **full, "ChecksumCRC32C": right},
    }.items():
        replay(key, partial(s3.complete_multipart_upload, **target, **more))
    begun = replay("create-mpu-with-checksum", lambda: s3.create_multipart_upload(**about, **mode))
    other = {**send, "UploadId": begun["UploadId"], "ChecksumAlgorithm": "CRC32"}
    replay("upload-part-different-checksum-exc", lambda: s3.upload_part(**other))


@replays(
    COMPOSITE,
    *(
        f"test_multipart_checksum_type_default_for_checksum[{algorithm}]"
        for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")
    ),
)
def test_types_by_default(replay: Replay, s3: Any, bucket: str) -> None:
    key = "create-mpu-default-checksum-type"
    about = {"Bucket": bucket, "Key": "test-multipart-checksum-default"}
    algorithm = replay.recording.content[key]["ChecksumAlgorithm"]
    replay(key, lambda: s3.create_multipart_upload(**about, ChecksumAlgorithm=algorithm))


@replays(
    COMPOSITE,
    *(
        f"test_multipart_checksum_type_compatibility[{kind}-{algorithm}]"
        for kind in ("COMPOSITE", "FULL_OBJECT")
        for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")
    ),
)
def test_types_that_go_together(replay: Replay, s3: Any, bucket: str) -> None:
    kind, _, algorithm = replay.recording.name.partition("[")[2].rstrip("]").partition("-")
    about = {"Bucket": bucket, "Key": "test-multipart-checksum-compat"}
    mode = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
    [key] = replay.recording.content
    replay(key, lambda: s3.create_multipart_upload(**about, **mode))


@replays(COMPOSITE, "test_complete_multipart_parts_checksum_composite[CRC32]")
def test_composite(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-multipart-checksum"}
    mode = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "COMPOSITE"}
    begun = replay("create-mpu-checksum", lambda: s3.create_multipart_upload(**about, **mode))
    target = {**about, "UploadId": begun["UploadId"]}
    parts = uploaded_in_three(replay, s3, target, "CRC32")
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    for key, these in {
        "complete-multipart-wrong-parts-checksum": spoiled(parts),
        "complete-multipart-no-checksum": bare,
        "complete-multipart-checksum": parts,
    }.items():
        more = {**target, "MultipartUpload": {"Parts": these}}
        replay(key, partial(s3.complete_multipart_upload, **more))
    look_at_result(replay, s3, about)


@replays(COMPOSITE, "test_multipart_parts_checksum_exceptions_composite")
def test_refusals_of_composite(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-multipart-checksum-exc"}
    for key, more in {
        "create-mpu-wrong-checksum-algo": {"ChecksumAlgorithm": "TEST"},
        "create-mpu-no-checksum-algo-with-type": {"ChecksumType": "COMPOSITE"},
    }.items():
        replay(key, partial(s3.create_multipart_upload, **about, **more))
    begun = replay(
        "create-mpu-composite-checksum",
        lambda: s3.create_multipart_upload(**about, ChecksumAlgorithm="CRC32"),
    )
    target = {**about, "UploadId": begun["UploadId"]}
    replay("list-multiparts", lambda: s3.list_multipart_uploads(Bucket=bucket))
    send = {**target, "PartNumber": 1, "Body": b"abc"}
    part = replay("upload-part-no-checksum-ok", lambda: s3.upload_part(**send))
    sha = named(1, part["ETag"], ChecksumSHA256="ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
    right = named(1, part["ETag"], ChecksumCRC32=part["ChecksumCRC32"])
    completions: dict[str, dict[str, Any]] = {
        "complete-part-with-checksum": {"MultipartUpload": sha},
        "complete-part-with-bad-checksum-type": {"MultipartUpload": right, "ChecksumType": "FULL_OBJECT"},
    }
    for key, asked in completions.items():
        replay(key, partial(s3.complete_multipart_upload, **target, **asked))
    begun = replay(
        "create-mpu-with-checksum",
        lambda: s3.create_multipart_upload(**about, ChecksumAlgorithm="SHA256"),
    )
    other = {**send, "UploadId": begun["UploadId"], "ChecksumAlgorithm": "CRC32"}
    replay("upload-part-different-checksum-exc", lambda: s3.upload_part(**other))


@replays(
    PART_COPY,
    "test_multipart_upload_part_copy_checksum[FULL_OBJECT]",
    "test_multipart_upload_part_copy_checksum[COMPOSITE]",
)
def test_checksum_of_a_copied_part(replay: Replay, s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    replay("put-object", lambda: s3.put_object(**source, Body=b"this is a part"))
    about = {"Bucket": bucket, "Key": "test-multipart-checksum"}
    kind = replay.recording.name.partition("[")[2].rstrip("]")
    mode = {"ChecksumAlgorithm": "CRC32C", "ChecksumType": kind}
    begun = replay("create-mpu-checksum-sha256", lambda: s3.create_multipart_upload(**about, **mode))
    target = {**about, "UploadId": begun["UploadId"]}
    part = replay("upload-part-copy", lambda: s3.upload_part_copy(**target, PartNumber=1, CopySource=source))
    replay("list-parts", lambda: s3.list_parts(**target))
    result = part["CopyPartResult"]
    parts = named(1, result["ETag"], ChecksumCRC32C=result["ChecksumCRC32C"])
    replay(
        "complete-multipart-checksum", lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts)
    )
    replay("get-object-with-checksum", lambda: s3.get_object(**about, ChecksumMode="ENABLED"))
    replay("head-object-with-checksum", lambda: s3.head_object(**about, ChecksumMode="ENABLED"))
    replay("get-object-attrs", lambda: s3.get_object_attributes(**about, ObjectAttributes=ATTRIBUTES))
