"""Copying through the function, where S3 does not let the hub's copy role read."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from moto.s3.models import s3_backends

from local.faults import Fault
from replicator.aws.artifact_facts import PIN_KEY
from replicator.errors import ErrorCode, PermanentError
from replicator.parts import PartLimits
from tests.integration.artifact_world import (
    DESTINATION,
    HUB,
    HUB_BUCKET,
    KEY_ARN,
    KIB,
    SMALL,
    SPOKE,
    SPOKE_BUCKET,
    World,
)

BODY = hashlib.shake_256(b"a model").digest(300 * KIB)
"""Ten parts of 32 KiB when it is streamed."""


@pytest.fixture
def aws(aws: World) -> World:
    """Keep the hub out of the spoke's bucket; the spoke's own role may read it."""
    aws.rules.denied.add((SPOKE_BUCKET, HUB))
    return aws


@pytest.mark.parametrize("size", [0, 1, 32 * KIB, 32 * KIB + 1, 300 * KIB])
def test_any_size_goes_through_the_function_and_is_verified(aws: World, size: int) -> None:
    uri = aws.put("model.tar.gz", BODY[:size], ContentType="application/gzip", Metadata={"by": "ada"})
    result = aws.copied(uri)
    assert aws.bytes_at(result.destination) == BODY[:size]
    assert (result.method, result.verified) == ("streamed", "CRC64NVME")
    key = result.destination.removeprefix(f"s3://{HUB_BUCKET}/")
    head = aws.hub.head_object(Bucket=HUB_BUCKET, Key=key)
    assert (head["ContentType"], head["Metadata"]["by"]) == ("application/gzip", "ada")
    assert head["SSEKMSKeyId"] == KEY_ARN
    assert aws.open_uploads() == 0


def test_every_read_is_pinned_and_names_its_owner(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.clear()
    aws.copied(uri)
    reads = [request for request in aws.faults.log if request.operation == "GetObject"]
    assert len(reads) == 10
    for request in reads:
        assert request.headers["x-amz-expected-bucket-owner"] == SPOKE
        assert request.headers["if-match"].strip('"')
        assert request.headers["range"].startswith("bytes=")


def test_tags_travel(aws: World) -> None:
    for size in (10, 300 * KIB):
        uri = aws.put("model.tar.gz", BODY[:size], Tagging="team=risk%3Dfraud%2F1%2B")
        key = aws.copied(uri).destination.removeprefix(f"s3://{HUB_BUCKET}/")
        tags = aws.hub.get_object_tagging(Bucket=HUB_BUCKET, Key=key)["TagSet"]
        assert tags == [{"Key": "team", "Value": "risk=fraud/1+"}]


def test_the_managed_key_of_the_spoke_is_no_obstacle(aws: World) -> None:
    aws.rules.denied.clear()
    for size in (10, 300 * KIB):
        uri = aws.put("model.tar.gz", BODY[:size], ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
        result = aws.copied(uri)
        assert result.method == "streamed"
        assert aws.bytes_at(result.destination) == BODY[:size]


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy"])
def test_seen_but_not_copyable_changes_over_to_streaming(aws: World, operation: str) -> None:
    """A role may describe an object and still not copy it: the source's key denies, for instance."""
    aws.rules.denied.clear()
    aws.faults.add(Fault(operation=operation, status=403, code="AccessDenied", times=None, after=0))
    size = 10 if operation == "CopyObject" else 300 * KIB
    result = aws.copied(aws.put("model.tar.gz", BODY[:size]))
    assert (result.method, result.verified) == ("streamed", "CRC64NVME")
    assert aws.bytes_at(result.destination) == BODY[:size]
    assert aws.open_uploads() == 0


def test_a_checksum_of_another_kind_is_kept(aws: World) -> None:
    for size in (10, 300 * KIB):
        uri = aws.put("model.tar.gz", BODY[:size], ChecksumAlgorithm="CRC32")
        result = aws.copied(uri)
        assert result.verified == "CRC32"
        assert result.checksum is not None
        assert result.checksum.startswith("CRC32:")


def test_without_any_checksum_the_md5_of_every_part_counts(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    forget_checksum(aws, "model.tar.gz")
    result = aws.copied(uri)
    assert (result.method, result.verified) == ("streamed", "MD5 of every part")
    uploads = [request for request in aws.faults.log if request.operation == "UploadPart"]
    assert all("content-md5" in request.headers for request in uploads)


def test_server_side_without_any_checksum_both_are_read(aws: World) -> None:
    aws.rules.denied.clear()
    for size in (10, 300 * KIB):
        uri = aws.put("model.tar.gz", BODY[:size])
        forget_checksum(aws, "model.tar.gz")
        result = aws.copied(uri)
        assert (result.method, result.verified) == ("server-side", "SHA-256 by reading both")
        again = aws.copied(uri)
        assert (again.method, again.verified) == ("already there", "SHA-256 by reading both")


def test_other_bytes_of_the_same_size_are_found_by_reading_and_stay(aws: World) -> None:
    aws.rules.denied.clear()
    uri = aws.put("model.tar.gz", BODY[:1000])
    forget_checksum(aws, "model.tar.gz")
    destination = aws.copied(uri).destination
    key = destination.removeprefix(f"s3://{HUB_BUCKET}/")
    aws.hub.put_object(Bucket=HUB_BUCKET, Key=key, Body=BODY[1:1001])
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.CHECKSUM_MISMATCH
    assert aws.bytes_at(destination) == BODY[1:1001]


UNREAD = replace(SMALL, read_limit=10)


def test_too_large_to_read_counts_size_and_pins(aws: World) -> None:
    aws.rules.denied.clear()
    uri = aws.put("model.tar.gz", BODY)
    forget_checksum(aws, "model.tar.gz")
    assert aws.copied(uri, tuning=UNREAD).verified == "size and pinned parts"
    again = aws.copied(uri, tuning=UNREAD)
    assert (again.verified, again.method) == ("size and pinned parts", "already there")


@pytest.mark.parametrize("size", [1000, len(BODY)], ids=["small", "large"])
@pytest.mark.parametrize("pin", [{}, {PIN_KEY: "another"}], ids=["no pin", "another pin"])
def test_too_large_to_read_and_not_pinned_is_no_copy_and_stays(
    aws: World, pin: dict[str, str], size: int
) -> None:
    aws.rules.denied.clear()
    uri = aws.put("model.tar.gz", BODY[:size])
    forget_checksum(aws, "model.tar.gz")
    destination = aws.copied(uri).destination
    other = BODY[:size][::-1]
    key = destination.removeprefix(f"s3://{HUB_BUCKET}/")
    aws.hub.put_object(Bucket=HUB_BUCKET, Key=key, Body=other, Metadata=pin)
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, tuning=UNREAD)
    assert caught.value.code is ErrorCode.HUB_REFUSED
    assert aws.bytes_at(destination) == other


def test_the_same_bytes_written_again_are_the_copy_and_others_of_that_checksum_are_not(aws: World) -> None:
    """Keys below a prefix have no version in them, so the pin of each copy is compared, and else its bytes."""
    aws.rules.denied.clear()
    versioning = {"Status": "Enabled"}
    aws.spoke.put_bucket_versioning(Bucket=SPOKE_BUCKET, VersioningConfiguration=versioning)  # type: ignore[arg-type]
    uri = aws.put("w/shard", b"a" * 1000).removesuffix("shard")
    destination = aws.copied(uri, kind="prefix").destination
    aws.put("w/shard", b"a" * 1000)
    again = aws.copied(uri, kind="prefix")
    assert (again.destination, again.method) == (destination, "already there")
    assert again.verified == "SHA-256 by reading both"
    # What a spoke could find: other bytes of the same size, MD5 and CRC64NVME.
    found = s3_backends[SPOKE]["aws"].get_object(SPOKE_BUCKET, "w/shard")
    found.value = b"b" * 1000
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, kind="prefix")
    assert caught.value.code is ErrorCode.CHECKSUM_MISMATCH
    assert aws.bytes_at(f"{destination}shard") == b"a" * 1000


def test_a_truncated_stream_is_read_again(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    cut = TruncatedOnce(aws.faults._app)
    aws.faults._app = cut
    try:
        result = aws.copied(uri)
    finally:
        aws.faults._app = cut.app
    assert cut.truncated == 1
    assert aws.bytes_at(result.destination) == BODY


@pytest.mark.parametrize("other", [b"x", BODY[::-1]], ids=["shorter", "as long"])
def test_a_source_that_changes_between_two_parts_is_refused(aws: World, other: bytes) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(Fault(operation="GetObject", after=4, hook=lambda _: aws.put_again("model.tar.gz", other)))
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri)
    assert caught.value.code == ErrorCode.SOURCE_CHANGED
    assert aws.listed() == []
    assert aws.open_uploads() == 0


def test_a_killed_stream_goes_on_where_it_was(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)

    aws.faults.add(Fault(operation="UploadPart", after=6, status=503, code="SlowDown", times=None))
    progress = aws.copy(uri).progress
    assert progress is not None
    assert progress.stopped is not None
    assert "SlowDown" in progress.stopped
    upload = aws.hub.list_multipart_uploads(Bucket=HUB_BUCKET)["Uploads"][0]
    parts = aws.hub.list_parts(Bucket=HUB_BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])["Parts"]
    kept = len(parts)
    assert kept == 6
    aws.faults.clear()
    result = aws.copied(uri)
    assert aws.faults.count("UploadPart") == 10 - kept
    assert aws.bytes_at(result.destination) == BODY


def test_an_object_too_large_for_the_memory_says_what_to_do(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    tight = replace(
        SMALL, streamed_memory=16 * KIB, streamed_part_size=8 * KIB, limits=PartLimits(1, 300 * KIB, 5)
    )
    with pytest.raises(PermanentError, match="let the hub's copy role read the bucket") as caught:
        aws.copy(uri, tuning=tight)
    assert caught.value.code == ErrorCode.LIMIT_EXCEEDED


def test_the_hub_that_refuses_is_named_as_the_hub(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY[:10])
    aws.faults.add(Fault(method="PUT", path=DESTINATION, status=403, code="AccessDenied", times=None))
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri)
    assert caught.value.code == ErrorCode.HUB_ACCESS_DENIED


def forget_checksum(aws: World, key: str) -> None:
    """Make an object as they were before S3 computed checksums by itself."""
    found = s3_backends[SPOKE]["aws"].get_object(SPOKE_BUCKET, key)
    found.checksum_value = found.checksum_algorithm = found.checksum_type = None


class TruncatedOnce:
    """Breaks off the body of the third GET with a range."""

    def __init__(self, app: object) -> None:
        self.app = app
        self.seen = 0
        self.truncated = 0

    def __call__(self, environ: dict[str, str], start_response: object) -> object:
        body = self.app(environ, start_response)  # type: ignore[operator]
        if environ["REQUEST_METHOD"] == "GET" and "HTTP_RANGE" in environ:
            self.seen += 1
            if self.seen == 3:
                self.truncated += 1
                return [b"".join(body)[:100]]
        return body
