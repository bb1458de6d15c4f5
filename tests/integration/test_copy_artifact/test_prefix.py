"""Copying a prefix: all of it, in its layout, as it was at one moment."""

from __future__ import annotations

import hashlib

import pytest

from local.faults import Fault
from replicator.errors import ErrorCode, PermanentError
from tests.integration.artifact_world import (
    DESTINATION,
    HUB,
    HUB_BUCKET,
    KIB,
    SPOKE_BUCKET,
    World,
)

LARGE = hashlib.shake_256(b"weights").digest(300 * KIB)
MODEL = {
    "config.json": b"{}",
    "weights/model-00001-of-00002.safetensors": LARGE,
    "weights/model-00002-of-00002.safetensors": LARGE[:200],
    "weights/": b"",
    "": b"",  # the marker of the folder itself
    "empty.txt": b"",
    "tokenizer/ünï + %2F ..json": b"odd",
    "/double//slash": b"kept",
}


def put_model(aws: World, prefix: str = "models/churn/") -> str:
    for inner, body in MODEL.items():
        aws.put(prefix + inner, body)
    return f"s3://{SPOKE_BUCKET}/{prefix}"


def test_every_object_is_copied_in_its_place(aws: World) -> None:
    uri = put_model(aws)
    aws.put("models/churn-other/secret", b"a sibling")
    result = aws.copied(uri, kind="prefix")
    assert result.destination.startswith(f"s3://{HUB_BUCKET}/{DESTINATION}")
    assert result.destination.endswith("/")
    assert aws.copies(result.destination) == MODEL
    assert (result.objects, result.bytes) == (len(MODEL), sum(map(len, MODEL.values())))
    assert (result.verified, result.method) == ("CRC64NVME", "server-side")
    assert result.checksum is not None
    assert result.checksum.startswith("SHA-256:")
    assert aws.open_uploads() == 0


def test_without_the_slash_it_is_the_same_prefix(aws: World) -> None:
    uri = put_model(aws)
    aws.put("models/churn-other/secret", b"a sibling")
    with_slash = aws.copied(uri, kind="prefix")
    without = aws.copied(uri.rstrip("/"), kind="prefix")
    assert without.destination == with_slash.destination
    assert aws.copies(without.destination) == MODEL


def test_a_whole_bucket(aws: World) -> None:
    aws.put("a", b"1")
    aws.put("b/c", b"2")
    result = aws.copied(f"s3://{SPOKE_BUCKET}/", kind="prefix")
    assert aws.copies(result.destination) == {"a": b"1", "b/c": b"2"}


def test_again_it_is_already_there_at_the_same_place_with_the_same_checksum(aws: World) -> None:
    uri = put_model(aws)
    first = aws.copied(uri, kind="prefix")
    aws.faults.clear()
    second = aws.copied(uri, kind="prefix")
    assert second == first.model_copy(update={"method": "already there"})
    assert {r.operation for r in aws.faults.log if r.path != "/"} == {"HeadObject", "ListObjectsV2"}


def test_two_requests_an_object_beside_the_listings(aws: World) -> None:
    for number in range(30):
        aws.put(f"many/{number:03}", b"%d" % number)
    aws.faults.clear()
    result = aws.copied(f"s3://{SPOKE_BUCKET}/many/", kind="prefix")
    assert result.objects == 30
    requests = [request.operation for request in aws.faults.log if request.path != "/"]
    assert requests.count("ListObjectsV2") == 3  # the source before and after, and the hub
    assert len(requests) - 3 == 2 * 30


def test_more_objects_than_a_page_lists(aws: World) -> None:
    aws.rules.longest_page = 7
    for number in range(20):
        aws.put(f"many/{number:03}", b"%d" % number)
    aws.faults.clear()
    result = aws.copied(f"s3://{SPOKE_BUCKET}/many/", kind="prefix")
    assert result.objects == 20
    assert aws.faults.count("ListObjectsV2") > 3


def test_an_empty_prefix(aws: World) -> None:
    with pytest.raises(PermanentError, match=f"no objects under s3://{SPOKE_BUCKET}/nothing/") as caught:
        aws.copy(f"s3://{SPOKE_BUCKET}/nothing/", kind="prefix")
    assert caught.value.code == ErrorCode.SOURCE_PREFIX_EMPTY


def test_a_prefix_that_is_also_an_object(aws: World) -> None:
    aws.put("models/churn", b"an object of the same name")
    result = aws.copied(put_model(aws), kind="prefix")
    assert aws.copies(result.destination) == MODEL


@pytest.mark.parametrize("change", ["written", "deleted", "added"])
def test_a_prefix_that_changes_during_the_copy_is_refused(aws: World, change: str) -> None:
    uri = put_model(aws)

    def disturb(_: object) -> None:
        if change == "deleted":
            aws.spoke.delete_object(Bucket=SPOKE_BUCKET, Key="models/churn/config.json")
        else:
            name = "config.json" if change == "written" else "new.json"
            aws.put_again(f"models/churn/{name}", b"changed")

    aws.faults.add(Fault(operation="CopyObject", hook=disturb))
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, kind="prefix")
    assert caught.value.code == ErrorCode.SOURCE_CHANGED
    assert aws.open_uploads() == 0


def test_one_archived_object_is_named(aws: World) -> None:
    uri = put_model(aws)
    aws.put("models/churn/old.bin", b"cold", StorageClass="GLACIER")
    with pytest.raises(PermanentError, match=r"models/churn/old\.bin is archived") as caught:
        aws.copy(uri, kind="prefix")
    assert caught.value.code == ErrorCode.SOURCE_ARCHIVED


def test_only_what_is_denied_is_streamed(aws: World) -> None:
    uri = put_model(aws)
    aws.put(
        "models/churn/kms.bin", b"spoke's own", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3"
    )
    aws.faults.clear()
    result = aws.copied(uri, kind="prefix")
    assert result.method == "server-side, streamed"
    assert aws.copies(result.destination) == {**MODEL, "kms.bin": b"spoke's own"}
    assert aws.faults.count("PutObject") == 1


def test_a_prefix_that_only_the_spoke_may_list_is_streamed(aws: World) -> None:
    uri = put_model(aws)
    aws.rules.denied.add((SPOKE_BUCKET, HUB))
    result = aws.copied(uri, kind="prefix")
    assert result.method == "streamed"
    assert aws.copies(result.destination) == MODEL


@pytest.mark.parametrize(("name", "body"), [("config.json", b"[]"), ("empty.txt", b"not empty")])
def test_other_bytes_among_the_copies_are_refused_and_never_overwritten(
    aws: World, name: str, body: bytes
) -> None:
    uri = put_model(aws)
    destination = aws.copied(uri, kind="prefix").destination
    root = destination.removeprefix(f"s3://{HUB_BUCKET}/")
    aws.hub.put_object(Bucket=HUB_BUCKET, Key=f"{root}{name}", Body=body)
    with pytest.raises(PermanentError, match=f"{destination}{name} is there already") as caught:
        aws.copy(uri, kind="prefix")
    assert caught.value.code is ErrorCode.HUB_REFUSED
    assert aws.bytes_at(f"{destination}{name}") == body


def test_what_was_finished_before_a_crash_is_not_copied_again(aws: World) -> None:
    for number in range(20):
        aws.put(f"many/{number:03}", b"%d" % number)
    uri = f"s3://{SPOKE_BUCKET}/many/"
    aws.faults.add(Fault(operation="CopyObject", after=9, status=503, code="SlowDown", times=None))
    assert not aws.copy(uri, kind="prefix").done
    done = len(aws.listed())
    assert 9 <= done < 20
    aws.faults.clear()
    result = aws.copied(uri, kind="prefix")
    assert aws.faults.count("CopyObject") == 20 - done
    assert aws.copies(result.destination) == {f"{n:03}": b"%d" % n for n in range(20)}
