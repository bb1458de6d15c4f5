"""Sources that are odd, out of reach or change under the copy: a clear code, and nothing half-made."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import Any

import pytest
from moto.s3.models import s3_backends

from local.faults import Fault
from replicator.aws.artifact_calls import s3_client
from replicator.aws.artifact_hub import Hub
from replicator.aws.artifact_uploads import Uploads
from replicator.aws.lean_s3 import LeanS3
from replicator.aws.open_uploads import OpenUploads
from replicator.errors import ErrorCode, PermanentError, RetryableError
from tests.integration.artifact_world import (
    HUB,
    HUB_BUCKET,
    KEY_ARN,
    KIB,
    SPOKE,
    SPOKE_BUCKET,
    World,
    make_key,
)

PARTS = 6
BODY = hashlib.shake_256(b"a model").digest(PARTS * 64 * KIB - 7)
CUSTOMER_KEY = "arn:aws:kms:eu-west-1:222222222222:key/99999999-2222-3333-4444-555555555555"
READS = ("CopyObject", "UploadPartCopy", "GetObject")


@pytest.fixture(autouse=True)
def _customer_key() -> None:
    assert make_key(SPOKE, CUSTOMER_KEY.rpartition("/")[2]) == CUSTOMER_KEY


def refused(aws: World, uri: str, code: ErrorCode, kind: str = "object") -> str:
    """Copy in vain; nothing may be left, neither objects nor uploads."""
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, kind=kind)
    assert caught.value.code == code
    assert aws.listed() == []
    assert aws.open_uploads() == 0
    return str(caught.value)


# What is asked in a copy by parts, in order; the change comes just before the call.
@pytest.mark.parametrize(
    ("operation", "after"),
    [("Uploads", 0), ("Uploads", 1), *(("UploadPartCopy", k) for k in range(PARTS))],
)
def test_overwritten_at_any_moment_before_the_last_part(aws: World, operation: str, after: int) -> None:
    uri = aws.put("model.tar.gz", BODY)
    overwrite = Fault(operation=operation, after=after, hook=lambda _: aws.put_again("model.tar.gz", b"x"))
    aws.faults.add(overwrite)
    message = refused(aws, uri, ErrorCode.SOURCE_CHANGED)
    assert overwrite.seen > after
    assert uri in message


def test_overwritten_after_the_last_part_the_copy_is_what_was_registered(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(
        Fault(operation="CompleteMultipartUpload", hook=lambda _: aws.put_again("model.tar.gz", b"x"))
    )
    assert aws.bytes_at(aws.copied(uri).destination) == BODY


@pytest.mark.parametrize("k", range(PARTS))
def test_killed_after_every_part_what_is_repeated_was_in_flight(aws: World, k: int) -> None:
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(Fault(operation="UploadPartCopy", after=k, status=503, code="SlowDown", times=None))
    with nullcontext() if k else pytest.raises(RetryableError):
        assert not aws.copy(uri).done
    aws.faults.clear()
    assert aws.bytes_at(aws.copied(uri).destination) == BODY
    assert aws.faults.count("UploadPartCopy") == PARTS - k
    assert aws.open_uploads() == 0


def test_a_customer_key_that_the_hub_may_use_is_copied_server_side(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=CUSTOMER_KEY)
    result = aws.copied(uri)
    assert result.method == "server-side"
    assert aws.bytes_at(result.destination) == BODY


@pytest.mark.parametrize("body", [b"small", BODY], ids=["small", "large"])
def test_a_customer_key_that_nobody_of_ours_may_use(aws: World, body: bytes) -> None:
    """HeadObject succeeds: only reading needs the key."""
    uri = aws.put("model.tar.gz", body, ServerSideEncryption="aws:kms", SSEKMSKeyId=CUSTOMER_KEY)
    for operation in READS:
        aws.faults.add(Fault(operation=operation, path="model", status=403, code="AccessDenied", times=None))
    assert "kms:Decrypt" in refused(aws, uri, ErrorCode.SOURCE_ACCESS_DENIED)


def test_the_managed_key_is_streamed(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
    result = aws.copied(uri)
    assert result.method == "streamed"
    assert aws.bytes_at(result.destination) == BODY


@pytest.mark.parametrize("key", ["k" * 1024, "ü" * 508 + "/model.x", "a/" * 507 + "model.tar."])
@pytest.mark.parametrize("body", [b"", b"small", BODY], ids=["empty", "small", "large"])
def test_a_key_of_1024_bytes(aws: World, key: str, body: bytes) -> None:
    assert len(key.encode()) == 1024
    uri = aws.put(key, body)
    if "/" not in key:  # its name alone leaves no room for a place in the hub
        refused(aws, uri, ErrorCode.LIMIT_EXCEEDED)
        assert aws.bytes_at(aws.copied(uri, named=False).destination) == body
        return
    assert aws.bytes_at(aws.copied(uri).destination) == body


def test_a_prefix_with_a_key_that_finds_no_room_copies_nothing(aws: World) -> None:
    aws.put("p/config.json", b"{}")
    aws.put("p/" + "k" * 1022, b"too long")
    refused(aws, f"s3://{SPOKE_BUCKET}/p/", ErrorCode.LIMIT_EXCEEDED, "prefix")
    assert aws.faults.count("CopyObject") == 0


def test_an_empty_prefix_and_one_that_is_only_an_object(aws: World) -> None:
    aws.put("models/churn", b"an object, and no prefix")
    refused(aws, f"s3://{SPOKE_BUCKET}/models/churn/", ErrorCode.SOURCE_PREFIX_EMPTY, "prefix")
    assert aws.bytes_at(aws.copied(f"s3://{SPOKE_BUCKET}/models/churn").destination).startswith(b"an object")


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("bucket", [HUB_BUCKET, SPOKE_BUCKET])
def test_a_server_out_of_order_is_no_denial(aws: World, bucket: str, status: int) -> None:
    """The answer to HeadObject has no body: only the status tells."""
    uri = aws.put("model.tar.gz", b"small")
    aws.copied(uri)
    aws.faults.add(Fault(operation="HeadObject", path=f"{bucket}/.", status=status, times=None))
    with pytest.raises(RetryableError, match=f"HeadObject of s3://{bucket}/") as caught:
        aws.copy(uri)
    assert caught.value.code == ErrorCode.SERVICE_UNAVAILABLE


def test_deleted_between_listing_and_copying(aws: World) -> None:
    aws.put("p/a", b"1")

    def delete(_: object) -> None:
        aws.spoke.delete_object(Bucket=SPOKE_BUCKET, Key="p/a")

    aws.faults.add(Fault(operation="HeadObject", path="p/a", hook=delete))
    refused(aws, f"s3://{SPOKE_BUCKET}/p/", ErrorCode.SOURCE_CHANGED, "prefix")


@pytest.mark.parametrize("body", [b"small", BODY], ids=["small", "large"])
@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        ("inf", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("Tue, 01 Jan 2030 00:00:00 GMT", "Tue, 01 Jan 2030 00:00:00 GMT"),
    ],
)
def test_an_expiry_that_no_clock_can_show_is_left_out(
    aws: World, monkeypatch: pytest.MonkeyPatch, body: bytes, shown: str, kept: str | None
) -> None:
    """S3 keeps what it is given, and some other client may have given anything."""
    uri = aws.put("model.tar.gz", body)
    ask = LeanS3._exchange

    def show(self: Any, scheme: str, host: str, method: str, target: str, headers: Any) -> Any:
        status, found, answer = ask(self, scheme, host, method, target, headers)
        if method == "HEAD" and SPOKE_BUCKET in target:
            found = {**found, "Expires": shown}
        return status, found, answer

    monkeypatch.setattr(LeanS3, "_exchange", show)
    key = aws.copied(uri).destination.removeprefix(f"s3://{HUB_BUCKET}/")
    assert aws.hub.head_object(Bucket=HUB_BUCKET, Key=key).get("ExpiresString") == kept


CONTROL = "model\x01.tar.gz"


@pytest.mark.parametrize("kind", ["object", "prefix"])
def test_a_key_that_no_answer_of_s3_can_hold_is_refused_before_anything_is_copied(
    aws: World, kind: str
) -> None:
    aws.put("p/a", b"a model")
    uri = aws.put(f"p/{CONTROL}", BODY)
    aws.faults.clear()
    uri = uri if kind == "object" else f"s3://{SPOKE_BUCKET}/p/"
    assert "model\\x01.tar.gz" in refused(aws, uri, ErrorCode.INVALID_LOCATION, kind)
    assert not [
        request for request in aws.faults.log if request.method in ("PUT", "POST") and request.path != "/"
    ]


def test_an_upload_of_such_a_key_hides_no_other(aws: World) -> None:
    """An older release may have begun one, and the sweep looks at those of all spokes."""
    backend = s3_backends[HUB]["aws"]
    keys = [f"models/{SPOKE}/x/{CONTROL}", f"models/{SPOKE}/y/a b+c%2F ü"]
    for key in keys:
        backend.create_multipart_upload(HUB_BUCKET, key, {}, "STANDARD", [], None, "AES256", None)
    found = list(OpenUploads(aws.own, HUB_BUCKET, HUB).list())
    assert [upload.key for upload in found] == keys
    hub = Hub(s3_client(aws.own, "eu-west-1", 1), HUB, HUB_BUCKET, "")
    assert list(Uploads(hub).open("models/")) == keys


def test_head_answered_400_names_what_it_may_be(aws: World) -> None:
    """As for an object under SSE-C; the answer to HEAD has no body that would tell."""
    uri = aws.put("model.tar.gz", b"small")
    aws.faults.add(
        Fault(operation="HeadObject", path=SPOKE_BUCKET, status=400, code="BadRequest", times=None)
    )
    message = refused(aws, uri, ErrorCode.SOURCE_ACCESS_DENIED)
    assert "SSE-C" in message
    assert uri in message


@pytest.mark.parametrize("body", [b"small", BODY], ids=["small", "large"])
@pytest.mark.parametrize("code", ["ExpiredToken", "RequestTimeTooSkewed"])
def test_credentials_and_clocks_are_others_the_next_time(aws: World, code: str, body: bytes) -> None:
    uri = aws.put("model.tar.gz", body)
    for operation in ("CopyObject", "UploadPartCopy"):
        aws.faults.add(Fault(operation=operation, status=400, code=code, times=None))
    with pytest.raises(RetryableError, match=code):
        aws.copy(uri)


@pytest.mark.parametrize(
    ("code", "key", "bucket", "blamed"),
    [
        ("KMS.DisabledException", CUSTOMER_KEY, "", ErrorCode.SOURCE_ACCESS_DENIED),
        ("KMS.DisabledException", KEY_ARN, "", ErrorCode.HUB_REFUSED),
        ("KMS.DisabledException", "it", "", ErrorCode.HUB_REFUSED),
        ("NoSuchBucket", "", SPOKE_BUCKET, ErrorCode.SOURCE_OBJECT_MISSING),
        ("NoSuchBucket", "", HUB_BUCKET, ErrorCode.HUB_REFUSED),
    ],
)
@pytest.mark.parametrize("body", [b"small", BODY], ids=["small", "large"])
def test_a_copy_that_is_refused_is_blamed_on_whom_the_answer_names(
    aws: World, code: str, key: str, bucket: str, blamed: ErrorCode, body: bytes
) -> None:
    uri = aws.put("model.tar.gz", body)
    details = f"<Message>{key} is disabled.</Message><BucketName>{bucket}</BucketName>"
    for operation in ("CopyObject", "UploadPartCopy"):
        fault = Fault(operation=operation, status=400, code=code, details=details, times=None)
        aws.faults.add(fault)
    message = refused(aws, uri, blamed)
    of_both = key == "it"
    assert (uri in message) == (of_both or blamed is not ErrorCode.HUB_REFUSED)
