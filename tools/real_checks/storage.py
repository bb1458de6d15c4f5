"""Claims about Amazon S3: objects of a few bytes in throwaway buckets of both accounts."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools.real_checks.checks import Check, NotTriedError, check, expect, refused
from tools.real_checks.world import Side, document

if TYPE_CHECKING:
    from tools.real_checks.world import World

_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/"
_HUB, _SOURCE = "layers/core/replicator/aws/artifact_hub.py", "layers/core/replicator/aws/artifact_source.py"
_UPLOADS = "layers/core/replicator/aws/artifact_uploads.py"


def _copy_inside_spoke(world: World, **more: Any) -> dict[str, Any]:
    world.put(world.spoke, "source")
    bucket = world.buckets["spoke"]
    source = {"Bucket": bucket, "Key": "source"}
    return {"Bucket": bucket, "Key": f"copy-{uuid.uuid4().hex}", "CopySource": source} | more


@check(
    "source-owner",
    "CopyObject with another ExpectedSourceBucketOwner than the owner is 403.",
    source=f"{_S3}userguide/bucket-owner-condition.html",
    relies=_SOURCE,
)
def source_owner(world: World) -> str:
    """Copy inside the spoke, naming the hub as the owner."""
    request = _copy_inside_spoke(world, ExpectedSourceBucketOwner=world.hub.account)
    return refused(world.spoke.client("s3").copy_object, "403", **request)


@check(
    "bucket-owner",
    "HeadObject with another ExpectedBucketOwner than the owner is 403.",
    source=f"{_S3}userguide/bucket-owner-condition.html",
    relies=_SOURCE,
)
def bucket_owner(world: World) -> str:
    """Look at an object of the spoke, naming the hub as the owner."""
    world.put(world.spoke, "source")
    head = world.spoke.client("s3").head_object
    bucket = world.buckets["spoke"]
    return refused(head, "403", Bucket=bucket, Key="source", ExpectedBucketOwner=world.hub.account)


@check(
    "copy-if-match",
    "CopyObject of a source with another ETag than CopySourceIfMatch is 412.",
    source=f"{_S3}API/API_CopyObject.html",
    relies=_SOURCE,
)
def copy_if_match(world: World) -> str:
    """Copy with the ETag of something else."""
    request = _copy_inside_spoke(world, CopySourceIfMatch=f'"{"0" * 32}"')
    return refused(world.spoke.client("s3").copy_object, "412", **request)


@check(
    "copy-if-none-match",
    "CopyObject with IfNoneMatch=* does not overwrite: 412.",
    source=f"{_S3}userguide/conditional-writes.html (it names PutObject and CompleteMultipartUpload first)",
    relies=_HUB,
)
def copy_if_none_match(world: World) -> str:
    """Copy twice to one key."""
    request = _copy_inside_spoke(world, IfNoneMatch="*")
    copy = world.spoke.client("s3").copy_object
    copy(**request)
    return refused(copy, "412", **request)


@check(
    "crc64nvme",
    "An object written without a checksum gets a full-object CRC64NVME, and a copy that asks for it has the same.",
    source=f"{_S3}userguide/checking-object-integrity-upload.html",
    relies="layers/core/replicator/aws/artifact_verify.py",
)
def crc64nvme(world: World) -> str:
    """Write, copy, compare."""
    request = _copy_inside_spoke(world, ChecksumAlgorithm="CRC64NVME")
    s3 = world.spoke.client("s3")
    copied = s3.copy_object(**request)["CopyObjectResult"].get("ChecksumCRC64NVME")
    head = s3.head_object(Bucket=request["Bucket"], Key="source", ChecksumMode="ENABLED")
    own, kind = head.get("ChecksumCRC64NVME"), head.get("ChecksumType")
    return expect(own and own == copied and kind == "FULL_OBJECT", f"source {own} ({kind}), copy {copied}")


@check(
    "mpu-object-size",
    "CompleteMultipartUpload with another MpuObjectSize than the size is refused.",
    source=f"{_S3}API/API_CompleteMultipartUpload.html",
    relies=_UPLOADS,
    makes="an upload, which it aborts",
)
def mpu_object_size(world: World) -> str:
    """Upload one part of 7 bytes and say that it is 8."""
    s3, where = world.spoke.client("s3"), {"Bucket": world.buckets["spoke"], "Key": "upload"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    try:
        etag = s3.upload_part(**where, PartNumber=1, Body=b"a model")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        return refused(
            s3.complete_multipart_upload,
            "InvalidRequest",
            "400",
            **where,
            MultipartUpload=parts,
            MpuObjectSize=8,
        )
    finally:
        s3.abort_multipart_upload(**where)


_MISMATCH = "AAAAAAAAAAA="
"""A CRC64NVME, and not that of the part."""


@check(
    "multipart-modes",
    "A FULL_OBJECT CRC64NVME upload compares the value at completion; one without an algorithm refuses a type.",
    source=f"{_S3}userguide/checking-object-integrity-upload.html; recorded by LocalStack",
    relies=_UPLOADS,
    makes="two uploads, each completed or aborted",
)
def multipart_modes(world: World) -> str:
    """Copy one part into an upload of each mode; complete it wrongly, then rightly."""
    world.put(world.spoke, "source")
    s3, bucket = world.spoke.client("s3"), world.buckets["spoke"]
    head = s3.head_object(Bucket=bucket, Key="source", ChecksumMode="ENABLED")
    whole = {"ChecksumType": "FULL_OBJECT"}
    named = _multipart(
        s3,
        {"Bucket": bucket, "Key": "named"},
        {"ChecksumAlgorithm": "CRC64NVME", **whole},
        ("BadDigest", {**whole, "ChecksumCRC64NVME": _MISMATCH}),
        {**whole, "ChecksumCRC64NVME": head["ChecksumCRC64NVME"]},
    )
    return f"{named}; {_multipart(s3, {'Bucket': bucket, 'Key': 'null'}, {}, ('InvalidRequest', whole), {})}"


def _multipart(
    s3: Any,
    where: dict[str, Any],
    mode: dict[str, str],
    wrong: tuple[str, dict[str, str]],
    right: dict[str, str],
) -> str:
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, **mode)["UploadId"]}
    source = {"Bucket": where["Bucket"], "Key": "source"}
    try:
        part = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)["CopyPartResult"]
        upload["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        said = refused(s3.complete_multipart_upload, wrong[0], **upload, **wrong[1])
        s3.complete_multipart_upload(**upload, **right)
    except BaseException:
        with suppress(ClientError):  # completed, when it was not refused
            s3.abort_multipart_upload(**where, UploadId=upload["UploadId"])
        raise
    return f"{mode or 'no algorithm'}: {said}, then completed"


@check(
    "annotations",
    "CopyObject of an annotated object needs permissions for annotations unless AnnotationDirective=EXCLUDE is named.",
    source=f"{_S3}API/API_CopyObject.html",
    relies=_HUB,
    makes="a role in the spoke",
)
def annotated_object(world: World) -> str:
    """Copy with a role that may not read annotations: once with the default, once without annotations."""
    world.put(world.spoke, "annotated")
    s3, bucket = world.spoke.client("s3"), world.buckets["spoke"]
    where = {"Bucket": bucket, "Key": "annotated"}
    try:
        s3.put_object_annotation(**where, AnnotationName="check", AnnotationPayload=b"a note")
        s3.list_object_annotations(**where)
    except (BotoCoreError, ClientError) as error:
        raise NotTriedError(f"there are no annotations here: {error}") from error
    trust = {
        "Principal": {"AWS": f"arn:aws:iam::{world.spoke.account}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    works = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"}
    role = world.role(world.spoke, "annotated", trust, works)
    narrow: dict[str, Any] = {"Bucket": bucket, "CopySource": where}

    def copied() -> bool:
        copy = _assumed(world, role, world.spoke.account, world.spoke).client("s3").copy_object
        copy(**narrow, Key="without", AnnotationDirective="EXCLUDE")
        return True

    world.until(copied, "copy without annotations")
    copy = _assumed(world, role, world.spoke.account, world.spoke).client("s3").copy_object
    said = refused(copy, "403", **narrow, Key="with")
    found = s3.list_object_annotations(Bucket=bucket, Key="without").get("Annotations", [])
    return expect(not found, f"EXCLUDE: copied with {len(found)} annotations; the default: {said}")


@check(
    "session-tag",
    "A role that may read where s3:ResourceAccount is ${aws:PrincipalTag/spoke} copies from the tagged account only.",
    source="https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html",
    relies="template.yaml, S3CopyRole",
    makes="a role in the hub; a policy on the spoke's throwaway bucket",
)
def session_tag(world: World) -> str:
    """Copy with the right tag and with the wrong one; look for an object that is not there."""
    world.put(world.spoke, "tagged")
    hub, spoke = world.buckets["hub"], world.buckets["spoke"]
    trust = {
        "Principal": {"AWS": f"arn:aws:iam::{world.hub.account}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    reads = {
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": "*",
        "Condition": {"StringEquals": {"s3:ResourceAccount": "${aws:PrincipalTag/spoke}"}},
    }
    writes = {"Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{hub}/*"}
    lists = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{hub}"}
    role = world.role(world.hub, "copy", trust, reads, writes, lists)
    admitted = {
        "Principal": {"AWS": f"arn:aws:iam::{world.hub.account}:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{spoke}/*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }
    world.spoke.client("s3").put_bucket_policy(Bucket=spoke, Policy=document(admitted))
    source = {"Bucket": spoke, "Key": "tagged"}

    def copied() -> bool:
        copy = _assumed(world, role, world.spoke.account).client("s3").copy_object
        copy(Bucket=hub, Key="tagged", CopySource=source, ExpectedSourceBucketOwner=world.spoke.account)
        return True

    world.until(copied, "copy with the tag of the spoke")
    wrong = _assumed(world, role, world.hub.account).client("s3")
    said = refused(wrong.copy_object, "403", Bucket=hub, Key="tagged-2", CopySource=source)
    missing = refused(wrong.head_object, "404", Bucket=hub, Key="never-there")
    return f"with the tag: copied; with another: {said}; of a missing object: {missing}"


def _assumed(world: World, role: str, tag: str, by: Side | None = None) -> Side:
    by = by or world.hub
    answer = by.client("sts").assume_role(
        RoleArn=role, RoleSessionName="check", Tags=[{"Key": "spoke", "Value": tag}]
    )["Credentials"]
    session = boto3.Session(
        aws_access_key_id=answer["AccessKeyId"],
        aws_secret_access_key=answer["SecretAccessKey"],
        aws_session_token=answer["SessionToken"],
        region_name=by.region,
    )
    return Side(by.name, session, by.account, by.endpoint)


@check(
    "missing-object",
    "HeadObject of a missing object is 404 for who may list the bucket.",
    source=f"{_S3}API/API_HeadObject.html",
    relies=_HUB,
)
def missing_object(world: World) -> str:
    """Look for an object that never was."""
    try:
        world.spoke.client("s3").head_object(Bucket=world.buckets["spoke"], Key="never-there")
    except ClientError as error:
        return expect(error.response["Error"]["Code"] == "404", str(error))
    return expect(False, "the object is there")


CHECKS: tuple[Check, ...] = (
    source_owner,
    bucket_owner,
    missing_object,
    copy_if_match,
    copy_if_none_match,
    crc64nvme,
    mpu_object_size,
    multipart_modes,
    annotated_object,
    session_tag,
)
