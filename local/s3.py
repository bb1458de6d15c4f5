"""Gives moto's S3 the documented behaviour that it lacks: ``with faithful_s3() as rules: ...``.

Before a request the rules of `local.s3_rules`; after it what S3 adds: a CRC64NVME of every new object,
tags that travel between accounts, whole answers of the multipart calls. Each has a test in
``tests/integration/test_local_s3.py`` that names the documentation it follows.
"""

from __future__ import annotations

import functools
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import quote_plus
from xml.etree import ElementTree

import moto.s3.models
from moto.s3.exceptions import S3ClientError
from moto.s3.models import FakeMultipart, S3Backend, s3_backends
from moto.s3.responses import S3Response

from local.s3_rules import ALGORITHMS, S3Rules, check_checksums, check_request, checksum_of, copy_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFAULT_ALGORITHM = "CRC64NVME"


@contextmanager
def faithful_s3(rules: S3Rules | None = None) -> Iterator[S3Rules]:
    """Patch moto's S3 while the context lasts.

    Parameters
    ----------
    rules
        The limits; S3's own by default. They may be changed while the server runs.
    """
    rules = rules or S3Rules()

    def guard(request: Any, bucket_name: str | None, key_name: str | None) -> None:
        check_request(request, bucket_name, key_name, rules)

    patches: list[tuple[Any, str, Callable[[Any], Any]]] = [
        (S3Response, "_authenticate_and_authorize_s3_action", lambda old: _guarded(old, guard)),
        (S3Response, "put_object", _answering_checksum),
        (S3Response, "head_object", _telling_checksum_type),
        (S3Response, "upload_part_copy", _telling_source_version),
        (S3Response, "_key_response_post", _completing),
        (S3Backend, "put_object", _with_checksum),
        (S3Backend, "copy_object", _with_tags_and_checksum),
        (S3Backend, "complete_multipart_upload", _with_algorithm),
        (S3Backend, "get_object_tagging", _of_its_writer),
        (S3Backend, "put_object_tagging", _of_its_writer),
        (S3Backend, "is_truncated", _by_part_number),
        (FakeMultipart, "list_parts", _from_part_number),
        (FakeMultipart, "complete", lambda old: _with_smallest_part(old, rules)),
        (FakeMultipart, "__init__", _noting_when),
        (S3Response, "list_multipart_uploads", _telling_when),
    ]
    with ExitStack() as stack:
        for owner, name, wrap in patches:
            stack.enter_context(mock.patch.object(owner, name, wrap(getattr(owner, name))))
        yield rules


def _guarded(old: Any, guard: Any) -> Any:
    @functools.wraps(old)
    def authorize(self: Any, bucket_name: str | None = None, key_name: str | None = None, **more: Any) -> Any:
        answer = old(self, bucket_name=bucket_name, key_name=key_name, **more)
        guard(self, bucket_name, key_name)
        return answer

    return authorize


def _with_checksum(old: Any) -> Any:
    """Every new object has a checksum, CRC64NVME where the request names no other.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
    """

    @functools.wraps(old)
    def put_object(self: Any, *args: Any, **kwargs: Any) -> Any:
        key = old(self, *args, **kwargs)
        key.checksum_type = "FULL_OBJECT"
        if key.checksum_value is None:
            _set_checksum(key, DEFAULT_ALGORITHM)
        return key

    return put_object


def _set_checksum(key: Any, algorithm: str) -> None:
    key.checksum_algorithm = algorithm
    key.checksum_value = checksum_of(key.value, algorithm)
    key.checksum_type = "FULL_OBJECT"
    key.checksum_parts = None


def _answering_checksum(old: Any) -> Any:
    """PutObject tells the checksum: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html.

    One that the client computed and sent in a header is kept, like any other.
    """

    @functools.wraps(old)
    def put_object(self: Any) -> Any:
        status, headers, body = old(self)
        key = self.backend.get_object(self.bucket_name, self.parse_key_name())
        if key is not None and status == 200:
            sent = (name for name in ALGORITHMS if f"x-amz-checksum-{name.lower()}" in self.headers)
            if algorithm := next(sent, None):
                _set_checksum(key, algorithm)
            headers[f"x-amz-checksum-{key.checksum_algorithm.lower()}"] = key.checksum_value
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
        return status, headers, body

    return put_object


def _with_tags_and_checksum(old: Any) -> Any:
    """CopyObject copies tags, between accounts too, and keeps the algorithm of the source.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html: x-amz-tagging-directive,
    x-amz-checksum-algorithm.
    """

    @functools.wraps(old)
    def copy_object(self: Any, src_key: Any, dest_bucket_name: str, dest_key_name: str, **more: Any) -> None:
        old(self, src_key, dest_bucket_name, dest_key_name, **more)
        key = self.get_object(dest_bucket_name, dest_key_name)
        key.multipart = None
        _set_checksum(key, src_key.checksum_algorithm or DEFAULT_ALGORITHM)
        owner = s3_backends[src_key.account_id][src_key.partition]
        self.put_object_tagging(key, owner.tagger.get_tag_dict_for_resource(src_key.arn))

    return copy_object


def _of_its_writer(old: Any) -> Any:
    """Keep the tags of an object in one place, whichever account asks.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html: another account needs no
    more than the permission.
    """

    @functools.wraps(old)
    def tagging(self: Any, key: Any, *args: Any, **more: Any) -> Any:
        return old(s3_backends[key.account_id][key.partition], key, *args, **more)

    return tagging


def _telling_checksum_type(old: Any) -> Any:
    """HeadObject says of what a checksum is: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html."""

    @functools.wraps(old)
    def head_object(self: Any, bucket_name: str, query: Any, key_name: str, headers: Any) -> Any:
        status, answer, body = old(self, bucket_name, query, key_name, headers=headers)
        if status == 200 and headers.get("x-amz-checksum-mode") == "ENABLED":
            version_id = query.get("versionId", [None])[0]
            key = self.backend.get_object(bucket_name, key_name, version_id=version_id)
            if key is not None and key.checksum_value:
                name = f"x-amz-checksum-{key.checksum_algorithm.lower()}"
                composite = key.checksum_type == "COMPOSITE"
                answer[name] = key.checksum_value + (f"-{key.checksum_parts}" if composite else "")
                answer["x-amz-checksum-type"] = key.checksum_type or "FULL_OBJECT"
        return status, answer, body

    return head_object


def _telling_source_version(old: Any) -> Any:
    """UploadPartCopy names the version it read, and a source that is missing.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """

    @functools.wraps(old)
    def upload_part_copy(self: Any) -> Any:
        _, key = copy_source(self)
        status, headers, body = old(self)
        if key.version_id != "null":
            headers["x-amz-copy-source-version-id"] = key.version_id
        return status, headers, body

    return upload_part_copy


def _completing(old: Any) -> Any:
    """CompleteMultipartUpload compares size and checksum first, is atomic, and tells the checksum.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    one_at_a_time = threading.Lock()

    @functools.wraps(old)
    def respond(self: Any, request: Any, body: bytes, bucket_name: str, query: Any, key_name: str) -> Any:
        if not query.get("uploadId"):
            return old(self, request, body, bucket_name, query, key_name)
        with one_at_a_time:
            upload = self.backend.get_bucket(bucket_name).multiparts.get(query["uploadId"][0])
            if upload is not None:
                _check_completion(self.headers, upload, body)
            status, headers, answer = old(self, request, body, bucket_name, query, key_name)
            key = self.backend.get_object(bucket_name, key_name)
        if status == 200 and key is not None and key.checksum_value:
            answer = _with_checksum_element(answer, key)
        return status, headers, answer

    return respond


def _check_completion(headers: Any, upload: Any, body: bytes) -> None:
    named = [int(found.text or 0) for found in ElementTree.fromstring(body).iter() if _is_number(found)]  # noqa: S314 - our own tests' client sends it
    parts = [upload.parts[number] for number in named if number in upload.parts]
    size = headers.get("x-amz-mp-object-size")
    total = sum(part.size for part in parts)
    if size and int(size) != total:
        raise S3ClientError("InvalidRequest", f"The total object size {total} is not the {size} specified.")
    if len(parts) == len(named):  # what is missing is moto's to refuse
        whole = functools.cache(lambda: b"".join(part.value for part in parts))
        check_checksums(headers, lambda algorithm: checksum_of(whole(), algorithm))


def _is_number(element: ElementTree.Element) -> bool:
    return element.tag.rpartition("}")[2] == "PartNumber"


def _with_checksum_element(answer: str | bytes, key: Any) -> str | bytes:
    composite = key.checksum_type == "COMPOSITE"
    value = key.checksum_value + (f"-{key.checksum_parts}" if composite else "")
    name = f"Checksum{key.checksum_algorithm}"
    more = f"<{name}>{value}</{name}><ChecksumType>{key.checksum_type}</ChecksumType>"
    end = "</CompleteMultipartUploadResult>"
    if isinstance(answer, bytes):
        return answer.replace(end.encode(), (more + end).encode())
    return answer.replace(end, more + end)


def _with_algorithm(old: Any) -> Any:
    """Give CRC64NVME to an upload that names no algorithm, and its object no headers as metadata."""

    @functools.wraps(old)
    def complete_multipart_upload(self: Any, *args: Any, **kwargs: Any) -> Any:
        key = old(self, *args, **kwargs)
        if key is not None:
            key.checksum_algorithm = key.checksum_algorithm or DEFAULT_ALGORITHM
            for name in ("x-amz-checksum-algorithm", "x-amz-checksum-type"):
                key._metadata.pop(name, None)
        return key

    return complete_multipart_upload


def _from_part_number(old: Any) -> Any:
    """ListParts goes on after a part *number*, though there may be gaps.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
    """

    @functools.wraps(old)
    def list_parts(self: Any, part_number_marker: int, max_parts: int) -> Iterator[Any]:
        later = [number for number in self.partlist if number > part_number_marker]
        return (self.parts[number] for number in later[:max_parts])

    return list_parts


def _by_part_number(old: Any) -> Any:
    @functools.wraps(old)
    def is_truncated(self: Any, bucket_name: str, multipart_id: str, next_part_number_marker: int) -> bool:
        parts = self.get_bucket(bucket_name).multiparts[multipart_id].parts
        return any(number > next_part_number_marker for number in parts)

    return is_truncated


def _with_smallest_part(old: Any, rules: S3Rules) -> Any:
    @functools.wraps(old)
    def complete(self: Any, body: Any) -> Any:
        with mock.patch.object(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", rules.smallest_part):
            return old(self, body)

    return complete


def _noting_when(old: Any) -> Any:
    @functools.wraps(old)
    def begin(self: Any, *args: Any, **kwargs: Any) -> None:
        old(self, *args, **kwargs)
        self.initiated = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    return begin


def _telling_when(old: Any) -> Any:
    """ListMultipartUploads tells when each was begun, and answers in pages; with moto, all were in 2010.

    By key, and by time for those of one key: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    """

    @functools.wraps(old)
    def list_multipart_uploads(self: Any) -> Any:
        serialized, begun = self.serialized, self.backend.list_multipart_uploads(self.bucket_name)
        key, upload_id, most = (
            self.querystring.get(name, [default])[0]
            for name, default in (("key-marker", ""), ("upload-id-marker", ""), ("max-uploads", "1000"))
        )

        def as_documented(answer: Any) -> Any:
            for upload in answer.result["Uploads"]:
                upload["Initiated"] = begun[upload["UploadId"]].initiated
            uploads = sorted(answer.result["Uploads"], key=lambda each: (each["Key"], each["Initiated"]))
            of_key = [each["UploadId"] for each in uploads if each["Key"] == key]
            # One that was aborted meanwhile marks no place any more; what is left of its key comes again.
            before = of_key.index(upload_id) + 1 if upload_id in of_key else 0
            seen = set(of_key[:before] if upload_id else of_key)
            left = [each for each in uploads if each["Key"] >= key and each["UploadId"] not in seen]
            page = answer.result["Uploads"] = left[: min(int(most), 1000)]
            answer.result["IsTruncated"] = len(page) < len(left)
            if len(page) < len(left):
                answer.result["NextKeyMarker"] = page[-1]["Key"]
                answer.result["NextUploadIdMarker"] = page[-1]["UploadId"]
            if self.querystring.get("encoding-type") == ["url"]:
                _encode_keys(answer.result)
            return serialized(answer)

        self.serialized = as_documented
        try:
            return old(self)
        finally:
            del self.serialized

    return list_multipart_uploads


def _encode_keys(result: dict[str, Any]) -> None:
    """EncodingType: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html."""
    result["EncodingType"] = "url"
    for upload in result["Uploads"]:
        upload["Key"] = quote_plus(upload["Key"], safe="/")
    if "NextKeyMarker" in result:
        result["NextKeyMarker"] = quote_plus(result["NextKeyMarker"], safe="/")
