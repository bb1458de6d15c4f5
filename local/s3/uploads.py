"""Multipart uploads: begun, their parts, and their lists."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from moto.s3.models import FakeMultipart

from local.evidence import Evidence, Rule
from local.s3 import checksums, conditions, copying, encryption, metadata, objects, storage
from local.s3.checksums import COMPOSITE, FULL_OBJECT
from local.s3.errors import invalid_argument, invalid_request
from local.s3.xml import document

if TYPE_CHECKING:
    from local.s3.objects import Answer
    from local.s3.rules import S3Rules

RULES = (
    Rule(
        "s3-checksum-types",
        "An upload with SHA1 or SHA256 is COMPOSITE, with CRC64NVME FULL_OBJECT, with CRC32 or CRC32C what it says, "
        "else COMPOSITE; other pairs, a type without an algorithm, and unknown algorithms are 400 InvalidRequest.",
        Evidence.RECORDED,
        "s3/multipart-composite.json",
    ),
    Rule(
        "s3-part-checksum-algorithm",
        "A part with a checksum of another algorithm than its upload's is 400 InvalidRequest.",
        Evidence.RECORDED,
        "s3/multipart-full-object.json",
    ),
    Rule(
        "s3-part-without-checksum",
        "A part without a checksum is refused by a COMPOSITE upload; in a FULL_OBJECT upload S3 adds it.",
        Evidence.RECORDED,
        "s3/multipart-checksums-cross-tests.json",
    ),
    Rule(
        "s3-part-checksum-is-copied",
        "UploadPartCopy computes the checksum of the part in the algorithm of the upload, whatever the source has.",
        Evidence.RECORDED,
        "s3/multipart-part-copy.json",
    ),
    Rule(
        "s3-list-parts",
        "ListParts goes on after a part number, and tells algorithm, type and checksums only of an upload that was "
        "begun with an algorithm.",
        Evidence.RECORDED,
        "s3/multipart-null-mode.json",
    ),
    Rule(
        "s3-list-uploads",
        "ListMultipartUploads answers in pages, by key and by time; a marker of another key's upload is 400 "
        "InvalidArgument.",
        Evidence.RECORDED,
        "s3/multipart-errors-and-lists.json",
    ),
    Rule(
        "s3-list-uploads-gone-marker",
        "A marker of an upload that is gone marks no place: what is left of its key comes again.",
        Evidence.INFERRED,
        "Nothing says what S3 does with it; this answer makes a client look at an upload twice.",
    ),
)


def create(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    headers, name = request.headers, request.parse_key_name()
    algorithm, kind = _mode(headers)
    encrypted = encryption.requested(headers, bucket, request.current_account)
    upload = FakeMultipart(
        name,
        metadata.decoded(storage.metadata_of(headers)),
        account_id=bucket.account_id,
        region_name=bucket.region_name,
        storage=headers.get("x-amz-storage-class", "STANDARD"),
        tags=request._tagging_from_headers(headers),
        acl=request._acl_from_headers(headers),
    )
    upload.encrypted = encrypted
    upload.algorithm, upload.checksum_type = algorithm, kind
    upload.begun = conditions.moment()
    upload.initiated = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    upload.lock = objects.lock_of(request, bucket)
    bucket.multiparts[upload.id] = upload
    told = {"Bucket": bucket.name, "Key": name, "UploadId": upload.id}
    about = {"Content-Type": "application/xml", **encrypted.headers()}
    if algorithm and kind:
        about |= {"x-amz-checksum-algorithm": algorithm, "x-amz-checksum-type": kind}
    return 200, about, document("InitiateMultipartUploadResult", told)


def _mode(headers: Any) -> tuple[str | None, str | None]:
    """Return the algorithm and the type of an upload's checksum; None is what S3 calls the null mode."""
    algorithm, kind = headers.get("x-amz-checksum-algorithm"), headers.get("x-amz-checksum-type")
    if not algorithm:
        if kind:
            raise invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None, None
    algorithm = algorithm.upper()
    if algorithm not in checksums.ALGORITHMS:
        raise copying.unsupported_algorithm()
    kind = kind or (FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE)
    if kind == (
        COMPOSITE if algorithm == "CRC64NVME" else FULL_OBJECT if algorithm.startswith("SHA") else ""
    ):
        raise invalid_request(
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        )
    return algorithm, kind


def upload_part(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html."""
    upload, number = _target(request)
    body = request.body or b""
    sent = checksums.sent(request)
    algorithm = sent[0] if sent else None
    if upload.algorithm and algorithm != upload.algorithm and (sent or upload.checksum_type == COMPOSITE):
        raise invalid_request(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()}, "
            f"actual checksum Type: {algorithm.lower() if algorithm else 'null'}"
        )
    checksums.check_body(request, body)
    encryption.check_part(request.headers, upload)
    part = _put(request, upload, number, body)
    told = {checksums.header(sent[0]): sent[1]} if sent else _told_part(part, "x-amz-checksum-")
    return 200, {"ETag": part.etag, **told, **upload.encrypted.headers()}, b""


def upload_part_copy(request: Any, rules: S3Rules) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html."""
    upload, number = _target(request)
    source, _ = copying.find_source(request, rules)
    encryption.check_read(request.headers, source, source=True)
    encryption.check_part(request.headers, upload)
    body = copying.bytes_of_range(request, source, rules)
    conditions.check_source(request.headers, source)
    encryption.check_use(encryption.of(source), request.current_account)
    part = _put(request, upload, number, body)
    told = {"ETag": part.etag, "LastModified": objects.time_of(part), **_told_part(part, "Checksum")}
    about = {**upload.encrypted.headers(), **copying.source_header(source), "Content-Type": "application/xml"}
    return 200, about, document("CopyPartResult", told)


def _target(request: Any) -> tuple[Any, int]:
    """Return the upload of a request, and the number of its part."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    text = request.querystring["partNumber"][0]
    if not (text.isdigit() and 1 <= int(text) <= 10_000):
        message = "Part number must be an integer between 1 and 10000, inclusive"
        raise invalid_argument(message, "partNumber", text)
    upload = bucket.multiparts[request.querystring["uploadId"][0]]
    encryption.check_use(upload.encrypted, request.current_account)
    return upload, int(text)


def _put(request: Any, upload: Any, number: int, body: bytes) -> Any:
    part = upload.set_part(number, body)
    part._etag = upload.encrypted.etag() or hashlib.md5(body, usedforsecurity=False).hexdigest()
    if upload.algorithm:
        part.checksum_algorithm = upload.algorithm
        part.checksum_value = checksums.compute(body, upload.algorithm)
    return part


def _told_part(part: Any, prefix: str) -> dict[str, str]:
    """Return the checksum of a part, as header or element, where its upload has an algorithm."""
    if part.checksum_algorithm is None:
        return {}
    name = part.checksum_algorithm
    return {f"{prefix}{name.lower() if prefix.startswith('x-') else name}": part.checksum_value}


def list_parts(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    upload = bucket.multiparts[request.querystring["uploadId"][0]]
    marker = _number(request, "part-number-marker", 0)
    most = _number(request, "max-parts", 1000)
    later = [upload.parts[number] for number in sorted(upload.parts) if number > marker]
    page = later[: min(most, 1000)]
    told = {
        "Bucket": bucket.name,
        "Key": upload.key_name,
        "UploadId": upload.id,
        **_told_mode(upload),
        "Initiator": _initiator(upload),
        "Owner": {"ID": owner_id(bucket.account_id)},
        "StorageClass": upload.storage,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].name if page else 0,
        "MaxParts": most,
        "IsTruncated": len(page) < len(later),
        "Part": [
            {
                "PartNumber": part.name,
                "LastModified": objects.time_of(part),
                "ETag": part.etag,
                "Size": part.size,
                **_told_part(part, "Checksum"),
            }
            for part in page
        ],
    }
    return 200, {"Content-Type": "application/xml"}, document("ListPartsResult", told)


def _number(request: Any, name: str, default: int) -> int:
    text = request.querystring.get(name, [str(default)])[0]
    if not (text.isdigit() and int(text) <= 2**31 - 1):
        raise invalid_argument(f"Provided {name} not an integer or within integer range", name, text)
    return int(text)


def _told_mode(upload: Any) -> dict[str, str]:
    return (
        {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
        if upload.algorithm
        else {}
    )


def owner_id(account: str) -> str:
    """Return the canonical user id of an account."""
    return hashlib.sha256(account.encode()).hexdigest()


def _initiator(upload: Any) -> dict[str, str]:
    return {"ID": owner_id(upload.account_id), "DisplayName": upload.account_id}


def _place(upload: Any) -> tuple[str, int]:
    """Return the place of an upload in a list. One that a test made in moto, without a request, comes first."""
    return upload.key_name, getattr(upload, "begun", 0)


def list_uploads(request: Any) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    prefix, delimiter, key, encoding = (
        request.querystring.get(name, [""])[0]
        for name in ("prefix", "delimiter", "key-marker", "encoding-type")
    )
    most = _number(request, "max-uploads", 1000)
    marker = request.querystring.get("upload-id-marker", [""])[0] if key else ""
    uploads = sorted(bucket.multiparts.values(), key=_place)
    left = [each for each in _after(uploads, key, marker) if each.key_name.startswith(prefix)]
    common = _common(left, prefix, delimiter)
    left = [each for each in left if not _rolled_up(each.key_name, prefix, delimiter)]
    page = left[: min(most, 1000)]
    write = (lambda text: quote_plus(text, safe="/")) if encoding == "url" else str
    told = {
        "Bucket": bucket.name,
        "KeyMarker": write(key),
        "UploadIdMarker": marker,
        "NextKeyMarker": write(page[-1].key_name) if page else "",
        "NextUploadIdMarker": page[-1].id if page else "",
        "Prefix": write(prefix) if prefix else None,
        "Delimiter": write(delimiter) if delimiter else None,
        "EncodingType": encoding or None,
        "MaxUploads": most,
        "IsTruncated": len(page) < len(left),
        "Upload": [
            {
                "Key": write(upload.key_name),
                "UploadId": upload.id,
                "Initiator": _initiator(upload),
                "Owner": {"ID": owner_id(bucket.account_id)},
                "StorageClass": upload.storage,
                "Initiated": upload.initiated,
                **_told_mode(upload),
            }
            for upload in page
        ],
        "CommonPrefixes": [{"Prefix": write(each)} for each in common],
    }
    return 200, {"Content-Type": "application/xml"}, document("ListMultipartUploadsResult", told)


def _after(uploads: list[Any], key: str, marker: str) -> list[Any]:
    if not marker:
        return [each for each in uploads if each.key_name > key]
    named = next((each for each in uploads if each.id == marker), None)
    if named is None:
        return [each for each in uploads if each.key_name >= key]
    if named.key_name != key:
        raise invalid_argument("Invalid uploadId marker", "upload-id-marker", marker)
    return [each for each in uploads if _place(each) > (key, _place(named)[1])]


def _rolled_up(name: str, prefix: str, delimiter: str) -> bool:
    return bool(delimiter) and delimiter in name[len(prefix) :]


def _common(uploads: list[Any], prefix: str, delimiter: str) -> list[str]:
    """Return the prefixes that stand for keys with the delimiter in them."""
    return sorted(
        {
            prefix + each.key_name[len(prefix) :].partition(delimiter)[0] + delimiter
            for each in uploads
            if _rolled_up(each.key_name, prefix, delimiter)
        }
    )
