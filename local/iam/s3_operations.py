"""Which permissions the operations of S3 need.

Sources:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html (both sides of a copy, and its tags)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from local.iam.policy import Access

if TYPE_CHECKING:
    from local.iam.requests import Call


class Buckets(Protocol):
    """What has to be known of the buckets to tell which permissions a call needs."""

    def owner(self, bucket: str) -> str | None:
        """Give the account that owns the bucket; None if there is no such bucket."""

    def has_tags(self, bucket: str, key: str, version: str | None) -> bool:
        """Tell whether the object is there and has tags."""


# operation: (action, action for a version that is named)
_OBJECT = {
    "GetObject": ("GetObject", "GetObjectVersion"),
    "HeadObject": ("GetObject", "GetObjectVersion"),
    "GetObjectTagging": ("GetObjectTagging", "GetObjectVersionTagging"),
    "PutObjectTagging": ("PutObjectTagging", "PutObjectVersionTagging"),
    "DeleteObjectTagging": ("DeleteObjectTagging", "DeleteObjectVersionTagging"),
    "GetObjectAcl": ("GetObjectAcl", "GetObjectVersionAcl"),
    "PutObjectAcl": ("PutObjectAcl", "PutObjectVersionAcl"),
    "DeleteObject": ("DeleteObject", "DeleteObjectVersion"),
    "PutObject": ("PutObject", "PutObject"),
    "CreateMultipartUpload": ("PutObject", "PutObject"),
    "UploadPart": ("PutObject", "PutObject"),
    "CompleteMultipartUpload": ("PutObject", "PutObject"),
    "AbortMultipartUpload": ("AbortMultipartUpload", "AbortMultipartUpload"),
    "ListParts": ("ListMultipartUploadParts", "ListMultipartUploadParts"),
}
_BUCKET = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
} | {
    same: same
    for same in (
        "CreateBucket", "DeleteBucket", "GetBucketLocation", "GetBucketPolicy", "PutBucketPolicy",
        "DeleteBucketPolicy", "GetBucketVersioning", "PutBucketVersioning", "GetBucketTagging",
        "PutBucketTagging", "GetBucketOwnershipControls", "PutBucketOwnershipControls", "GetBucketAcl",
    )
}  # fmt: skip
_HEADER_KEYS = (
    "x-amz-acl", "x-amz-copy-source", "x-amz-metadata-directive", "x-amz-storage-class",
    "x-amz-server-side-encryption",
)  # fmt: skip
_KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
_QUERY_KEYS = ("prefix", "delimiter", "max-keys")
_COPY_SOURCE = re.compile(r"/?(?P<bucket>[^/]+)/(?P<key>[^?]*)(?:\?versionId=(?P<version>.*))?", re.DOTALL)


def s3_accesses(call: Call, own: str, buckets: Buckets) -> tuple[list[Access], bool]:
    """Give the accesses that a call of S3 needs, and whether the operation is one that is known here."""
    if call.operation == "ListBuckets":
        return [Access("s3:ListAllMyBuckets", "*")], True
    bucket, key = call.params.get("Bucket"), call.params.get("Key")
    if not bucket:
        return [], False
    owner = buckets.owner(bucket)
    if owner is None and call.operation != "CreateBucket":
        return [], True  # S3 says that there is no such bucket
    where = _Target(call, bucket, owner or own)
    if call.operation in ("CopyObject", "UploadPartCopy"):
        return _copy(call, buckets, where, key or ""), True
    if call.operation == "DeleteObjects":
        return _delete(call, where), True
    if call.operation in _BUCKET:
        return [where.access(_BUCKET[call.operation])], True
    version = call.params.get("versionId")
    if call.operation == "GetObjectAttributes":
        names = ("GetObjectVersion", "GetObjectVersionAttributes") if version else ()
        return [where.access(n, key) for n in names or ("GetObject", "GetObjectAttributes")], True
    if call.operation in _OBJECT:
        actions = [_OBJECT[call.operation][bool(version)]]
        if actions == ["PutObject"]:
            actions += _written_with(call)
        return [where.access(action, key) for action in actions], True
    return [where.access(call.operation, key)], False


class _Target:
    """A bucket in a call, for which accesses are made."""

    def __init__(self, call: Call, bucket: str, owner: str) -> None:
        self.arn = f"arn:{call.partition}:s3:::{bucket}"
        self.owner = owner
        values = {f"s3:{name}": call.params.get(name) for name in _HEADER_KEYS}
        values |= {f"s3:{name}": call.params.get(name) for name in _QUERY_KEYS}
        values |= {
            f"s3:{_KEY_ID}": call.params.get(_KEY_ID),
            "s3:VersionId": call.params.get("versionId"),
            "s3:ResourceAccount": owner,
        }
        tags = parse_qs(call.params.get("x-amz-tagging", ""), keep_blank_values=True)
        values |= {f"s3:RequestObjectTag/{name}": texts[0] for name, texts in tags.items()}
        self.context = {name: value for name, value in values.items() if value is not None}

    def access(self, action: str, key: str | None = None) -> Access:
        resource = self.arn if key is None else f"{self.arn}/{key}"
        return Access(f"s3:{action}", resource, self.owner, self.context)


def _written_with(call: Call) -> list[str]:
    """Give the further actions that headers of a write need."""
    tagged = ["PutObjectTagging"] if call.params.get("x-amz-tagging") else []
    return tagged + (["PutObjectAcl"] if call.params.get("x-amz-acl") else [])


def _copy(call: Call, buckets: Buckets, where: _Target, key: str) -> list[Access]:
    found = _COPY_SOURCE.fullmatch(call.params.get("x-amz-copy-source", ""))
    written = [where.access(action, key) for action in ("PutObject", *_written_with(call))]
    owner = buckets.owner(unquote(found["bucket"])) if found else None
    if not found or owner is None:
        return written
    bucket, source_key, version = unquote(found["bucket"]), unquote(found["key"]), found["version"]
    source = _Target(call, bucket, owner)
    source.context = {"s3:ResourceAccount": source.owner} | ({"s3:VersionId": version} if version else {})
    needed = [source.access("GetObjectVersion" if version else "GetObject", source_key)]
    copies_tags = call.operation == "CopyObject" and call.params.get("x-amz-tagging-directive") != "REPLACE"
    if copies_tags and buckets.has_tags(bucket, source_key, version):
        needed.append(source.access(_OBJECT["GetObjectTagging"][bool(version)], source_key))
        written.append(where.access("PutObjectTagging", key))
    return needed + written


def _delete(call: Call, where: _Target) -> list[Access]:
    """Read the keys of a DeleteObjects request. Raises `ParseError` where the body is not XML."""
    root = ElementTree.fromstring(call.params["body"])  # noqa: S314 - from a client of the local AWS
    accesses = []
    for item in root.iter():
        if item.tag.rpartition("}")[2] == "Object":
            members = {child.tag.rpartition("}")[2]: child.text or "" for child in item}
            action = "DeleteObjectVersion" if "VersionId" in members else "DeleteObject"
            accesses.append(where.access(action, members.get("Key", "")))
    return accesses


def looked_up(call: Call) -> tuple[str, str] | None:
    """Give bucket and key of the object that a call reads, where AWS hides whether it is there.

    Without ``s3:ListBucket`` the answer for a missing object is 403, not 404:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    if call.operation in ("GetObject", "HeadObject", "GetObjectAttributes"):
        return call.params.get("Bucket", ""), call.params.get("Key", "")
    if call.operation in ("CopyObject", "UploadPartCopy"):
        found = _COPY_SOURCE.fullmatch(call.params.get("x-amz-copy-source", ""))
        return (unquote(found["bucket"]), unquote(found["key"])) if found else None
    return None
