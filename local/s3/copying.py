"""CopyObject, and what it and UploadPartCopy ask of the source of a copy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from moto.s3.exceptions import InvalidObjectState, ObjectNotInActiveTierError

from local.evidence import Evidence, Rule
from local.s3 import checksums, conditions, encryption, metadata, objects, storage
from local.s3.errors import S3Error, access_denied, invalid_argument, invalid_request
from local.s3.xml import document

if TYPE_CHECKING:
    from local.s3.objects import Answer
    from local.s3.rules import S3Rules

RULES = (
    Rule(
        "s3-copy-keeps-algorithm",
        "A copy has the checksum algorithm of its source unless the request names one; its checksum is of the whole "
        "object, even if that of the source is COMPOSITE.",
        Evidence.RECORDED,
        "s3/copy-checksums.json",
    ),
    Rule(
        "s3-copy-etag",
        "The ETag of a copy of an object that was uploaded in parts is the MD5 of its bytes.",
        Evidence.RECORDED,
        "s3/copy-checksums.json",
    ),
    Rule(
        "s3-copy-source",
        "A missing source is 404 NoSuchBucket or NoSuchKey, a delete marker by its version 400 InvalidRequest, a "
        "source without a key 400 InvalidArgument.",
        Evidence.RECORDED,
        "s3/copy-preconditions.json",
    ),
    Rule(
        "s3-copy-in-place",
        "A copy of an object to itself that changes nothing is 400 InvalidRequest.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html",
    ),
    Rule(
        "s3-copy-tags",
        "A copy has the tags of its source, between accounts too, unless the request replaces them.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html",
    ),
    Rule(
        "s3-largest-copy",
        "CopyObject takes a source of up to 5 GB, UploadPartCopy a range of up to 5 GB: else 400 InvalidRequest.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html",
    ),
    Rule(
        "s3-copy-range",
        "A range that is partly beyond the source is 400 InvalidArgument, one that is wholly beyond 400 "
        "InvalidRequest, and one of another form 400 InvalidArgument.",
        Evidence.RECORDED,
        "s3/multipart-part-copy.json",
    ),
    Rule(
        "s3-copy-range-before-pin",
        "UploadPartCopy answers for the range before it answers for a condition on the source.",
        Evidence.INFERRED,
        "The order is not recorded; this one hides from a client that the source was overwritten.",
    ),
)

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


def copy_object(request: Any, rules: S3Rules) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    headers, name = request.headers, request.parse_key_name()
    source, version = find_source(request, rules)
    encryption.check_read(headers, source, source=True)
    conditions.check_source(headers, source)
    encryption.check_use(encryption.of(source), request.current_account)
    if storage.is_archived(source):
        raise ObjectNotInActiveTierError(source.name)
    if source.size > rules.largest_copy:
        raise _too_large(rules)
    encrypted = encryption.requested(headers, bucket, request.current_account)
    replaced = headers.get("x-amz-metadata-directive") == "REPLACE"
    if (source.bucket_name, source.name) == (bucket.name, name) and version is None:
        _check_change(headers, source, bucket, replaced=replaced)
    algorithm = _algorithm(headers.get("x-amz-checksum-algorithm")) or source.checksum_algorithm
    retagged = headers.get("x-amz-tagging-directive") == "REPLACE"
    new = storage.New(
        name=name,
        body=source.value,
        checksum=checksums.whole(source.value, algorithm),
        encryption=encrypted,
        headers=metadata.decoded(storage.metadata_of(headers)) if replaced else dict(source.metadata),
        tags=request._tagging_from_headers(headers) if retagged else storage.tags_of(source),
        storage_class=headers.get("x-amz-storage-class", "STANDARD"),
        acl=request._acl_from_headers(headers) or bucket.acl,
        lock=objects.lock_of(request, bucket),
    )
    with rules.writing:
        conditions.check_write(headers, bucket, name)
        key = storage.write(bucket, new, "OBJECT_CREATED_COPY_EVENT")
    told = {"ETag": key.etag, "LastModified": objects.time_of(key), **new.checksum.members()}
    about = {**encrypted.headers(), **storage.version_header(key), **source_header(source)}
    return 200, {**about, "Content-Type": "application/xml"}, document("CopyObjectResult", told)


def _algorithm(text: str | None) -> str | None:
    if text and text.upper() not in checksums.ALGORITHMS:
        raise unsupported_algorithm()
    return text.upper() if text else None


def unsupported_algorithm() -> S3Error:
    """Return the refusal for a checksum algorithm that S3 does not know."""
    return invalid_request(
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
        f"[{', '.join(sorted(checksums.ALGORITHMS))}]"
    )


def _check_change(headers: Any, source: Any, bucket: Any, *, replaced: bool) -> None:
    changes = (
        "x-amz-storage-class",
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-website-redirect-location",
        "x-amz-checksum-algorithm",
    )
    encrypted = encryption.of(source).hides_digest or bucket.encryption
    if not (replaced or encrypted or any(each in headers for each in changes)):
        raise invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )


def find_source(request: Any, rules: S3Rules) -> tuple[Any, str | None]:
    """Return the object that ``x-amz-copy-source`` names, and its version where one is named.

    Raises
    ------
    S3Error
        It is not there, or the caller may not read it.
    """
    path, _, query = request.headers["x-amz-copy-source"].partition("?")
    bucket_name, _, name = unquote(path).removeprefix("/").partition("/")
    if not name:
        header = "x-amz-copy-source"
        raise invalid_argument("Invalid copy source object key", header, header)
    version = parse_qs(query).get("versionId", [None])[0]
    bucket = storage.find_bucket(request.backend, bucket_name)
    owner = request.headers.get("x-amz-source-expected-bucket-owner")
    if owner and owner != bucket.account_id:
        raise access_denied()
    rules.check_reader(request, bucket)
    try:
        return storage.find_key(bucket, name, version), version
    except S3Error as error:
        if error.code == "MethodNotAllowed":
            raise invalid_request(
                "The source of a copy request may not specifically refer to a delete marker by version id."
            ) from error
        raise


def source_header(source: Any) -> dict[str, str]:
    """Return the header that names the version that was copied, where there are versions."""
    return {} if source.version_id == "null" else {"x-amz-copy-source-version-id": source.version_id}


def bytes_of_range(request: Any, source: Any, rules: S3Rules) -> bytes:
    """Return the bytes of the source that UploadPartCopy is to copy.

    Raises
    ------
    S3Error
        The range is none, not within the source, or too large.
    """
    if storage.is_archived(source):
        raise InvalidObjectState(source.storage_class)
    first, last = _range(request, source.size)
    if last - first + 1 > rules.largest_copy:
        raise _too_large(rules)
    body: bytes = source.value
    return body[first : last + 1]


def _range(request: Any, size: int) -> tuple[int, int]:
    header = "x-amz-copy-source-range"
    wanted = request.headers.get(header)
    if not wanted:
        return 0, size - 1
    found = _RANGE.fullmatch(wanted)
    if found is None or int(found[1]) > int(found[2]):
        message = (
            f"The {header} value must be of the form bytes=first-last where first and last are the zero-based "
            "offsets of the first and last bytes to copy"
        )
        raise invalid_argument(message, header, wanted)
    first, last = int(found[1]), int(found[2])
    if first >= size:
        raise invalid_request("The specified copy range is invalid for the source object size")
    if last >= size:
        message = f"Range specified is not valid for source object of size: {size}"
        raise invalid_argument(message, header, wanted)
    return first, last


def _too_large(rules: S3Rules) -> S3Error:
    return invalid_request(
        "The specified copy source is larger than the maximum allowable size for a copy source: "
        f"{rules.largest_copy}"
    )
