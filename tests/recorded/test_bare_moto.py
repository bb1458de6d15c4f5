"""Bare moto still lacks what `local.s3` and `local.kms` patch into it: one test for each patch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from local import kms as local_kms
from local.s3 import S3Rules
from local.s3 import patches as s3_patches
from tests.recorded.bare_moto import LEARNED, BareMoto, bare_moto, code_of
from tests.recorded.conftest import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.server import LocalAws

ABOUT: dict[str, Any] = {"Bucket": "bucket", "Key": "key"}


@pytest.fixture(scope="module")
def moto() -> Iterator[BareMoto]:
    with bare_moto() as bare:
        bare.client("s3").create_bucket(Bucket="bucket")
        yield bare


def upload(s3: Any, **mode: str) -> tuple[dict[str, Any], str]:
    target = {**ABOUT, "UploadId": s3.create_multipart_upload(**ABOUT, **mode)["UploadId"]}
    return target, s3.upload_part(**target, PartNumber=1, Body=b"abc")["ETag"]


def complete(s3: Any, target: dict[str, Any], etag: str, **more: str) -> Any:
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    return s3.complete_multipart_upload(**target, MultipartUpload=parts, **more)


def null_mode(s3: Any) -> None:
    target, etag = upload(s3)
    assert code_of(lambda: complete(s3, target, etag, ChecksumType="FULL_OBJECT")) == "InvalidRequest"


def part_of_composite(s3: Any) -> None:
    assert code_of(lambda: upload(s3, ChecksumAlgorithm="SHA256")) == "InvalidRequest"


def copied_part(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    target, _ = upload(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    result = s3.upload_part_copy(**target, PartNumber=2, CopySource=ABOUT)["CopyPartResult"]
    assert result["ChecksumCRC32"] == "NSRBwg=="


def listed_parts(s3: Any) -> None:
    target, _ = upload(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    assert s3.list_parts(**target)["ChecksumType"] == "FULL_OBJECT"


def pages_of_uploads(s3: Any) -> None:
    for _ in range(2):
        upload(s3)
    assert len(s3.list_multipart_uploads(Bucket="bucket", MaxUploads=1)["Uploads"]) == 1


def put(s3: Any) -> None:
    assert s3.put_object(**ABOUT, Body=b"abc")["ChecksumType"] == "FULL_OBJECT"


def read(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    assert s3.get_object(**ABOUT, ChecksumMode="ENABLED")["ChecksumCRC64NVME"]


def head(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    assert s3.head_object(**ABOUT, ChecksumMode="ENABLED")["ChecksumCRC64NVME"]


def attributes(s3: Any) -> None:
    target, etag = upload(s3)
    complete(s3, target, etag)
    assert s3.get_object_attributes(**ABOUT, ObjectAttributes=["ObjectParts"])["ObjectParts"]


def copied(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    wrong = {"CopySource": ABOUT, "CopySourceIfMatch": '"0"'}
    assert code_of(lambda: s3.copy_object(Bucket="bucket", Key="copy", **wrong)) == "PreconditionFailed"


def listed(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    assert s3.list_objects_v2(Bucket="bucket")["Contents"][0]["ChecksumType"] == "FULL_OBJECT"


def versions(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    assert s3.list_object_versions(Bucket="bucket")["Versions"][0]["ChecksumType"] == "FULL_OBJECT"


def expected_owner(s3: Any) -> None:
    owner = "999999999999"
    assert code_of(lambda: s3.list_objects_v2(Bucket="bucket", ExpectedBucketOwner=owner)) == "AccessDenied"


def deletion(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    target, etag = upload(s3)
    s3.delete_object(**ABOUT)
    code = code_of(lambda: complete(s3, target, etag, IfNoneMatch="*"))
    assert code == "ConditionalRequestConflict"


def refusal(s3: Any) -> None:
    error = {"IfMatch": "*", "IfNoneMatch": "*"}
    assert code_of(lambda: s3.put_object(**ABOUT, Body=b"abc", **error)) == "NotImplemented"


def policy(s3: Any) -> None:
    answer = s3.put_bucket_policy(Bucket="bucket", Policy='{"Version": "2012-10-17", "Statement": []}')
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


def malformed_range(s3: Any) -> None:
    s3.put_object(**ABOUT, Body=b"abc")
    assert s3.get_object(**ABOUT, Range="0-1")["Body"].read() == b"abc"


# What of moto is replaced, and what AWS does that bare moto does not.
S3: dict[str, Callable[[Any], None]] = {
    "S3Response.serialized": refusal,
    "S3Response._authenticate_and_authorize_s3_action": expected_owner,
    "S3Response.put_object": put,
    "S3Response.get_object": read,
    "S3Response.head_object": head,
    "S3Response.get_object_attributes": attributes,
    "S3Response.copy_object": copied,
    "S3Response.upload_part": part_of_composite,
    "S3Response.upload_part_copy": copied_part,
    "S3Response.list_parts": listed_parts,
    "S3Response.list_multipart_uploads": pages_of_uploads,
    "S3Response._key_response_post": null_mode,
    "S3Response.list_objects_v2": listed,
    "S3Response.list_object_versions": versions,
    "S3Response._bucket_response_put": policy,
    "S3Response._handle_range_header": malformed_range,
    "S3Backend.delete_object": deletion,
}
# Needed by what is replaced above, whatever bare moto does: moto keeps tags with the account that asks.
OF_OTHERS = {"S3Backend.get_object_tagging", "S3Backend.put_object_tagging"}


def disabled_by_arn(kms: Any) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=arn)


def enabled_by_arn(kms: Any) -> None:
    kms.enable_key(KeyId=kms.create_key()["KeyMetadata"]["Arn"])


def kept_by_arn(kms: Any) -> None:
    kms.cancel_key_deletion(KeyId=kms.create_key()["KeyMetadata"]["Arn"])


def deleted_by_arn(kms: Any) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)


def described(kms: Any) -> None:
    assert kms.create_key()["KeyMetadata"]["MultiRegion"] is False


def no_id(kms: Any) -> None:
    with pytest.raises(kms.exceptions.NotFoundException) as caught:
        kms.describe_key(KeyId="fake-key-id")
    assert caught.value.response["Error"]["Message"] == "Invalid keyId 'fake-key-id'"


KMS: dict[str, Callable[[Any], None]] = {
    "KmsResponse._validate_cmk_id": no_id,
    "Key.to_dict": described,
    "KmsBackend.disable_key": disabled_by_arn,
    "KmsBackend.enable_key": enabled_by_arn,
    "KmsBackend.cancel_key_deletion": kept_by_arn,
    "KmsBackend.schedule_key_deletion": deleted_by_arn,
}


@pytest.mark.parametrize("patch", S3)
def test_bare_moto_still_lacks_it_in_s3(moto: BareMoto, patch: str) -> None:
    with moto.differs(patch):
        S3[patch](moto.client("s3"))


@pytest.mark.parametrize("patch", KMS)
def test_bare_moto_still_lacks_it_in_kms(moto: BareMoto, patch: str) -> None:
    with moto.differs(patch):
        KMS[patch](moto.client("kms"))


def test_every_patch_has_its_test() -> None:
    made = {f"{owner.__name__}.{name}" for owner, name, _ in s3_patches(S3Rules())}
    assert made == S3.keys() | OF_OTHERS
    assert {f"{owner.__name__}.{name}" for owner, name, _ in local_kms.patches()} == set(KMS)


def test_what_moto_has_learned_is_told(moto: BareMoto) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"{LEARNED}: Some.patch"), moto.differs("Some.patch"):
        assert moto.client("s3").list_buckets()["Buckets"]


@pytest.mark.parametrize(("service", "statements"), [("s3", S3), ("kms", KMS)])
def test_what_is_stated_is_so_in_the_local_aws(
    aws: LocalAws, service: str, statements: dict[str, Callable[[Any], None]]
) -> None:
    config = Config(request_checksum_calculation="when_required")
    made: Any = aws.session(ACCOUNT).client(service, config=config)
    if service == "s3":
        made.create_bucket(Bucket="bucket")
    for statement in statements.values():
        statement(made)
