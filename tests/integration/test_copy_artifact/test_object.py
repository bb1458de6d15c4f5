"""Copying one object: server side, in parts, twice, and everything that can be wrong with its source."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from moto.s3.models import s3_backends

from local.faults import Fault, LoggedRequest
from replicator.aws.artifact_facts import PIN_KEY, digest
from replicator.errors import ErrorCode, PermanentError, RetryableError
from tests.integration.artifact_world import (
    COPY_ROLE,
    DESTINATION,
    HUB,
    HUB_BUCKET,
    KEY_ARN,
    KIB,
    SMALL,
    SPOKE,
    SPOKE_BUCKET,
    STRANGER,
    STRANGERS_BUCKET,
    World,
)

SMALL_BODY = b"a small model" * 100
LARGE_BODY = hashlib.shake_256(b"a large model").digest(500 * KIB)
"""Eight parts of 64 KiB, the last of them smaller."""


def refused(aws: World, uri: str, code: ErrorCode, **more: Any) -> str:
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, **more)
    assert caught.value.code == code, caught.value
    return caught.value.message


def test_a_small_object_is_copied_in_one_request_and_verified(aws: World) -> None:
    uri = aws.put("churn/model.tar.gz", SMALL_BODY)
    etag = hashlib.md5(SMALL_BODY).hexdigest()  # noqa: S324 - the ETag of S3

    result = aws.copied(uri)

    key = f"{DESTINATION}{digest([SPOKE_BUCKET, 'churn/model.tar.gz', etag])}/model.tar.gz"
    assert result.destination == f"s3://{HUB_BUCKET}/{key}"
    assert aws.bytes_at(result.destination) == SMALL_BODY
    assert (result.verified, result.method, result.bytes, result.objects) == (
        "CRC64NVME",
        "server-side",
        len(SMALL_BODY),
        1,
    )
    assert (result.uri, result.pin) == (uri, etag)
    head = aws.hub.head_object(Bucket=HUB_BUCKET, Key=key, ChecksumMode="ENABLED")
    assert result.checksum == f"CRC64NVME:{head['ChecksumCRC64NVME']}"
    assert head["SSEKMSKeyId"] == KEY_ARN
    assert head["Metadata"] == {PIN_KEY: etag}
    assert aws.faults.count("CopyObject") == 1
    assert aws.faults.count("GetObject") == 1  # the test's own


def test_a_large_object_is_copied_in_parts_and_verified(aws: World) -> None:
    uri = aws.put("model.tar.gz", LARGE_BODY)
    result = aws.copied(uri)
    assert aws.bytes_at(result.destination) == LARGE_BODY
    assert (result.verified, result.method) == ("CRC64NVME", "server-side")
    assert aws.faults.count("UploadPartCopy") == 8
    assert aws.open_uploads() == 0


def test_requests_for_parts_are_parts_and_six(aws: World) -> None:
    """A completion under a KMS key answers no checksum, so one of them is a HeadObject after it."""
    uri = aws.put("model.tar.gz", LARGE_BODY)
    aws.faults.clear()
    aws.copied(uri)
    assumed = sum(request.method == "POST" and request.path == "/" for request in aws.faults.log)
    assert assumed == 1
    assert len(aws.faults.log) - assumed <= 8 + 6
    assert not any(request.sent for request in aws.faults.log if request.method == "PUT")


def test_what_is_there_already_costs_two_requests(aws: World) -> None:
    uri = aws.put("model.tar.gz", LARGE_BODY)
    first = aws.copied(uri)
    aws.faults.clear()
    second = aws.copied(uri)
    assert second == first.model_copy(update={"method": "already there"})
    assert [request.operation for request in aws.faults.log if request.path != "/"] == ["HeadObject"] * 2


def test_every_call_names_the_owners_and_every_part_is_pinned(aws: World) -> None:
    for body in (SMALL_BODY, LARGE_BODY):
        uri = aws.put("model.tar.gz", body)
        aws.faults.clear()
        aws.copied(uri)
        for request in aws.faults.log:
            if request.path == "/":
                continue
            owner = HUB if HUB_BUCKET in request.path else SPOKE
            assert request.headers["x-amz-expected-bucket-owner"] == owner, request
            if "x-amz-copy-source" in request.headers:
                assert request.headers["x-amz-source-expected-bucket-owner"] == SPOKE
                assert request.headers["x-amz-copy-source-if-match"].strip('"')


def test_metadata_content_type_and_tags_travel_with_parts_too(aws: World) -> None:
    for body in (SMALL_BODY, LARGE_BODY):
        uri = aws.put(
            "model.tar.gz",
            body,
            ContentType="application/gzip",
            CacheControl="no-cache",
            Metadata={"trained-by": "ada"},
            Tagging="team=risk%20and%20fraud&stage=prod",
        )
        key = aws.copied(uri).destination.removeprefix(f"s3://{HUB_BUCKET}/")
        head = aws.hub.head_object(Bucket=HUB_BUCKET, Key=key)
        assert (head["ContentType"], head["CacheControl"]) == ("application/gzip", "no-cache")
        assert head["Metadata"]["trained-by"] == "ada"
        tags = aws.hub.get_object_tagging(Bucket=HUB_BUCKET, Key=key)["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "risk and fraud", "stage": "prod"}


def test_a_version_is_pinned_by_its_id(aws: World) -> None:
    aws.spoke.put_bucket_versioning(Bucket=SPOKE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    uri = aws.put("model.tar.gz", LARGE_BODY)
    version = aws.spoke.head_object(Bucket=SPOKE_BUCKET, Key="model.tar.gz")["VersionId"]
    result = aws.copied(uri)
    assert result.pin == version
    sources = [r.headers["x-amz-copy-source"] for r in aws.faults.log if r.operation == "UploadPartCopy"]
    assert sources
    assert all(source.endswith(f"?versionId={version}") for source in sources)


def test_the_registered_version_is_copied_though_there_is_a_newer_one(aws: World) -> None:
    aws.spoke.put_bucket_versioning(Bucket=SPOKE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    uri = aws.put("model.tar.gz", SMALL_BODY)
    etag = aws.spoke.head_object(Bucket=SPOKE_BUCKET, Key="model.tar.gz")["ETag"]
    aws.put("model.tar.gz", b"trained again since")
    result = aws.copied(uri, etag=etag)
    assert aws.bytes_at(result.destination) == SMALL_BODY


def test_an_object_that_changed_after_registration_is_refused(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    etag = hashlib.md5(SMALL_BODY).hexdigest()  # noqa: S324 - the ETag of S3
    assert aws.copied(uri, etag=etag).pin == etag
    aws.put("model.tar.gz", b"other bytes")
    message = refused(aws, uri, ErrorCode.SOURCE_CHANGED, etag=etag)
    assert uri in message
    assert "register and approve a new version" in message


def test_other_bytes_get_another_place(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    first = aws.copied(uri)
    aws.put("model.tar.gz", b"other bytes")
    second = aws.copied(uri)
    assert first.destination != second.destination
    assert aws.bytes_at(first.destination) == SMALL_BODY
    assert aws.bytes_at(second.destination) == b"other bytes"


@pytest.mark.parametrize(
    ("body", "operation", "after"),
    [(SMALL_BODY, "CopyObject", 0), (LARGE_BODY, "UploadPartCopy", 0), (LARGE_BODY, "UploadPartCopy", 5)],
)
def test_a_source_that_changes_in_between_is_refused(
    aws: World, body: bytes, operation: str, after: int
) -> None:
    uri = aws.put("model.tar.gz", body)
    aws.faults.add(
        Fault(operation=operation, after=after, hook=lambda _: aws.put_again("model.tar.gz", b"x"))
    )
    refused(aws, uri, ErrorCode.SOURCE_CHANGED)
    assert aws.listed() == []
    assert aws.open_uploads() == 0


@pytest.mark.parametrize(("body", "operation"), [(SMALL_BODY, "CopyObject"), (LARGE_BODY, "UploadPartCopy")])
def test_a_source_that_is_deleted_in_between_is_refused(aws: World, body: bytes, operation: str) -> None:
    uri = aws.put("model.tar.gz", body)

    def delete(_: object) -> None:
        aws.spoke.delete_object(Bucket=SPOKE_BUCKET, Key="model.tar.gz")

    aws.faults.add(Fault(operation=operation, hook=delete))
    refused(aws, uri, ErrorCode.SOURCE_CHANGED)
    assert aws.listed() == []
    assert aws.open_uploads() == 0


@pytest.mark.parametrize("kind", ["object", "prefix"])
def test_a_location_in_free_text_that_is_not_there_says_who_names_it(aws: World, kind: str) -> None:
    with pytest.raises(
        PermanentError, match=r"It is named by Environment\{DATA\} of arn:aws:sagemaker:"
    ) as caught:
        aws.copy(f"s3://{SPOKE_BUCKET}/nothing/x", kind=kind, member="Environment{DATA}")
    assert caught.value.code in (ErrorCode.SOURCE_OBJECT_MISSING, ErrorCode.SOURCE_PREFIX_EMPTY)


def test_a_missing_object_and_a_missing_bucket(aws: World) -> None:
    message = refused(aws, f"s3://{SPOKE_BUCKET}/nowhere.tar.gz", ErrorCode.SOURCE_OBJECT_MISSING)
    assert message.startswith(
        f"s3://{SPOKE_BUCKET}/nowhere.tar.gz is not there. If the bucket keeps versions"
    )
    refused(aws, "s3://no-such-bucket/model.tar.gz", ErrorCode.SOURCE_OBJECT_MISSING)


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object(aws: World, storage_class: str) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY, StorageClass=storage_class)
    message = refused(aws, uri, ErrorCode.SOURCE_ARCHIVED)
    assert storage_class in message
    assert "Restore it" in message


def test_a_bucket_of_somebody_else_is_never_read(aws: World) -> None:
    aws.stranger.put_object(Bucket=STRANGERS_BUCKET, Key="model.tar.gz", Body=SMALL_BODY)
    message = refused(aws, f"s3://{STRANGERS_BUCKET}/model.tar.gz", ErrorCode.SOURCE_OWNER_MISMATCH)
    assert f"does not belong to account {SPOKE}" in message
    assert aws.listed() == []


def test_denied_to_both_roles_says_both_ways_to_grant(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    aws.rules.denied |= {(SPOKE_BUCKET, HUB), (SPOKE_BUCKET, SPOKE)}
    message = refused(aws, uri, ErrorCode.SOURCE_ACCESS_DENIED)
    assert f'"Principal": {{"AWS": "arn:aws:iam::{HUB}:root"}}' in message
    assert f'{{"aws:PrincipalArn": "{COPY_ROLE}"}}' in message
    assert f"arn:aws:iam::{SPOKE}:role/replicator-read" in message
    assert uri in message


def test_a_hub_bucket_of_somebody_else_is_not_written(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    aws.hub.delete_bucket(Bucket=HUB_BUCKET)
    aws.stranger.create_bucket(
        Bucket=HUB_BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    refused(aws, uri, ErrorCode.HUB_ACCESS_DENIED)
    assert "Contents" not in aws.stranger.list_objects_v2(Bucket=HUB_BUCKET)


def test_http_200_with_an_error_inside_is_tried_again(aws: World) -> None:
    for body, operation in (
        (SMALL_BODY, "CopyObject"),
        (LARGE_BODY, "UploadPartCopy"),
        (LARGE_BODY[1:], "CompleteMultipartUpload"),
    ):
        uri = aws.put("model.tar.gz", body)
        aws.faults.clear()
        aws.faults.add(Fault(operation=operation, status=200, code="InternalError"))
        result = aws.copied(uri)
        assert aws.bytes_at(result.destination) == body
        assert aws.faults.count(operation) == {"CopyObject": 2, "UploadPartCopy": 9}.get(operation, 2)


def test_throttling_that_does_not_end_is_retryable(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    aws.faults.add(Fault(operation="CopyObject", status=503, code="SlowDown", times=None))
    with pytest.raises(RetryableError) as caught:
        aws.copy(uri)
    assert caught.value.code == ErrorCode.THROTTLED


def test_other_bytes_in_the_place_of_a_copy_are_refused_and_never_overwritten(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    destination = aws.copied(uri).destination
    key = destination.removeprefix(f"s3://{HUB_BUCKET}/")
    other = b"X" * len(SMALL_BODY)
    aws.hub.put_object(Bucket=HUB_BUCKET, Key=key, Body=other)
    assert destination in refused(aws, uri, ErrorCode.HUB_REFUSED)
    assert aws.bytes_at(destination) == other


def test_other_bytes_that_appear_meanwhile_are_never_overwritten(aws: World) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    key = aws.copied(uri).destination.removeprefix(f"s3://{HUB_BUCKET}/")
    aws.hub.delete_object(Bucket=HUB_BUCKET, Key=key)

    def appear(_: object) -> None:
        aws.hub.put_object(Bucket=HUB_BUCKET, Key=key, Body=b"X" * len(SMALL_BODY))

    aws.faults.add(Fault(operation="CopyObject", hook=appear))
    assert "never overwritten" in refused(aws, uri, ErrorCode.HUB_REFUSED)
    assert aws.bytes_at(f"s3://{HUB_BUCKET}/{key}") == b"X" * len(SMALL_BODY)


def test_a_stray_part_beyond_the_plan_is_no_part_of_the_object(aws: World) -> None:
    uri = aws.put("model.tar.gz", LARGE_BODY)

    def add(request: LoggedRequest) -> None:
        key, upload = request.path.split("/", 2)[2], request.query["uploadId"][0]
        aws.hub.upload_part(Bucket=HUB_BUCKET, Key=key, UploadId=upload, PartNumber=9, Body=b"stray")

    aws.faults.add(Fault(operation="CompleteMultipartUpload", hook=add))
    assert aws.bytes_at(aws.copied(uri).destination) == LARGE_BODY


def test_parts_with_other_bytes_are_caught_before_the_object_appears(aws: World) -> None:
    """A part that was left in the upload has the right size and the wrong bytes."""
    uri = aws.put("model.tar.gz", LARGE_BODY)
    aws.faults.add(Fault(operation="CompleteMultipartUpload", status=503, code="SlowDown", times=None))
    assert not aws.copy(uri).done
    upload = aws.hub.list_multipart_uploads(Bucket=HUB_BUCKET)["Uploads"][0]
    aws.put("other", b"X" * 64 * KIB)
    aws.hub.upload_part_copy(
        Bucket=HUB_BUCKET,
        Key=upload["Key"],
        UploadId=upload["UploadId"],
        PartNumber=3,
        CopySource={"Bucket": SPOKE_BUCKET, "Key": "other"},
    )
    aws.faults.clear()
    refused(aws, uri, ErrorCode.CHECKSUM_MISMATCH)
    assert aws.listed() == []
    assert aws.open_uploads() == 0


def test_a_copy_with_another_checksum_is_refused(aws: World) -> None:
    """S3 answers the copy with the checksum of what it wrote; that is compared with the source's."""
    for size in (100, 250 * KIB):  # one request each: the second is too large to read through
        uri = aws.put("model.tar.gz", LARGE_BODY[:size])
        source = s3_backends[SPOKE]["aws"].get_object(SPOKE_BUCKET, "model.tar.gz")
        source.checksum_value = "AAAAAAAAAAA="
        tuning = replace(SMALL, single_copy=300 * KIB, read_limit=200)
        message = refused(aws, uri, ErrorCode.CHECKSUM_MISMATCH, tuning=tuning)
        assert "CRC64NVME:AAAAAAAAAAA= became CRC64NVME:" in message


def test_a_long_name_that_sagemaker_uses_is_refused_where_there_is_no_room_for_it(aws: World) -> None:
    uri = aws.put("k" * 1024, SMALL_BODY)
    message = refused(aws, uri, ErrorCode.LIMIT_EXCEEDED)
    assert "room for a key or location of 1024" in message
    assert aws.listed() == []


@pytest.mark.parametrize("named", [True, False])
def test_group_and_version_go_before_a_name_does(aws: World, named: bool) -> None:
    name = "x" * 40 + ".tar.gz"
    result = aws.copied(aws.put(name, SMALL_BODY), named=named, longest=153)
    mark = digest([DESTINATION, digest([SPOKE_BUCKET, name, result.pin or ""])])
    assert result.destination == f"s3://{HUB_BUCKET}/models/{SPOKE}/{mark}/{name}"
    assert aws.bytes_at(result.destination) == SMALL_BODY


def test_a_long_name_that_nobody_reads_becomes_a_hash_with_its_endings(aws: World) -> None:
    uri = aws.put("é" * 500 + ".tar.gz", SMALL_BODY)
    for longest in (256, 1024):
        result = aws.copied(uri, named=False, longest=longest)
        assert len(result.destination) <= longest
        assert result.destination.endswith(".tar.gz")
        assert aws.bytes_at(result.destination) == SMALL_BODY


@pytest.mark.parametrize(
    "key",
    [
        "with space/my model.tar.gz",
        "plus+and%2Fpercent/model+1.tar.gz",
        "ünï/模型.tar.gz",
        "a/../b/..model",
        "q?x=1&y=2#frag",
        "d" * 900 + "/m",
        "~'()*!;:@=,",
    ],
)
@pytest.mark.parametrize("body", [SMALL_BODY, LARGE_BODY], ids=["small", "large"])
def test_odd_keys(aws: World, key: str, body: bytes) -> None:
    uri = aws.put(key, body)
    result = aws.copied(uri)
    assert aws.bytes_at(result.destination) == body
    assert result.destination.endswith("/" + key.rpartition("/")[2])


def test_an_empty_object(aws: World) -> None:
    result = aws.copied(aws.put("empty.tar.gz", b""))
    assert aws.bytes_at(result.destination) == b""
    assert result.bytes == 0


def test_a_source_with_only_a_sha256_is_compared_by_it(aws: World) -> None:
    body = LARGE_BODY[: 250 * KIB]  # beyond one part, within one CopyObject
    sha = base64.b64encode(hashlib.sha256(body).digest()).decode()
    uri = aws.put("model.tar.gz", body, ChecksumSHA256=sha)
    result = aws.copied(uri)
    assert (result.verified, result.checksum) == ("SHA256", f"SHA256:{sha}")
    assert aws.faults.count("CopyObject") == 1


def test_a_package_of_one_account_cannot_write_to_the_place_of_another(aws: World) -> None:
    with pytest.raises(PermanentError, match="outside its own models/222222222222/churn/3/"):
        aws.copy("s3://bucket/key", destination=f"models/{STRANGER}/churn/3/")
