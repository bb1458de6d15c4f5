"""CompleteMultipartUpload: what it compares, and what it writes."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from local.evidence import Evidence, Rule
from local.s3 import checksums, conditions, encryption, storage
from local.s3.checksums import COMPOSITE, FULL_OBJECT, Checksum
from local.s3.errors import S3Error, invalid_argument, invalid_request, no_such_upload
from local.s3.xml import document

if TYPE_CHECKING:
    from local.s3.objects import Answer
    from local.s3.rules import S3Rules

RULES = (
    Rule(
        "s3-null-checksum-mode",
        "An upload that was begun without an algorithm is in null mode: a completion with a type is 400 "
        "InvalidRequest, with a checksum of a part 400 InvalidPart; a value without a type is not looked at, and the "
        "object gets a CRC64NVME.",
        Evidence.RECORDED,
        "s3/multipart-null-mode.json",
    ),
    Rule(
        "s3-checksum-mode",
        "A completion with another type than the upload's is 400 InvalidRequest.",
        Evidence.RECORDED,
        "s3/multipart-full-object.json",
    ),
    Rule(
        "s3-completion-value",
        "A value at completion is compared before the object is visible: 400 BadDigest.",
        Evidence.RECORDED,
        "s3/multipart-full-object.json",
    ),
    Rule(
        "s3-completion-value-without-type",
        "Without a type, S3 refuses any value, the right one too, for a FULL_OBJECT upload with CRC32 or CRC32C.",
        Evidence.RECORDED,
        "s3/multipart-full-object.json",
    ),
    Rule(
        "s3-completion-part-checksums",
        "The checksum of a part is compared (400 InvalidPart; 400 BadDigest for another algorithm), and a COMPOSITE "
        "upload wants one for each part (400 InvalidRequest).",
        Evidence.RECORDED,
        "s3/multipart-composite.json",
    ),
    Rule(
        "s3-completion-part-checksum-form",
        "A checksum of a part that is no base64 is 400 InvalidArgument.",
        Evidence.RECORDED,
        "s3/multipart-checksums-cross-tests.json",
    ),
    Rule(
        "s3-completion-parts",
        "Parts have to be named in ascending order (400 InvalidPartOrder), at least one (400 InvalidRequest), with "
        "their ETags (400 InvalidPart), and all but the last as large as the smallest part (400 EntityTooSmall).",
        Evidence.RECORDED,
        "s3/multipart-errors-and-lists.json",
    ),
    Rule(
        "s3-completion-size",
        "A size at completion is compared with the sum of the parts: 400 InvalidRequest.",
        Evidence.RECORDED,
        "s3/multipart-null-mode.json",
    ),
    Rule(
        "s3-completion-under-kms",
        "A completion under SSE-KMS tells no checksum; the object has one.",
        Evidence.RECORDED,
        "s3/sse-kms.json",
    ),
    Rule(
        "s3-completion-again",
        "A completion that is sent again with the same parts is answered again, also with If-None-Match: *.",
        Evidence.RECORDED,
        "s3/moto-aws-verified.json",
    ),
    Rule(
        "s3-completion-again-other-parts",
        "A completion of a completed upload with other parts is 404 NoSuchUpload.",
        Evidence.RECORDED,
        "s3/multipart-checksums-cross-tests.json",
    ),
)


@dataclass(frozen=True, slots=True)
class _Named:
    """A part as the request names it."""

    number: int
    etag: str
    checksums: dict[str, str]


def complete(request: Any, body: bytes, rules: S3Rules) -> Answer:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html."""
    bucket = storage.find_bucket(request.backend, request.bucket_name)
    upload_id, name = request.querystring["uploadId"][0], request.parse_key_name()
    parts = _named_parts(body)
    with rules.writing:
        upload = bucket.multiparts.get(upload_id)
        if upload is None:
            key = _completed(bucket, name, upload_id, parts)
        else:
            conditions.check_write(request.headers, bucket, name, upload.begun)
            key = _complete(request, bucket, upload, parts, rules)
    encrypted, checksum = encryption.of(key), checksums.of_key(key)
    told = {
        "Location": f"https://{bucket.name}.s3.{bucket.region_name}.amazonaws.com/{name}",
        "Bucket": bucket.name,
        "Key": name,
        "ETag": key.etag,
        **({} if encrypted.hides_digest or checksum is None else checksum.members()),
    }
    headers = {"Content-Type": "application/xml", **encrypted.headers(), **storage.version_header(key)}
    return 200, headers, document("CompleteMultipartUploadResult", told)


def _named_parts(body: bytes) -> list[_Named]:
    try:
        root = ElementTree.fromstring(body) if body else None  # noqa: S314 - our own tests' client sends it
    except ElementTree.ParseError:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise S3Error("MalformedXML", message) from None
    found = [each for each in root if _local(each) == "Part"] if root is not None else []
    if not found:
        raise invalid_request("You must specify at least one part")
    parts = []
    for element in found:
        texts = {_local(each): each.text or "" for each in element}
        sent = {each: texts[f"Checksum{each}"] for each in checksums.ALGORITHMS if f"Checksum{each}" in texts}
        parts.append(_Named(int(texts["PartNumber"]), texts["ETag"].strip('"'), sent))
    return parts


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _completed(bucket: Any, name: str, upload_id: str, parts: list[_Named]) -> Any:
    """Return the object of an upload that was completed with the same parts."""
    wanted = upload_id, [(each.number, each.etag) for each in parts]
    for key in bucket.keys.getlist(name, []):
        if getattr(key, "completed", None) == wanted:
            return key
    raise no_such_upload(upload_id)


def _complete(request: Any, bucket: Any, upload: Any, named: list[_Named], rules: S3Rules) -> Any:
    _check_mode(request.headers.get("x-amz-checksum-type"), upload)
    _check_order(named, upload)
    for part in named:
        _check_part(part, upload)
    parts = [upload.parts[each.number] for each in named]
    for part in parts[:-1]:
        _check_size(part, rules)
    _check_total(request.headers.get("x-amz-mp-object-size"), sum(part.size for part in parts))
    encryption.check_use(upload.encrypted, request.current_account)
    values = [part.value for part in parts]
    checksum = _checksum(upload, values)
    _check_value(request.headers, upload, checksum)
    etags = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    new = storage.New(
        name=upload.key_name,
        body=b"".join(values),
        checksum=checksum,
        encryption=upload.encrypted,
        headers=upload.metadata,
        tags=upload.tags or {},
        storage_class=upload.storage,
        etag=f"{hashlib.md5(etags, usedforsecurity=False).hexdigest()}-{len(parts)}",
        acl=upload.acl or bucket.acl,
        lock=upload.lock,
        parts=tuple(storage.Part(each.name, each.size, _part_checksum(each, checksum)) for each in parts),
    )
    key = storage.write(bucket, new, "OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD_EVENT")
    key.completed = upload.id, [(each.number, each.etag) for each in named]
    del bucket.multiparts[upload.id]
    return key


def _part_checksum(part: Any, whole: Checksum) -> Checksum | None:
    return None if whole.parts is None else Checksum(part.checksum_algorithm, part.checksum_value)


def _check_mode(kind: str | None, upload: Any) -> None:
    if kind and kind != upload.checksum_type:
        mode = upload.checksum_type or "null"
        raise invalid_request(
            f"The upload was created using the {mode} checksum mode. The complete request must use the same "
            "checksum mode."
        )


def _check_order(named: list[_Named], upload: Any) -> None:
    numbers = [each.number for each in named]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        message = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise S3Error("InvalidPartOrder", message, UploadId=upload.id)


def _check_part(named: _Named, upload: Any) -> None:
    part = upload.parts.get(named.number)
    if part is None or part.etag.strip('"') != named.etag:
        raise _invalid_part(named, upload)
    for algorithm, value in named.checksums.items():
        if not _is_base64(value) or len(named.checksums) > 1:
            raise invalid_argument("Invalid Base64 or multiple checksums present in request", "Checksum")
        if upload.algorithm not in (None, algorithm):
            message = f"The {algorithm.lower()} you specified for part {named.number} did not match what we received."
            raise S3Error("BadDigest", message)
        if upload.algorithm is None or value != part.checksum_value:
            raise _invalid_part(named, upload)
    if upload.checksum_type == COMPOSITE and not named.checksums:
        raise invalid_request(
            f"The upload was created using a {upload.algorithm.lower()} checksum. The complete request must include "
            f"the checksum for each part. It was missing for part {named.number} in the request."
        )


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _invalid_part(named: _Named, upload: Any) -> S3Error:
    message = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
        "specified entity tag may not match the part's entity tag."
    )
    about = {"ETag": named.etag, "PartNumber": str(named.number), "UploadId": upload.id}
    return S3Error("InvalidPart", message, **about)


def _check_size(part: Any, rules: S3Rules) -> None:
    if part.size < rules.smallest_part:
        about = {
            "ETag": part.etag.strip('"'),
            "MinSizeAllowed": str(rules.smallest_part),
            "PartNumber": str(part.name),
            "ProposedSize": str(part.size),
        }
        message = "Your proposed upload is smaller than the minimum allowed size"
        raise S3Error("EntityTooSmall", message, **about)


def _check_total(given: str | None, total: int) -> None:
    if given and int(given) != total:
        raise invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {given} does not match what was computed: {total}"
        )


def _checksum(upload: Any, values: list[bytes]) -> Checksum:
    if upload.checksum_type == COMPOSITE:
        return checksums.composite(values, upload.algorithm)
    return checksums.whole(b"".join(values), upload.algorithm or checksums.DEFAULT_ALGORITHM)


def _check_value(headers: Any, upload: Any, actual: Checksum) -> None:
    """Compare the value of the whole object; S3 does not look at it in null mode."""
    given = checksums.named(headers)
    if not given or upload.algorithm is None:
        return
    # Without a type S3 takes it for the default type of the algorithm, of which a whole object has no value.
    readable = upload.checksum_type == COMPOSITE or upload.algorithm == "CRC64NVME"
    readable = readable or headers.get("x-amz-checksum-type") == FULL_OBJECT
    if not readable or given != {upload.algorithm: actual.qualified}:
        message = f"The {upload.algorithm.lower()} you specified did not match the calculated checksum."
        raise S3Error("BadDigest", message)
