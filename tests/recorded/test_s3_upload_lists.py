"""Multipart uploads of S3: ranges of copied parts, refusals of a completion, and lists."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.recorded.replay import Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

PART_COPY = "s3/multipart-part-copy.json"
ERRORS = "s3/multipart-errors-and-lists.json"


def named(*parts: tuple[int, str]) -> dict[str, Any]:
    return {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in parts]}


@replays(PART_COPY, "test_upload_part_copy_range")
def test_ranges_of_a_copied_part(replay: Replay, s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    replay("put-src-object", lambda: s3.put_object(**source, Body=b"0123456789"))
    about = {"Bucket": bucket, "Key": "test-upload-part-copy"}
    begun = replay("create-multipart", lambda: s3.create_multipart_upload(**about))
    target = {**about, "UploadId": begun["UploadId"], "CopySource": source}

    def copy(key: str, number: int, wanted: str) -> None:
        more = {**target, "PartNumber": number, "CopySourceRange": wanted}
        replay(key, lambda: s3.upload_part_copy(**more))

    for number, wanted in enumerate(("0-8", "1-1", "0-0"), start=1):
        copy(f"upload-part-copy-{number}", number, f"bytes={wanted}")
    replay("list-parts", lambda: s3.list_parts(**about, UploadId=begun["UploadId"]))
    copy("upload-part-copy-wrong-format", 1, "0-8")
    start = "upload-part-copy-range-exc-"
    for key in replay.recording.content:
        if key.startswith(start):
            copy(key, 1, f"bytes={key.removeprefix(start)}")


@replays(PART_COPY, "test_upload_part_copy_no_copy_source_range")
def test_a_copied_part_without_a_range(replay: Replay, s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    replay("put-src-object", lambda: s3.put_object(**source, Body=b"0123456789"))
    about = {"Bucket": bucket, "Key": "test-upload-part-copy"}
    begun = replay("create-multipart", lambda: s3.create_multipart_upload(**about))
    target = {**about, "UploadId": begun["UploadId"]}
    replay("upload-part-copy", lambda: s3.upload_part_copy(**target, PartNumber=1, CopySource=source))
    replay("list-parts", lambda: s3.list_parts(**target))


@replays(
    PART_COPY,
    "test_upload_part_copy_with_copy_source_if_match_failed",
    "test_upload_part_copy_with_copy_source_if_match_success",
    "test_upload_part_copy_with_copy_source_if_none_match_failed",
    "test_upload_part_copy_with_copy_source_if_unmodified_since_match_failed",
)
def test_conditions_on_the_source_of_a_part(replay: Replay, s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source_file.txt"}
    etag = s3.put_object(**source, Body=b"0123456789")["ETag"]
    about = {"Bucket": bucket, "Key": "destination_file.txt"}
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    conditions: dict[str, dict[str, Any]] = {
        "upload-part-copy-source-if-match": {"CopySourceIfMatch": '"not-the-etag"'},
        "upload-part-copy-if-match": {"CopySourceIfMatch": etag},
        "upload-part-copy-source-if-none-match": {"CopySourceIfNoneMatch": etag},
        "upload-part-copy-source-unmodified-since-match": {
            "CopySourceIfUnmodifiedSince": "Mon, 01 Jan 2024 00:00:00 GMT"
        },
    }
    [key] = [each for each in conditions if each in replay.recording.content]
    more = {**target, "PartNumber": 1, "CopySource": source, **conditions[key]}
    replay(key, lambda: s3.upload_part_copy(**more))
    if "list-parts" in replay.recording.content:
        replay("list-parts", lambda: s3.list_parts(**target))


@replays(ERRORS, "test_multipart_no_such_upload")
def test_an_upload_that_was_never_begun(replay: Replay, s3: Any, bucket: str) -> None:
    target = {"Bucket": bucket, "Key": "test-key", "UploadId": "fakeid"}
    replay("upload-exc", lambda: s3.upload_part(**target, PartNumber=1, Body=b"data"))
    parts = named((1, "8d777f385d3dfec8815d20f7496026dc"))
    replay("complete-exc", lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts))
    replay("abort-exc", lambda: s3.abort_multipart_upload(**target))


@replays(ERRORS, "test_multipart_complete_multipart_too_small")
def test_parts_that_are_too_small_or_missing(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-small"}
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    etags = [
        replay(
            f"upload-part{number}",
            partial(s3.upload_part, **target, PartNumber=number, Body=b"data"),
        )
        for number in (1, 2)
    ]
    replay("complete-exc-no-parts", lambda: s3.complete_multipart_upload(**target))
    parts = named((1, etags[0]["ETag"]), (2, etags[1]["ETag"]))
    replay("complete-exc-too-small", lambda: s3.complete_multipart_upload(**target, MultipartUpload=parts))


@replays(ERRORS, "test_multipart_complete_multipart_wrong_part")
def test_parts_that_are_not_there(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-wrong"}
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    etag = s3.upload_part(**target, PartNumber=1, Body=b"data")["ETag"]
    for key, parts in {
        "complete-exc-wrong-part-number": named((2, etag)),
        "complete-exc-wrong-etag": named((1, "d41d8cd98f00b204e9800998ecf8427e")),
    }.items():
        more = {**target, "MultipartUpload": parts}
        replay(key, partial(s3.complete_multipart_upload, **more))


@replays(ERRORS, "test_complete_multipart_parts_order")
def test_order_of_parts(replay: Replay, s3: Any, bucket: str) -> None:
    body = b"a" * (5 * 1024 * 1024 + 1)
    about = {"Bucket": bucket, "Key": "test-order-parts"}
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    replay("upload-part-negative-part-number", lambda: s3.upload_part(**target, PartNumber=-1, Body=b"a"))
    etags = [s3.upload_part(**target, PartNumber=number, Body=body)["ETag"] for number in (1, 2, 3)]
    one, two, three = enumerate(etags, start=1)
    for key, parts in {
        "complete-multipart-unordered": named(two, one, three),
        "complete-multipart-ordered": named(one, two, three),
    }.items():
        more = {**target, "MultipartUpload": parts}
        replay(key, partial(s3.complete_multipart_upload, **more))
    about = {"Bucket": bucket, "Key": "key-sequence-with-step-2"}
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    steps = [(number, s3.upload_part(**target, PartNumber=number, Body=body)["ETag"]) for number in (2, 4, 6)]
    more = {**target, "MultipartUpload": named(*steps)}
    replay("complete-multipart-with-step-2", lambda: s3.complete_multipart_upload(**more))


@replays(ERRORS, "test_multipart_and_list_parts")
def test_lists_of_one_upload(replay: Replay, s3: Any, bucket: str) -> None:
    replay.anything("owner-id")
    about = {"Bucket": bucket, "Key": "test-list-parts"}
    begun = replay("create-multipart", lambda: s3.create_multipart_upload(**about))
    target = {**about, "UploadId": begun["UploadId"]}
    uploads: Callable[[], Any] = lambda: s3.list_multipart_uploads(Bucket=bucket)  # noqa: E731
    replay("list-part-after-created", lambda: s3.list_parts(**target))
    replay("list-all-uploads", uploads)
    body = b"upload-part-1" * 5
    part = replay("upload-part", lambda: s3.upload_part(**target, PartNumber=1, Body=body))
    replay("list-part-after-upload", lambda: s3.list_parts(**target))
    replay("list-all-uploads-after", uploads)
    more = {**target, "MultipartUpload": named((1, part["ETag"]))}
    replay("complete-multipart", lambda: s3.complete_multipart_upload(**more))
    replay("list-part-after-complete-exc", lambda: s3.list_parts(**target))
    replay("list-all-uploads-completed", uploads)
    replay("head-multipart-checksum", lambda: s3.head_object(**about, ChecksumMode="ENABLED"))
    replay("get-multipart-checksum", lambda: s3.get_object(**about, ChecksumMode="ENABLED"))


@replays(ERRORS, "test_list_parts_pagination")
def test_pages_of_parts(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test-list-part-pagination"}
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    replay("list-parts-empty", lambda: s3.list_parts(**target))
    for number in (1, 2):
        s3.upload_part(**target, PartNumber=number, Body=b"data")
    replay("list-parts-all", lambda: s3.list_parts(**target))
    replay("list-parts-1", lambda: s3.list_parts(**target, MaxParts=1))
    replay("list-parts-next", lambda: s3.list_parts(**target, MaxParts=1, PartNumberMarker=1))
    replay("list-parts-wrong-part", lambda: s3.list_parts(**target, MaxParts=1, PartNumberMarker=10))


@replays(ERRORS, "test_list_multiparts_next_marker")
def test_pages_of_uploads(replay: Replay, s3: Any, bucket: str) -> None:
    replay.anything("owner-id")

    def page(key: str, **more: Any) -> None:
        replay(key, lambda: s3.list_multipart_uploads(Bucket=bucket, **more))

    page("list-multiparts-empty")
    keys = ("test-c", "test-b", "test-a", "test-a", "test-a")
    ids = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in keys]
    replay.compare("upload-ids-order", {"UploadIds": [{"UploadId": each} for each in ids]})
    a, b, c = "test-a", "test-b", "test-c"
    page("list-multiparts-all")
    page("list-multiparts-max-1", MaxUploads=1)
    page("list-multiparts-next-key-only", MaxUploads=1, KeyMarker=a)
    page("list-multiparts-next-key-last", MaxUploads=1, KeyMarker=c)
    page("list-multiparts-next-upload-only", MaxUploads=1, UploadIdMarker=ids[2])
    page("list-multiparts-both-markers", MaxUploads=1, KeyMarker=a, UploadIdMarker=ids[2])
    page("list-multiparts-both-markers-2", MaxUploads=1, KeyMarker=a, UploadIdMarker=ids[4])
    page("list-multiparts-get-last-upload-no-truncate", MaxUploads=1, KeyMarker=b, UploadIdMarker=ids[1])
    page("list-multiparts-wrong-id-for-key", MaxUploads=1, KeyMarker=a, UploadIdMarker=ids[1])
    page("list-multiparts-next-key-empty", MaxUploads=1, KeyMarker="")


@replays(ERRORS, "test_multipart_overwrite_key")
def test_an_upload_over_an_object(replay: Replay, s3: Any, bucket: str) -> None:
    about = {"Bucket": bucket, "Key": "test.file"}
    replay("put-object", lambda: s3.put_object(**about, Body=b"test content 123"))
    target = {**about, "UploadId": s3.create_multipart_upload(**about)["UploadId"]}
    etag = s3.upload_part(**target, PartNumber=1, Body=b"test content 123")["ETag"]
    more = {**target, "MultipartUpload": named((1, etag))}
    replay("multipart-upload", lambda: s3.complete_multipart_upload(**more))
