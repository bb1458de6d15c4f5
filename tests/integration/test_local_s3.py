"""The local S3 keeps to what Amazon S3 documents; each test names the page that it follows."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.faults import Fault
from tests.integration.artifact_world import (
    HUB,
    HUB_BUCKET,
    KIB,
    SPOKE,
    SPOKE_BUCKET,
    STRANGER,
    World,
    emptied,
    make_key,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY = hashlib.shake_256(b"an object").digest(10 * KIB)
SOURCE: Any = {"Bucket": SPOKE_BUCKET, "Key": "key"}
TARGET: Any = {"Bucket": HUB_BUCKET, "Key": "copy"}


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with serving() as world:
        yield world


@pytest.fixture
def aws(running: World) -> World:
    world = emptied(running)
    world.put("key", BODY)
    return world


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def upload(aws: World, **more: Any) -> dict[str, Any]:
    answer = aws.hub.create_multipart_upload(**TARGET, **more)
    return {**TARGET, "UploadId": answer["UploadId"]}


def completed(aws: World, target: dict[str, Any], parts: dict[int, str], **more: Any) -> Any:
    named = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(parts.items())]
    return aws.hub.complete_multipart_upload(**target, MultipartUpload={"Parts": named}, **more)  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "operation", ["head_object", "get_object", "list_objects_v2", "head_bucket", "list_multipart_uploads"]
)
def test_another_owner_than_expected_is_403(aws: World, operation: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html."""
    about = SOURCE if "object" in operation and "list" not in operation else {"Bucket": SPOKE_BUCKET}
    call = getattr(aws.hub, operation)
    status, code = refusal(lambda: call(**about, ExpectedBucketOwner=HUB))
    assert (status, code) == (403, "403" if operation.startswith("head") else "AccessDenied")
    assert call(**about, ExpectedBucketOwner=SPOKE)


def test_another_owner_than_expected_is_not_written_to(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html."""
    put = lambda: aws.hub.put_object(**TARGET, Body=b"x", ExpectedBucketOwner=SPOKE)  # noqa: E731
    assert refusal(put) == (403, "AccessDenied")
    begin = lambda: aws.hub.create_multipart_upload(**TARGET, ExpectedBucketOwner=SPOKE)  # noqa: E731
    assert refusal(begin) == (403, "AccessDenied")
    assert aws.listed() == []


def test_another_owner_of_the_source_is_403(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html, x-amz-source-expected-bucket-owner."""
    wrong: Any = {"CopySource": SOURCE, "ExpectedSourceBucketOwner": STRANGER}
    assert refusal(lambda: aws.hub.copy_object(**TARGET, **wrong)) == (403, "AccessDenied")
    target = upload(aws)
    part = lambda: aws.hub.upload_part_copy(**target, PartNumber=1, **wrong)  # noqa: E731
    assert refusal(part) == (403, "AccessDenied")
    aws.hub.copy_object(**TARGET, CopySource=SOURCE, ExpectedSourceBucketOwner=SPOKE)


def test_a_source_with_another_etag_is_412(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html, x-amz-copy-source-if-match."""
    wrong: Any = {"CopySource": SOURCE, "CopySourceIfMatch": '"00000000000000000000000000000000"'}
    assert refusal(lambda: aws.hub.copy_object(**TARGET, **wrong)) == (412, "PreconditionFailed")
    target = upload(aws)
    part = lambda: aws.hub.upload_part_copy(**target, PartNumber=1, **wrong)  # noqa: E731
    assert refusal(part) == (412, "PreconditionFailed")
    right = aws.spoke.head_object(**SOURCE)["ETag"]
    for spelling in (right, right.strip('"')):
        aws.hub.copy_object(**TARGET, CopySource=SOURCE, CopySourceIfMatch=spelling)


def test_if_none_match_keeps_what_is_there(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html."""
    target = upload(aws)
    part = aws.hub.upload_part_copy(**target, PartNumber=1, CopySource=SOURCE)["CopyPartResult"]["ETag"]
    aws.hub.put_object(**TARGET, Body=b"first")
    copy = lambda: aws.hub.copy_object(**TARGET, CopySource=SOURCE, IfNoneMatch="*")  # noqa: E731
    assert refusal(copy) == (412, "PreconditionFailed")
    complete = lambda: completed(aws, target, {1: part}, IfNoneMatch="*")  # noqa: E731
    assert refusal(complete) == (412, "PreconditionFailed")
    assert aws.hub.get_object(**TARGET)["Body"].read() == b"first"


def test_a_source_that_is_too_large_for_one_copy(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html: up to 5 GB, here 9 KiB."""
    aws.rules.largest_copy = 9 * KIB
    assert refusal(lambda: aws.hub.copy_object(**TARGET, CopySource=SOURCE)) == (400, "InvalidRequest")
    target = upload(aws)
    whole = lambda: aws.hub.upload_part_copy(**target, PartNumber=1, CopySource=SOURCE)  # noqa: E731
    assert refusal(whole) == (400, "InvalidRequest")
    aws.hub.upload_part_copy(**target, PartNumber=1, CopySource=SOURCE, CopySourceRange="bytes=0-9215")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("bytes=0-10240", "InvalidArgument"),
        ("bytes=10240-10250", "InvalidRequest"),
        ("bytes=9-8", "InvalidArgument"),
    ],
)
def test_a_range_outside_the_source(aws: World, wanted: str, code: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html, x-amz-copy-source-range."""
    target = upload(aws)
    call = lambda: aws.hub.upload_part_copy(  # noqa: E731
        **target, PartNumber=1, CopySource=SOURCE, CopySourceRange=wanted
    )
    assert refusal(call) == (400, code)


def test_a_part_that_is_too_small(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html: 5 MiB but for the last, here 4 KiB."""
    aws.rules.smallest_part = 4 * KIB
    target = upload(aws)
    etags = {
        number: aws.hub.upload_part(**target, PartNumber=number, Body=BODY[: 3 * KIB])["ETag"]
        for number in (1, 2)
    }
    assert refusal(lambda: completed(aws, target, etags)) == (400, "EntityTooSmall")
    aws.rules.smallest_part = 3 * KIB
    completed(aws, target, etags)


def test_a_missing_source_of_a_part_is_named(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, NoSuchKey."""
    target = upload(aws)
    gone: Any = {"Bucket": SPOKE_BUCKET, "Key": "nowhere"}
    call = lambda: aws.hub.upload_part_copy(**target, PartNumber=1, CopySource=gone)  # noqa: E731
    assert refusal(call) == (404, "NoSuchKey")


def test_tags_are_copied_between_accounts_unless_they_are_replaced(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html, x-amz-tagging-directive."""
    aws.put("key", BODY, Tagging="team=risk")
    aws.hub.copy_object(**TARGET, CopySource=SOURCE)
    assert aws.hub.get_object_tagging(**TARGET)["TagSet"] == [{"Key": "team", "Value": "risk"}]
    aws.hub.copy_object(**TARGET, CopySource=SOURCE, TaggingDirective="REPLACE")
    assert aws.hub.get_object_tagging(**TARGET)["TagSet"] == []
    assert aws.hub.get_object_tagging(**SOURCE)["TagSet"] == [{"Key": "team", "Value": "risk"}]


def test_every_new_object_has_a_crc64nvme(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html."""
    source = aws.spoke.head_object(**SOURCE, ChecksumMode="ENABLED")
    assert source["ChecksumType"] == "FULL_OBJECT"
    value = source["ChecksumCRC64NVME"]
    assert aws.spoke.put_object(**SOURCE, Body=BODY)["ChecksumCRC64NVME"] == value
    answer = aws.hub.copy_object(**TARGET, CopySource=SOURCE)["CopyObjectResult"]
    assert answer["ChecksumCRC64NVME"] == value
    target = upload(aws)
    parts = {
        number: aws.hub.upload_part_copy(
            **target, PartNumber=number, CopySource=SOURCE, CopySourceRange=f"bytes={first}-{first + 5119}"
        )["CopyPartResult"]["ETag"]
        for number, first in ((1, 0), (2, 5120))
    }
    done = completed(aws, target, parts)
    assert (done["ChecksumCRC64NVME"], done["ChecksumType"]) == (value, "FULL_OBJECT")
    copy = aws.hub.head_object(**TARGET, ChecksumMode="ENABLED")
    assert (copy["ChecksumCRC64NVME"], copy["ChecksumType"]) == (value, "FULL_OBJECT")
    assert copy["Metadata"] == {}
    assert "ChecksumCRC64NVME" not in aws.hub.head_object(**TARGET)


def test_a_composite_checksum_says_so(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html."""
    target = upload(aws, ChecksumAlgorithm="SHA256", ChecksumType="COMPOSITE")
    part = aws.hub.upload_part(**target, PartNumber=1, Body=BODY, ChecksumAlgorithm="SHA256")
    named: Any = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    aws.hub.complete_multipart_upload(**target, MultipartUpload={"Parts": named})
    head = aws.hub.head_object(**TARGET, ChecksumMode="ENABLED")
    assert head["ChecksumType"] == "COMPOSITE"
    assert head["ChecksumSHA256"].endswith("-1")


def test_bytes_that_do_not_match_what_came_with_them_are_refused(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, BadDigest."""
    wrong = base64.b64encode(bytes(16)).decode()
    zero = base64.b64encode(bytes(8)).decode()
    with_md5 = lambda: aws.hub.put_object(**TARGET, Body=BODY, ContentMD5=wrong)  # noqa: E731
    assert refusal(with_md5) == (400, "BadDigest")
    with_crc = lambda: aws.hub.put_object(**TARGET, Body=BODY, ChecksumCRC64NVME=zero)  # noqa: E731
    assert refusal(with_crc) == (400, "BadDigest")
    target = upload(aws)
    part = lambda: aws.hub.upload_part(**target, PartNumber=1, Body=BODY, ContentMD5=wrong)  # noqa: E731
    assert refusal(part) == (400, "BadDigest")
    assert aws.listed() == []


def test_completion_compares_size_and_checksum_first(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html, x-amz-mp-object-size."""
    target = upload(aws, ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT")
    etag = aws.hub.upload_part(**target, PartNumber=1, Body=BODY)["ETag"]
    wrong_size = lambda: completed(aws, target, {1: etag}, MpuObjectSize=len(BODY) + 1)  # noqa: E731
    assert refusal(wrong_size) == (400, "InvalidRequest")
    zero = base64.b64encode(bytes(8)).decode()
    wrong_sum = lambda: completed(aws, target, {1: etag}, ChecksumCRC64NVME=zero)  # noqa: E731
    assert refusal(wrong_sum) == (400, "BadDigest")
    assert aws.listed() == []
    completed(aws, target, {1: etag}, MpuObjectSize=len(BODY))


def test_an_upload_that_is_gone(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html, NoSuchUpload."""
    target = upload(aws)
    etag = aws.hub.upload_part(**target, PartNumber=1, Body=BODY)["ETag"]
    aws.hub.abort_multipart_upload(**target)
    for call in (
        lambda: aws.hub.upload_part(**target, PartNumber=2, Body=BODY),
        lambda: aws.hub.upload_part_copy(**target, PartNumber=2, CopySource=SOURCE),
        lambda: aws.hub.list_parts(**target),
        lambda: completed(aws, target, {1: etag}),
    ):
        assert refusal(call) == (404, "NoSuchUpload")


def test_parts_are_listed_by_their_numbers(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html, part-number-marker."""
    target = upload(aws)
    for number in (2, 5, 9):
        aws.hub.upload_part(**target, PartNumber=number, Body=b"x")
    first = aws.hub.list_parts(**target, MaxParts=2)
    assert [part["PartNumber"] for part in first["Parts"]] == [2, 5]
    assert first["IsTruncated"]
    rest = aws.hub.list_parts(**target, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in rest["Parts"]] == [9]
    assert not rest["IsTruncated"]


def test_a_part_names_the_version_it_was_copied_from(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html, x-amz-copy-source-version-id."""
    aws.spoke.put_bucket_versioning(Bucket=SPOKE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    version = aws.spoke.put_object(**SOURCE, Body=BODY)["VersionId"]
    answer = aws.hub.upload_part_copy(**upload(aws), PartNumber=1, CopySource=SOURCE)
    assert answer["CopySourceVersionId"] == version


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_described_but_not_read(aws: World, storage_class: str) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, InvalidObjectState."""
    aws.put("key", BODY, StorageClass=storage_class)
    assert aws.hub.head_object(**SOURCE)["StorageClass"] == storage_class
    assert refusal(lambda: aws.spoke.get_object(**SOURCE)) == (403, "InvalidObjectState")
    part = lambda: aws.hub.upload_part_copy(**upload(aws), PartNumber=1, CopySource=SOURCE)  # noqa: E731
    assert refusal(part) == (403, "InvalidObjectState")
    copy = lambda: aws.hub.copy_object(**TARGET, CopySource=SOURCE)  # noqa: E731
    assert refusal(copy) == (403, "ObjectNotInActiveTierError")


def test_the_managed_key_is_for_its_own_account(aws: World) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#aws-managed-cmk."""
    aws.put("key", BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
    assert aws.spoke.get_object(**SOURCE)["Body"].read() == BODY
    assert aws.hub.head_object(**SOURCE)["ContentLength"] == len(BODY)
    assert refusal(lambda: aws.hub.head_object(**SOURCE, ChecksumMode="ENABLED")) == (403, "403")
    assert refusal(lambda: aws.hub.get_object(**SOURCE)) == (403, "AccessDenied")
    assert refusal(lambda: aws.hub.copy_object(**TARGET, CopySource=SOURCE)) == (403, "AccessDenied")
    customers = make_key(SPOKE)
    aws.put("key", BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=customers)
    assert aws.hub.get_object(**SOURCE)["Body"].read() == BODY


def test_a_denied_account_cannot_read_a_bucket(aws: World) -> None:
    """The hook for tests that have no IAM in front of the server."""
    aws.rules.denied.add((SPOKE_BUCKET, HUB))
    for call in (
        lambda: aws.hub.get_object(**SOURCE),
        lambda: aws.hub.list_objects_v2(Bucket=SPOKE_BUCKET),
        lambda: aws.hub.copy_object(**TARGET, CopySource=SOURCE),
    ):
        assert refusal(call) == (403, "AccessDenied")
    assert aws.spoke.get_object(**SOURCE)["Body"].read() == BODY


def test_faults_fail_the_chosen_requests_and_log_all(aws: World) -> None:
    aws.faults.clear()
    aws.faults.add(
        Fault(operation="GetObject", path="key", after=1, times=1, status=403, code="AccessDenied")
    )
    aws.spoke.get_object(**SOURCE)
    assert refusal(lambda: aws.spoke.get_object(**SOURCE)) == (403, "AccessDenied")
    aws.spoke.get_object(**SOURCE)
    aws.spoke.head_object(**SOURCE)
    assert [request.operation for request in aws.faults.log] == ["GetObject"] * 3 + ["HeadObject"]
    assert aws.faults.log[0].path == f"/{SPOKE_BUCKET}/key"


def test_open_uploads_are_listed_in_pages(aws: World) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html: by key, then by time."""
    named = {"Bucket": HUB_BUCKET}
    begun = [
        (key, aws.hub.create_multipart_upload(**named, Key=key)["UploadId"])  # type: ignore[arg-type]
        for key in ("c", "a", "b", "b", "b")
    ]
    listed: list[tuple[str, str]] = []
    pages, more = 0, dict[str, Any]()
    while True:
        answer = aws.hub.list_multipart_uploads(**named, MaxUploads=2, **more)  # type: ignore[arg-type]
        listed += [(each["Key"], each["UploadId"]) for each in answer["Uploads"]]
        pages += 1
        if not answer["IsTruncated"]:
            break
        more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}
    assert pages == 3
    assert listed == sorted(begun, key=lambda each: each[0])
    after_b = aws.hub.list_multipart_uploads(**named, KeyMarker="b")  # type: ignore[arg-type]
    assert [each["Key"] for each in after_b["Uploads"]] == ["c"]
