"""Single objects: put, read, described and deleted."""

from __future__ import annotations

import functools
from datetime import UTC
from typing import TYPE_CHECKING, Any

from moto.s3.exceptions import InvalidObjectState

from local.evidence import Evidence, Rule
from local.s3 import checksums, conditions, encryption, metadata, storage
from local.s3.errors import S3Error
from local.s3.xml import document

if TYPE_CHECKING:
    from local.s3.rules import S3Rules

RULES = (
    Rule(
        "s3-put-tells-checksum",
        "PutObject answers checksum, type and encryption.",
        Evidence.RECORDED,
        "s3/checksum-values.json",
    ),
    Rule(
        "s3-read-tells-checksum",
        "GET and HEAD tell the checksum when the request asks for it, of the whole object only; of a part that is "
        "read by its number, when the checksum is COMPOSITE.",
        Evidence.RECORDED,
        "s3/multipart-composite.json",
    ),
    Rule(
        "s3-attributes",
        "GetObjectAttributes answers what was asked for; parts are described only of an object with a COMPOSITE "
        "checksum.",
        Evidence.RECORDED,
        "s3/multipart-composite.json",
    ),
    Rule(
        "s3-missing-object",
        "GET of a missing key, and of one whose latest version is a delete marker, is 404 NoSuchKey; HEAD is 404.",
        Evidence.RECORDED,
        "s3/owners-heads-ranges.json",
    ),
    Rule(
        "s3-archived-object",
        "An object in an archive is described but not read: 403 InvalidObjectState.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html",
    ),
    Rule(
        "s3-tags-have-one-place",
        "Whichever account asks, with the permission it gets the same tags of an object.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html",
    ),
)

type Answer = tuple[int, dict[str, str], str | bytes]

# Parameters of a signed URL that replace headers of the answer.
_OVERRIDES = {
    f"response-{name}": name
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
}


def put_object(request: Any, rules: S3Rules) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    body = request.body or b""
    sent = checksums.check_body(request, body)
    encrypted = encryption.requested(request.headers, bucket, request.current_account)
    new = storage.New(
        name=request.parse_key_name(),
        body=body,
        checksum=checksums.Checksum(*sent) if sent else checksums.whole(body, checksums.DEFAULT_ALGORITHM),
        encryption=encrypted,
        headers=metadata.decoded(storage.metadata_of(request.headers)),
        tags=request._tagging_from_headers(request.headers),
        storage_class=request.headers.get("x-amz-storage-class", "STANDARD"),
        acl=request._acl_from_headers(request.headers) or bucket.acl,
        lock=lock_of(request, bucket),
    )
    with rules.writing:
        conditions.check_write(request.headers, bucket, new.name)
        key = storage.write(bucket, new, "OBJECT_CREATED_PUT_EVENT")
    headers = {
        "ETag": key.etag,
        **encrypted.headers(),
        **new.checksum.headers(),
        **storage.version_header(key),
    }
    return 200, {**request._get_cors_headers_other(), **headers}, b""


def lock_of(request: Any, bucket: Any) -> dict[str, Any]:
    """Return how a new object is locked, as moto keeps it."""
    hold, mode, until = request._get_lock_details(bucket, bucket.object_lock_enabled)
    return {"lock_legal_status": hold, "lock_mode": mode, "lock_until": until}


def get_object(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html."""
    key, unmodified = _find(request)
    if unmodified:
        return _not_modified(request, key)
    if storage.is_archived(key):
        raise InvalidObjectState(key.storage_class)
    encryption.check_use(encryption.of(key), request.current_account)
    status, headers, first, last = _read(request, key)
    for parameter, name in _OVERRIDES.items():
        if parameter in request.querystring:
            headers = {each: value for each, value in headers.items() if each.lower() != name}
            headers[name] = request.querystring[parameter][0]
    return status, headers, key.value[first:last]


def head_object(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""
    key, unmodified = _find(request)
    if unmodified:
        return _not_modified(request, key)
    if _wants_checksum(request):
        encryption.check_use(encryption.of(key), request.current_account)
    status, headers, _, _ = _read(request, key)
    return status, headers, b""


def get_object_attributes(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html."""
    key, _ = _find(request)
    wanted = {each.strip() for each in request.headers.get("x-amz-object-attributes", "").split(",")}
    checksum = checksums.of_key(key)
    told: dict[str, Any] = {}
    if "ETag" in wanted:
        told["ETag"] = key.etag.strip('"')
    if "Checksum" in wanted and checksum:
        told["Checksum"] = {f"Checksum{checksum.algorithm}": checksum.value, "ChecksumType": checksum.type}
    if "ObjectParts" in wanted and key.stored_parts and checksum:
        told["ObjectParts"] = _described_parts(request, key, checksum)
    if "StorageClass" in wanted:
        told["StorageClass"] = key.storage_class
    if "ObjectSize" in wanted:
        told["ObjectSize"] = key.size
    headers = {"Last-Modified": key.last_modified_RFC1123, "Content-Type": "application/xml"}
    headers |= storage.version_header(key)
    return 200, headers, document("GetObjectAttributesResponse", told)


def _described_parts(request: Any, key: Any, checksum: checksums.Checksum) -> dict[str, Any]:
    count = {"PartsCount": len(key.stored_parts)}
    if checksum.parts is None:
        return count
    most = int(request.headers.get("x-amz-max-parts", 1000))
    marker = int(request.headers.get("x-amz-part-number-marker", 0))
    later = [part for part in key.stored_parts if part.number > marker]
    page = later[:most]
    return count | {
        "IsTruncated": len(page) < len(later),
        "MaxParts": most,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "PartNumberMarker": marker,
        "Part": [
            {
                **({f"Checksum{part.checksum.algorithm}": part.checksum.value} if part.checksum else {}),
                "PartNumber": part.number,
                "Size": part.size,
            }
            for part in page
        ],
    }


def _find(request: Any) -> tuple[Any, bool]:
    """Return the object of a request, and whether it is not modified."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    version = request.querystring.get("versionId", [None])[0]
    key = storage.find_key(bucket, request.parse_key_name(), version)
    encryption.check_read(request.headers, key)
    return key, conditions.check_read(request.headers, key)


def _not_modified(request: Any, key: Any) -> Answer:
    return 304, {**request._get_cors_headers_other(), "ETag": key.etag, **storage.version_header(key)}, b""


def _wants_checksum(request: Any) -> bool:
    return str(request.headers.get("x-amz-checksum-mode", "")).upper() == "ENABLED"


def _read(request: Any, key: Any) -> tuple[int, dict[str, str], int, int]:
    """Return status, headers, and the first byte and the end of what is read."""
    headers = {**request._get_cors_headers_other(), **key.response_dict, **metadata.encoded(key.metadata)}
    headers.pop("x-amz-sdk-checksum-algorithm", None)
    headers |= {"Accept-Ranges": "bytes", **storage.version_header(key), **encryption.of(key).headers()}
    number = request.querystring.get("partNumber", [None])[0]
    if number is None:
        if _wants_checksum(request) and (checksum := checksums.of_key(key)):
            headers |= checksum.headers()
        return 200, headers, 0, key.size
    return _part(request, key, int(number), headers)


def _part(
    request: Any, key: Any, number: int, headers: dict[str, str]
) -> tuple[int, dict[str, str], int, int]:
    parts = key.stored_parts or (storage.Part(1, key.size, None),)
    if not 1 <= number <= len(parts):
        about = {"ActualPartCount": str(len(parts)), "PartNumberRequested": str(number)}
        raise S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable", 416, **about)
    part = parts[number - 1]
    first = sum(each.size for each in parts[: number - 1])
    headers["content-range"] = f"bytes {first}-{first + part.size - 1}/{key.size}"
    headers["content-length"] = str(part.size)
    if key.stored_parts:
        headers["x-amz-mp-parts-count"] = str(len(parts))
    if part.checksum and _wants_checksum(request):
        headers[checksums.header(part.checksum.algorithm)] = part.checksum.value
        headers["x-amz-checksum-type"] = checksums.COMPOSITE
    return 206, headers, first, first + part.size


def noting_deletion(old: Any) -> Any:
    """Wrap moto's deletion: an upload that was begun before it conflicts with it."""

    @functools.wraps(old)
    def delete_object(self: Any, bucket_name: str, key_name: str, *args: Any, **more: Any) -> Any:
        conditions.note_deleted(self.get_bucket(bucket_name), key_name)
        return old(self, bucket_name, key_name, *args, **more)

    return delete_object


def of_its_bucket(old: Any) -> Any:
    """Wrap moto's calls about tags: those of an object have one place, whichever account asks."""

    @functools.wraps(old)
    def tagging(self: Any, key: Any, *args: Any, **more: Any) -> Any:
        return old(storage.backend_of(key), key, *args, **more)

    return tagging


def time_of(thing: Any) -> str:
    """Return when an object or a part was written, as documents of S3 have it."""
    text: str = thing.last_modified.replace(tzinfo=UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
