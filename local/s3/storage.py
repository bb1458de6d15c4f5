"""Objects in the buckets of moto: found, and written with all that S3 gives them at once."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.s3 import notifications
from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends
from moto.s3.utils import ARCHIVE_STORAGE_CLASSES, STORAGE_CLASS

from local.s3 import checksums, conditions, encryption
from local.s3.errors import S3Error, no_such_bucket, no_such_key, no_such_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.s3.checksums import Checksum
    from local.s3.encryption import Encryption

_KEPT = {
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object that was uploaded in parts.

    Parameters
    ----------
    number, size
        Its number, and its size in bytes.
    checksum
        Its checksum, where the upload has one of its parts (COMPOSITE).
    """

    number: int
    size: int
    checksum: Checksum | None


@dataclass(frozen=True, slots=True)
class New:
    """An object that is to be written.

    Parameters
    ----------
    name, body
        Its key and its bytes.
    checksum, encryption
        What it has of them.
    headers
        Metadata as a reader gets it: ``x-amz-meta-…``, ``Content-Type``.
    tags
        By key.
    storage_class
        For instance ``STANDARD``.
    etag
        Without quotes; the MD5 or what hides it by default.
    acl, lock
        As moto keeps them; ``lock`` are the arguments that `FakeKey` has for it.
    upload
        The multipart upload of moto that is completed by it.
    parts
        What it was uploaded in.
    """

    name: str
    body: bytes
    checksum: Checksum
    encryption: Encryption
    headers: Mapping[str, str]
    tags: Mapping[str, str]
    storage_class: str = "STANDARD"
    etag: str | None = None
    acl: Any = None
    lock: Mapping[str, Any] = field(default_factory=dict)
    upload: Any = None
    parts: tuple[Part, ...] = ()


def find_bucket(backend: Any, name: str) -> Any:
    """Return a bucket, whichever account owns it.

    Raises
    ------
    S3Error
        NoSuchBucket.
    """
    if name in backend.buckets:
        return backend.buckets[name]
    if name in s3_backends.bucket_accounts:
        partition, account = s3_backends.bucket_accounts[name]
        return s3_backends[account][partition].buckets[name]
    raise no_such_bucket(name)


def find_key(bucket: Any, name: str, version: str | None) -> Any:
    """Return an object of a bucket.

    Raises
    ------
    S3Error
        NoSuchKey, NoSuchVersion, or MethodNotAllowed for a version that is a delete marker.
    """
    versions = bucket.keys.getlist(name, [])
    found = next((each for each in reversed(versions) if version in (None, str(each.version_id))), None)
    if isinstance(found, FakeDeleteMarker):
        raise _deleted(found, version)
    if found is None:
        raise no_such_version(name, version) if version else no_such_key(name)
    found.advance()  # of a restore from an archive
    return found


def _deleted(marker: Any, version: str | None) -> S3Error:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html."""
    error = no_such_key(marker.name)
    if version:
        message = "The specified method is not allowed against this resource."
        about = {"Method": "GET", "ResourceType": "DeleteMarker"}
        error = S3Error("MethodNotAllowed", message, 405, **about)
    error.headers = {"x-amz-delete-marker": "true", "x-amz-version-id": str(marker.version_id)}
    return error


def is_archived(key: Any) -> bool:
    """Whether an object has to be restored before it is read."""
    restored = 'ongoing-request="false"' in key.response_dict.get("x-amz-restore", "")
    return key.storage_class in ARCHIVE_STORAGE_CLASSES and not restored


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what of the headers of a write a reader gets back."""
    kept = {
        name: str(value)
        for name, value in headers.items()
        if name.lower() in _KEPT or name.lower().startswith("x-amz-meta-")
    }
    encoding = [
        each for each in kept.pop("Content-Encoding", "").split(",") if each not in ("", "aws-chunked")
    ]
    return kept | ({"Content-Encoding": ",".join(encoding)} if encoding else {})


def write(bucket: Any, new: New, event: str) -> Any:
    """Write an object, visible with all it has, and return it.

    Parameters
    ----------
    event
        The name of moto's notification: ``OBJECT_CREATED_PUT_EVENT``.
    """
    if new.storage_class not in STORAGE_CLASS:
        raise S3Error("InvalidStorageClass", "The storage class you specified is not valid")
    etag = new.etag or new.encryption.etag() or hashlib.md5(new.body, usedforsecurity=False).hexdigest()
    key = FakeKey(
        name=new.name,
        bucket_name=bucket.name,
        value=new.body,
        account_id=bucket.account_id,
        region_name=bucket.region_name,
        storage=new.storage_class,
        etag=etag,
        is_versioned=bucket.is_versioned,
        version_id=str(uuid.uuid4()) if bucket.is_versioned else "null",
        multipart=new.upload,
        **new.lock,
    )
    checksums.put_on_key(key, new.checksum)
    encryption.put_on_key(key, new.encryption)
    conditions.note_written(key)
    key.stored_parts = new.parts
    key.set_metadata({**new.headers})
    key.set_acl(new.acl)
    _put_tags(key, new.tags)
    before = bucket.keys.getlist(new.name, []) if bucket.is_versioned else []
    bucket.keys.setlist(new.name, [*before, key])
    kind = notifications.S3NotificationEvent[event]
    notifications.send_event(bucket.account_id, kind, bucket, key)
    return key


def backend_of(key: Any) -> Any:
    """Return moto's backend of the account that owns an object."""
    return s3_backends[key.account_id][key.partition]


def _put_tags(key: Any, tags: Mapping[str, str]) -> None:
    """Give an object its tags, and none of one that was there before.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    """
    tagger = backend_of(key).tagger
    wanted = tagger.convert_dict_to_tags_input(tags)
    if len(wanted) > 10:
        raise S3Error("BadRequest", "Object tags cannot be greater than 10")
    if wrong := tagger.validate_tags(wanted):
        raise S3Error("InvalidTag", wrong)
    tagger.delete_all_tags_for_resource(key.arn)
    tagger.tag_resource(key.arn, wanted)


def tags_of(key: Any) -> dict[str, str]:
    """Return the tags of an object, which are kept with its bucket."""
    tags: dict[str, str] = backend_of(key).tagger.get_tag_dict_for_resource(key.arn)
    return tags


def version_header(key: Any) -> dict[str, str]:
    """Return the header that names the version, where there are versions."""
    return {} if key.version_id == "null" else {"x-amz-version-id": key.version_id}
