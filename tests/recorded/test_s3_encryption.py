"""Encryption of S3: SSE-KMS with the states of its keys, and SSE-C; and what KMS says of unknown keys."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

KMS = "s3/sse-kms.json"
CUSTOMER = "s3/sse-c.json"
ETAGS = Differing("*/ETag", "under SSE-KMS and SSE-C an ETag is no MD5: it is another one each time")
SECRET = "1234567890abcdef1234567890abcdef"


@pytest.fixture
def kms(client: Callable[[str], Any]) -> Any:
    return client("kms")


def key_made(kms: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = kms.create_key(Description="a key of the tests")["KeyMetadata"]
    return metadata


@replays(KMS, "test_s3_sse_validate_kms_key_state", differing=[ETAGS])
def test_states_of_a_key(replay: Replay, s3: Any, kms: Any, bucket: str) -> None:
    key = key_made(kms)
    replay.compare("create-kms-key", key)
    about = {"Bucket": bucket, "Key": "put-object-with-sse"}
    put = {**about, "Body": b"test-sse", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["KeyId"]}
    replay("success-put-object-sse", lambda: s3.put_object(**put))
    replay("success-get-object-sse", lambda: s3.get_object(**about))
    kms.disable_key(KeyId=key["KeyId"])
    replay("get-obj-disabled-key", lambda: s3.get_object(**about))
    replay("put-obj-disabled-key", lambda: s3.put_object(**put))
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    replay("get-obj-pending-deletion-key", lambda: s3.get_object(**about))


@replays(KMS, "test_s3_sse_validate_kms_key")
def test_keys_that_are_not_there(
    replay: Replay, aws: LocalAws, kms: Any, fresh: Callable[[str], str]
) -> None:
    key = key_made(kms)
    replay.compare("create-kms-key", key)
    s3 = aws.session(ACCOUNT).client("s3", region_name="us-west-2")
    bucket = fresh("recorded")
    where = {"LocationConstraint": "us-west-2"}
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    uuid = "134f2428-cec1-4b25-a1ae-9048164dba47"
    about = {"Bucket": bucket, "Key": "test-sse", "ServerSideEncryption": "aws:kms"}
    for name, key_id in {
        "put-obj-wrong-kms-key": "fake-key-id",
        "put-obj-wrong-kms-key-real-uuid": uuid,
        "put-obj-wrong-kms-key-real-uuid-arn": f"arn:aws:kms:us-west-2:{ACCOUNT}:key/{uuid}",
        "put-obj-different-region-kms-key": key["Arn"],
        "put-obj-different-region-kms-key-no-arn": key["KeyId"],
    }.items():
        more = {**about, "SSEKMSKeyId": key_id}
        replay(name, partial(s3.put_object, **more, Body=b"test-sse"))
    more = {**about, "SSEKMSKeyId": "fake-key-id"}
    replay("create-multipart-wrong-kms-key", lambda: s3.create_multipart_upload(**more))
    s3.put_object(Bucket=bucket, Key="source", Body=b"test-data")
    source = {"Bucket": bucket, "Key": "source"}
    replay("copy-obj-wrong-kms-key", lambda: s3.copy_object(**more, CopySource=source))


@replays(KMS, "test_s3_multipart_upload_sse", differing=[ETAGS])
def test_an_upload_under_a_key(replay: Replay, s3: Any, kms: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-sse-field-multipart"}
    key_id = key_made(kms)["KeyId"]
    more = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id, "BucketKeyEnabled": True}
    begun = replay("multi-sse-create-multipart", lambda: s3.create_multipart_upload(**about, **more))
    target = {**about, "UploadId": begun["UploadId"]}
    part = replay("multi-sse-upload-part", lambda: s3.upload_part(**target, PartNumber=1, Body=b"test-sse"))
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    replay(
        "multi-sse-compete-multipart", lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts)
    )
    replay("get-obj", lambda: s3.get_object(**about))


@replays(KMS, "test_s3_copy_object_in_place_with_encryption", differing=[ETAGS])
def test_copies_in_place(replay: Replay, s3: Any, kms: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-sse"}
    more = {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": key_made(kms)["KeyId"],
        "BucketKeyEnabled": True,
    }
    put = lambda: s3.put_object(**about, Body=b"test", **more)  # noqa: E731
    etags = [replay("put-object-with-kms-encryption", put)["ETag"]]
    replay("head-object", lambda: s3.head_object(**about))
    for name, head, encryption in (
        ("copy-object-in-place-with-sse", "head-copy-with-sse", {"ServerSideEncryption": "aws:kms"}),
        ("copy-object-in-place-without-kms-sse", "head-copy-without-kms-sse", {}),
        ("copy-object-in-place-with-aes", "head-copy-with-aes", {"ServerSideEncryption": "AES256"}),
    ):
        copy = {**about, **encryption, "CopySource": f"{bucket}/test-sse"}
        answer = replay(name, partial(s3.copy_object, **copy))
        etags.append(answer["CopyObjectResult"]["ETag"])
        replay(head, lambda: s3.head_object(**about))
    md5 = '"098f6bcd4621d373cade4e832627b4f6"'
    assert etags[2:] == [md5, md5]
    assert len({*etags}) == 3


@replays(KMS, "test_s3_sse_default_kms_key", differing=[ETAGS])
def test_the_managed_key(replay: Replay, s3: Any, bucket: str, fresh: Callable[[str], str]) -> None:
    second = fresh("recorded")
    s3.create_bucket(Bucket=second)
    for name, where in (("s3-key", bucket), ("s3-key-bucket-2", second)):
        about = {"Bucket": where, "Key": "test-sse"}
        put = {**about, "Body": b"test-sse", "ServerSideEncryption": "aws:kms"}
        replay(f"put-obj-default-kms-{name}", partial(s3.put_object, **put))
        replay(f"get-obj-default-kms-{name}", partial(s3.get_object, **about))
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}, "BucketKeyEnabled": True}
    more = {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}
    name = "bucket-encryption-default-kms-s3-key"
    replay(f"put-{name}", lambda: s3.put_bucket_encryption(Bucket=bucket, **more))
    replay(f"get-{name}", lambda: s3.get_bucket_encryption(Bucket=bucket))
    about = {"Bucket": bucket, "Key": "test-sse-bucket"}
    replay("put-obj-default-kms-s3-key-from-bucket", lambda: s3.put_object(**about, Body=b"test-sse"))
    replay("get-obj-default-kms-s3-key-from-bucket", lambda: s3.get_object(**about))


def customer(
    secret: str = SECRET, algorithm: str = "AES256", prefix: str = "", **more: str
) -> dict[str, Any]:
    return {f"{prefix}SSECustomerAlgorithm": algorithm, f"{prefix}SSECustomerKey": secret, **more}


@replays("s3/copy-checksums.json", "test_copy_object_kms")
def test_a_copy_under_a_key(replay: Replay, s3: Any, kms: Any, bucket: str) -> None:
    replay.anything("copy-etag", "etag")
    about = {"Bucket": bucket, "Key": "key"}
    s3.put_object(**about, Body=b"hello world")
    replay("get-object", lambda: s3.get_object(**about))
    more = {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": key_made(kms)["KeyId"],
        "BucketKeyEnabled": True,
    }
    copy = {"Bucket": bucket, "Key": "copy"}
    replay("copy-object", lambda: s3.copy_object(**copy, CopySource=about, **more))
    replay("get-copied-object", lambda: s3.get_object(**copy))


@replays("kms/unknown-keys.json", "test_get_key_does_not_exist")
def test_kms_of_keys_that_are_not_there(replay: Replay, kms: Any) -> None:
    key = key_made(kms)
    unknown = "134f2428-cec1-4b25-a1ae-9048164dba47"
    arn = key["Arn"].replace(key["KeyId"], unknown)
    replay.bind("<key-arn>", arn)
    replay("describe-nonexistent-key-with-id", lambda: kms.describe_key(KeyId=unknown))
    replay("describe-nonexistent-with-arn", lambda: kms.describe_key(KeyId=arn))
    multi = "mrk-d3b95762d3b95762d3b95762d3b95762"
    replay("describe-key-with-valid-id-mrk", lambda: kms.describe_key(KeyId=multi))
    assert replay["<mrk-key-arn>"] == key["Arn"].replace(key["KeyId"], multi)


@replays("kms/unknown-keys.json", "test_get_key_invalid_uuid")
def test_kms_of_ids_that_are_none(replay: Replay, kms: Any) -> None:
    for name, key_id in {
        "describe-key-with-invalid-uuid": "fake-key-id",
        "describe-key-with-invalid-uuid-2": "134f2428cec14b25a1ae9048164dba47",
        "describe-key-with-invalid-uuid-mrk": "mrk-fake-key-id",
    }.items():
        replay(name, partial(kms.describe_key, KeyId=key_id))


@replays("kms/unknown-keys.json", "test_describe_with_alias_arn")
def test_kms_by_alias(replay: Replay, kms: Any, fresh: Callable[[str], str]) -> None:
    key = kms.create_key(Description="test - description")["KeyMetadata"]
    replay.compare("created-key", key)
    alias = f"alias/{fresh('key')}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    arn = key["Arn"].replace(f"key/{key['KeyId']}", alias)
    replay("describe-key", lambda: kms.describe_key(KeyId=arn))


@replays(CUSTOMER, "test_object_retrieval_sse_c", differing=[ETAGS])
def test_reading_with_and_without_the_secret(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-sse-c"}
    md5 = base64.b64encode(hashlib.md5(SECRET.encode(), usedforsecurity=False).digest()).decode()
    put = {**about, "Body": b"test_data", **customer()}
    replay("put-obj-sse-c", lambda: s3.put_object(**put))
    wrong = {"algorithm": "KMS"}
    attributes = ["ETag"]
    replay("get-obj-no-sse-c", lambda: s3.get_object(**about))
    replay("get-obj-sse-c-wrong-key", lambda: s3.get_object(**about, **customer(SECRET[::-1])))
    replay("get-obj-sse-c-wrong-algo", lambda: s3.get_object(**about, **customer(**wrong)))
    replay("head-obj-sse-c-wrong-algo", lambda: s3.head_object(**about, **customer(**wrong)))
    replay(
        "get-obj-attrs-sse-c-wrong-algo",
        lambda: s3.get_object_attributes(**about, ObjectAttributes=attributes, **customer(**wrong)),
    )
    replay("get-obj-sse-c-wrong-key-size", lambda: s3.get_object(**about, **customer(SECRET[:-1])))
    bad = md5[::-1][2:] + "=="
    encoded = base64.b64encode(SECRET.encode()).decode()
    replay(
        "get-obj-sse-c-bad-md5",
        lambda: s3.get_object(
            **about, SSECustomerAlgorithm="AES256", SSECustomerKey=encoded, SSECustomerKeyMD5=bad
        ),
    )
    s3.meta.events.register("before-sign.s3", without_md5)
    try:
        replay("get-obj-sse-c-no-md5", lambda: s3.get_object(**about, **customer()))
        replay("head-obj-sse-c-no-md5", lambda: s3.head_object(**about, **customer()))
    finally:
        s3.meta.events.unregister("before-sign.s3", without_md5)


def without_md5(request: Any, **_: Any) -> None:
    """Leave out what the SDK computes."""
    del request.headers["x-amz-server-side-encryption-customer-key-MD5"]


@replays(CUSTOMER, "test_copy_object_with_sse_c", differing=[ETAGS])
def test_copying_with_and_without_the_secret(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-sse-c"}
    replay("put-obj-sse-c", lambda: s3.put_object(**about, Body=b"test_data", **customer()))
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": about}
    source, target = customer(prefix="CopySource"), customer()
    for name, more in {
        "copy-obj-sse-c-target-no-sse-c": source,
        "copy-obj-sse-c": {**source, **target},
    }.items():
        replay(name, partial(s3.copy_object, **copy, **more))
    replay("get-obj-no-sse-c-param", lambda: s3.get_object(Bucket=bucket, Key="copy"))
    wrong = {"algorithm": "KMS"}
    for name, more in {
        "copy-obj-no-src-sse-c": target,
        "copy-obj-wrong-src-sse-c-algo": {**target, **customer(prefix="CopySource", **wrong)},
        "copy-obj-wrong-target-sse-c-algo": {**source, **customer(**wrong)},
        "copy-obj-target-double-encryption": {**source, **target, "ServerSideEncryption": "AES256"},
    }.items():
        replay(name, partial(s3.copy_object, **copy, **more))


@replays(CUSTOMER, "test_put_object_default_checksum_with_sse_c", differing=[ETAGS])
def test_default_checksum_with_a_secret(replay: Replay, aws: LocalAws, bucket: str) -> None:
    config = Config(request_checksum_calculation="when_required")
    s3 = aws.session(ACCOUNT).client("s3", config=config)
    about = {"Bucket": bucket, "Key": "test-sse-c", **customer()}
    s3.put_object(**about, Body=b"test data..")
    replay("head-obj-sse-c", lambda: s3.head_object(**about, ChecksumMode="ENABLED"))
    replay("get-obj-sse-c", lambda: s3.get_object(**about, ChecksumMode="ENABLED"))
    # The SDK encodes the key for every operation but this one.
    about["SSECustomerKey"] = base64.b64encode(SECRET.encode()).decode()
    about["SSECustomerKeyMD5"] = replay.recording.content["head-obj-sse-c"]["SSECustomerKeyMD5"]
    wanted = ["ETag", "Checksum"]
    replay("get-obj-attrs-sse-c", lambda: s3.get_object_attributes(**about, ObjectAttributes=wanted))
