"""What reports and tests of others say of real S3, beside the recordings."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config

from local.faults import Fault
from tests.integration.artifact_world import HUB_BUCKET, KIB, World, emptied, serving
from tests.recorded.replay import Replay, answer_of, replays

INSIDE = "s3/errors-inside-200.json"
MOTO = "s3/moto-aws-verified.json"
CROSS = "s3/multipart-checksums-cross-tests.json"
ABOUT: dict[str, Any] = {"Bucket": HUB_BUCKET, "Key": "key"}
SHA256_OF_ABC = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="


@pytest.fixture(scope="module")
def running() -> Any:
    with serving() as world:
        yield world


@pytest.fixture
def world(running: World) -> World:
    return emptied(running)


@pytest.fixture
def s3(world: World) -> Any:
    """Give a client that sends no checksum of its own and tries once."""
    config = Config(request_checksum_calculation="when_required", retries={"total_max_attempts": 1})
    return world.own.client("s3", config=config)


def begun(s3: Any, **mode: str) -> dict[str, Any]:
    return {**ABOUT, "UploadId": s3.create_multipart_upload(**ABOUT, **mode)["UploadId"]}


def part_of(s3: Any, upload: dict[str, Any], body: bytes = b"abc", **more: str) -> dict[str, Any]:
    answer: dict[str, Any] = s3.upload_part(**upload, PartNumber=1, Body=body, **more)
    return answer


def completed(
    s3: Any, upload: dict[str, Any], etag: str, checksum: dict[str, str] | None = None, **more: str
) -> Any:
    parts = [{"PartNumber": 1, "ETag": etag, **(checksum or {})}]
    return answer_of(lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **more))


def compare_facts(replay: Replay, answer: dict[str, Any]) -> None:
    """Compare the answer with a status and, where one was reported, an error."""
    replay.compare("status", answer["ResponseMetadata"]["HTTPStatusCode"])
    recorded = replay.recording.content.get("Error")
    if recorded is not None:
        replay.compare("Error", {name: answer["Error"][name] for name in recorded})


@replays(
    INSIDE, "issues/6023", "test_mpu_complete_bad_checksum", "test_mpu_no_checksum_complete_good_checksum"
)
def test_an_error_inside_a_200(replay: Replay, world: World, s3: Any) -> None:
    recorded = replay.recording.content["Error"]
    more = "".join(f"<{name}>{recorded[name]}</{name}>" for name in recorded if name != "Code")
    fault = Fault(status=200, code=recorded["Code"], details=more, operation="CompleteMultipartUpload")
    upload = begun(s3)
    etag = part_of(s3, upload)["ETag"]
    world.faults.add(fault)
    answer = completed(s3, upload, etag)
    replay.compare("Error", answer["Error"])
    # botocore makes a 500 of it, and keeps the code.
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 500
    for key in replay.recording.content.keys() - {"Error"}:
        assert replay.recording.content[key] in (200, [400, 500])
        replay.compare(key, replay.recording.content[key])


@replays(MOTO, "test_idempotent_multipart_upload")
def test_a_completion_again(replay: Replay, s3: Any) -> None:
    upload = begun(s3)
    etag = part_of(s3, upload)["ETag"]
    first = completed(s3, upload, etag)
    replay.compare("first", {"status": first["ResponseMetadata"]["HTTPStatusCode"]})
    second = completed(s3, upload, etag, IfNoneMatch="*")
    same = second["ETag"] == first["ETag"]
    replay.compare("second", {"status": second["ResponseMetadata"]["HTTPStatusCode"], "same_ETag": same})


@replays(MOTO, "test_copy_non_existing_file")
def test_a_copy_of_nothing(replay: Replay, s3: Any) -> None:
    source = {"Bucket": HUB_BUCKET, "Key": "nowhere"}
    replay.bind("<source>", "nowhere")
    answer = answer_of(lambda: s3.copy_object(**ABOUT, CopySource=source))
    replay.compare("Error", answer["Error"])


@replays(CROSS, "branches is_aws", "versitygw#1342")
def test_a_part_without_checksum_of_a_whole_object(replay: Replay, s3: Any) -> None:
    upload = begun(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    compare_facts(replay, answer_of(lambda: part_of(s3, upload)))
    [listed] = s3.list_parts(**upload)["Parts"]
    assert listed["ChecksumCRC32"] == "NSRBwg=="


@replays(CROSS, "test_mpu_upload_part_requires_checksum_composite")
def test_a_part_without_checksum_of_a_composite(replay: Replay, s3: Any) -> None:
    upload = begun(s3, ChecksumAlgorithm="SHA256")
    compare_facts(replay, answer_of(lambda: part_of(s3, upload)))


@replays(CROSS, "test_mpu_complete_requires_part_checksum")
def test_a_completion_without_checksums_of_parts(replay: Replay, s3: Any) -> None:
    upload = begun(s3, ChecksumAlgorithm="SHA256")
    etag = part_of(s3, upload, ChecksumAlgorithm="SHA256")["ETag"]
    compare_facts(replay, completed(s3, upload, etag))


@replays(CROSS, "test_mpu_no_algo_with_cs_part_good_global_checksum")
def test_any_value_in_null_mode(replay: Replay, s3: Any) -> None:
    for algorithm, value in {"SHA256": SHA256_OF_ABC, "CRC32": "NSRBwg==", "CRC32C": "Nks/tw=="}.items():
        upload = begun(s3)
        etag = part_of(s3, upload)["ETag"]
        answer = completed(s3, upload, etag, None, **{f"Checksum{algorithm}": value})
        compare_facts(replay, answer)
        members = [
            f"ChecksumType={answer['ChecksumType']}",
            *(each for each in answer if each == "ChecksumCRC64NVME"),
        ]
        replay.compare("members", members)


@replays(CROSS, "test_mpu_complete_bad_part_checksum")
def test_a_wrong_checksum_of_a_part(replay: Replay, s3: Any) -> None:
    upload = begun(s3, ChecksumAlgorithm="CRC32")
    etag = part_of(s3, upload, ChecksumAlgorithm="CRC32")["ETag"]
    compare_facts(replay, completed(s3, upload, etag, {"ChecksumCRC32": "AAAAAA=="}))


@replays(CROSS, "test_mpu_complete_invalid_part_checksum")
def test_a_checksum_of_a_part_that_is_none(replay: Replay, s3: Any) -> None:
    upload = begun(s3, ChecksumAlgorithm="CRC32")
    etag = part_of(s3, upload, ChecksumAlgorithm="CRC32")["ETag"]
    compare_facts(replay, completed(s3, upload, etag, {"ChecksumCRC32": "no base64!"}))


@replays(CROSS, "test_mpu_create_no_checksum_algo_and_full_object_checksum_type")
def test_a_type_without_an_algorithm(replay: Replay, s3: Any) -> None:
    compare_facts(replay, answer_of(lambda: begun(s3, ChecksumType="FULL_OBJECT")))


@replays(CROSS, "test_multipart_mpu_with_part_copy_diff_cs_algo_full_object")
def test_a_copied_part_of_another_algorithm(replay: Replay, s3: Any) -> None:
    source = {"Bucket": HUB_BUCKET, "Key": "source"}
    s3.put_object(**source, Body=b"abc", ChecksumAlgorithm="SHA256")
    upload = begun(s3, ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")
    answer = answer_of(lambda: s3.upload_part_copy(**upload, PartNumber=1, CopySource=source))
    compare_facts(replay, answer)
    assert answer["CopyPartResult"]["ChecksumCRC32C"] == "Nks/tw=="


@replays(CROSS, "test_mpu_has_no_checksum_ChecksumMode")
def test_the_checksum_of_null_mode(replay: Replay, s3: Any) -> None:
    upload = begun(s3)
    completed(s3, upload, part_of(s3, upload)["ETag"])
    assert "ChecksumCRC64NVME" not in s3.head_object(**ABOUT)
    answer = s3.head_object(**ABOUT, ChecksumMode="ENABLED")
    assert answer["ChecksumCRC64NVME"]
    compare_facts(replay, answer)


@replays(CROSS, "rows 1-7")
def test_types_of_algorithms(replay: Replay, s3: Any) -> None:
    types = {}
    for algorithm in replay.recording.content["types"]:
        mode = {} if algorithm == "none" else {"ChecksumAlgorithm": algorithm}
        types[algorithm] = s3.create_multipart_upload(**ABOUT, **mode).get("ChecksumType")
    replay.compare("types", types)


@replays(CROSS, "test_if_none_match_star_mpu")
def test_a_completion_again_with_other_parts(replay: Replay, world: World, s3: Any) -> None:
    world.rules.smallest_part = KIB
    upload = begun(s3)
    etags = [s3.upload_part(**upload, PartNumber=n, Body=b"x" * KIB)["ETag"] for n in (1, 2)]
    completed(s3, upload, etags[0])
    again = completed(s3, upload, etags[0], IfNoneMatch="*")
    replay.compare("again_same_parts", again["ResponseMetadata"]["HTTPStatusCode"])
    other = completed(s3, upload, etags[1] + "0")
    new = begun(s3)
    refused = completed(s3, new, part_of(s3, new)["ETag"], IfNoneMatch="*")
    for key, answer in (("again_other_parts", other), ("new_upload", refused)):
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        replay.compare(key, {"status": status, "Code": answer["Error"]["Code"]})
