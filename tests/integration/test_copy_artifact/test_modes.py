"""The checksum mode of a multipart upload: it is created, gone on with and completed in one and the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from local.faults import Fault, LoggedRequest
from replicator.errors import PermanentError
from tests.integration.artifact_world import HUB, HUB_BUCKET, KIB, SMALL, SPOKE_BUCKET, World

BODY = hashlib.shake_256(b"a large model").digest(150 * KIB)
"""Three parts server side, five streamed."""
WHOLE = "FULL_OBJECT"


def sent(aws: World) -> tuple[LoggedRequest, LoggedRequest]:
    """Find the creation and the completion of the one upload that was completed."""
    (create,) = [r for r in aws.faults.log if r.method == "POST" and "uploads" in r.query]
    (complete,) = [r for r in aws.faults.log if r.operation == "CompleteMultipartUpload"]
    return create, complete


@pytest.mark.parametrize(
    ("path", "of_source", "named"),
    [
        ("server-side", "CRC64NVME", "CRC64NVME"),
        ("server-side", "CRC32", "CRC32"),
        ("server-side", "CRC32C", "CRC32C"),
        ("server-side", "SHA256", "CRC64NVME"),
        ("streamed", "CRC64NVME", None),
        ("streamed", "CRC32", "CRC32"),
        ("streamed", "CRC32C", None),
        ("streamed", "SHA256", None),
    ],
)
def test_an_upload_is_completed_as_it_was_created(
    aws: World, path: str, of_source: str, named: str | None
) -> None:
    """With an algorithm S3 wants its type and compares its value; without one it takes neither."""
    algorithm: dict[str, Any] = {} if of_source == "CRC64NVME" else {"ChecksumAlgorithm": of_source}
    uri = aws.put("model.tar.gz", BODY, **algorithm)
    if path == "streamed":
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    aws.faults.clear()
    result = aws.copied(uri, tuning=replace(SMALL, largest_single_copy=100 * KIB))
    create, complete = sent(aws)
    assert (
        create.headers.get("x-amz-checksum-algorithm"),
        create.headers.get("x-amz-checksum-type"),
        complete.headers.get("x-amz-checksum-type"),
    ) == ((named, WHOLE, WHOLE) if named else (None, None, None))
    values = {name for name in complete.headers if name.startswith("x-amz-checksum-")} - {
        "x-amz-checksum-type"
    }
    assert values == ({f"x-amz-checksum-{named.lower()}"} if named == of_source else set())
    parts = [r for r in aws.faults.log if r.operation == "UploadPart"]
    assert all(("x-amz-checksum-crc32" in part.headers) == (named == "CRC32") for part in parts)
    assert result.method == path
    assert aws.bytes_at(result.destination) == BODY


@pytest.mark.parametrize("path", ["server-side", "streamed"])
@pytest.mark.parametrize(
    "mode",
    [
        {},
        {"ChecksumAlgorithm": "CRC32", "ChecksumType": "COMPOSITE"},
        {"ChecksumAlgorithm": "CRC32", "ChecksumType": WHOLE},
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": WHOLE},
    ],
    ids=["null", "composite", "CRC32", "CRC64NVME"],
)
def test_only_an_upload_of_the_same_mode_is_gone_on_with(aws: World, path: str, mode: dict[str, Any]) -> None:
    """An older release may have created it: in the null checksum mode, where it now names an algorithm."""
    uri = aws.put("model.tar.gz", BODY)
    if path == "streamed":
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    aws.faults.add(Fault(method="POST", path=r"\?uploads", status=403, code="AccessDenied"))
    with pytest.raises(PermanentError):
        aws.copy(uri)
    key = next(r.path.split("/", 2)[2] for r in aws.faults.log if "uploads" in r.query and r.method == "POST")
    old = aws.hub.create_multipart_upload(Bucket=HUB_BUCKET, Key=key, **mode)["UploadId"]
    aws.faults.clear()
    result = aws.copied(uri)
    (complete,) = [r for r in aws.faults.log if r.operation == "CompleteMultipartUpload"]
    same = mode.get("ChecksumAlgorithm") == (None if path == "streamed" else "CRC64NVME")
    assert (complete.query["uploadId"] == [old]) == same
    assert (result.method, result.verified) == (path, "CRC64NVME")
    assert aws.bytes_at(result.destination) == BODY
    assert aws.open_uploads() == 0
