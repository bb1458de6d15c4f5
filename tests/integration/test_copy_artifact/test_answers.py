"""What S3 answers to the requests of a copy: each code means one thing, in whatever way it comes."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from local.faults import Fault, LoggedRequest
from replicator.aws import artifact_calls
from replicator.aws.artifact_calls import s3_client
from replicator.aws.artifact_facts import ObjectFacts
from replicator.aws.artifact_hub import Hub
from replicator.aws.artifact_uploads import Upload, Uploads
from replicator.errors import ErrorCode, PermanentError, ReplicationError, RetryableError
from replicator.parts import Part
from tests.integration.artifact_world import HUB, HUB_BUCKET, KEY_ARN, KIB, REGION, SMALL, SPOKE_BUCKET, World
from tests.integration.test_copy_artifact.test_resume import LostAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL_BODY = b"a model" * 100
BODY = hashlib.shake_256(b"a large model").digest(150 * KIB)
"""Three parts server side, five streamed."""
CREATE = r"\?uploads"
OPERATIONS = {
    "CopyObject": Fault(operation="CopyObject"),
    "UploadPartCopy": Fault(operation="UploadPartCopy"),
    "PutObject": Fault(operation="PutObject", path=f"{HUB_BUCKET}/."),
    "UploadPart": Fault(operation="UploadPart"),
    "CreateMultipartUpload": Fault(method="POST", path=CREATE),
    "CompleteMultipartUpload": Fault(operation="CompleteMultipartUpload"),
}
KMS_CODES = ("KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException")
STATUS = {
    "AccessDenied": 403, "AccessDeniedException": 403, "Forbidden": 403, "AuthorizationError": 403,
    "UnauthorizedOperation": 403, "InvalidObjectState": 403, "ObjectNotInActiveTierError": 403,
    "RequestTimeTooSkewed": 403, "NoSuchKey": 404, "NoSuchVersion": 404, "NotFound": 404, "NoSuchBucket": 404,
    "NoSuchUpload": 404, "MethodNotAllowed": 405, "ConditionalRequestConflict": 409, "PreconditionFailed": 412,
    "InvalidRange": 416,
}  # fmt: skip
"""Of an error outside a 200, where that is not 400: the table of errors of the S3 API reference."""
JUDGED = sorted(
    code
    for codes in (artifact_calls._PASSING_CODES, *(codes for codes, _ in artifact_calls._JUDGED))
    for code in codes
    if not code.isdecimal()  # botocore's names for the answers to HEAD, which have no body
)


@pytest.fixture
def aws(aws: World) -> Iterator[World]:
    """Disarm what is left of a test."""
    yield aws
    aws.faults.clear()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore not wait between its tries."""
    monkeypatch.setattr(
        "botocore.endpoint.time",
        SimpleNamespace(sleep=lambda _: None, time=time.time, monotonic=time.monotonic),
    )


def outcome(aws: World, uri: str, operation: str, status: int, code: str) -> str:
    """Copy while an operation is answered with an error; say how that ends."""
    aws.faults.clear()
    aws.faults.add(replace(OPERATIONS[operation], status=status, code=code, times=None))
    try:
        answer = aws.copy(uri)
    except ReplicationError as error:
        ended = f"{type(error).__name__} {error.code}"
    else:
        ended = answer.result.method if answer.result else "unfinished"
    assert aws.faults._faults[0].seen
    aws.faults.clear()
    for key in aws.listed():
        aws.hub.delete_object(Bucket=HUB_BUCKET, Key=key)
    return ended


def denied_to_the_hub(aws: World, operation: str) -> None:
    if operation in ("PutObject", "UploadPart"):
        aws.rules.denied.add((SPOKE_BUCKET, HUB))


@pytest.fixture
def requests(aws: World) -> dict[str, Callable[[], object]]:
    """Give the engine's one request for each operation; what it names need not be there."""
    hub = Hub(s3_client(aws.own, REGION, 1), HUB, HUB_BUCKET, KEY_ARN)
    uploads, upload = Uploads(hub), Upload("k", "id", "CRC32", {1: "etag"})
    source, part = ObjectFacts("k", 7, "etag"), Part(1, 0, 6)
    pinned = {"CopySource": {"Bucket": SPOKE_BUCKET, "Key": "k"}}
    return {
        "CopyObject": lambda: hub.copy(source, pinned, "k"),
        "UploadPartCopy": lambda: uploads.copy(upload, part, pinned),
        "PutObject": lambda: hub.put(source, bytearray(b"a model"), "k", []),
        "UploadPart": lambda: uploads.put(upload, part, bytearray(b"a model")),
        "CreateMultipartUpload": lambda: uploads.create(source, "k", [], "CRC32"),
        "CompleteMultipartUpload": lambda: uploads.complete(upload, source),
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_code_means_the_same_inside_a_200(
    aws: World, requests: dict[str, Callable[[], object]], operation: str
) -> None:
    """S3 sends it there when it has begun to answer; botocore then says that the status is 500."""

    def taken_for(status: int, code: str) -> tuple[type[Exception], str]:
        aws.faults.clear()
        aws.faults.add(replace(OPERATIONS[operation], status=status, code=code, times=None))
        with pytest.raises(Exception, match=code) as caught:
            requests[operation]()
        return type(caught.value), str(getattr(caught.value, "code", ""))

    for code in [*JUDGED, *KMS_CODES]:
        own = taken_for(STATUS.get(code, 400), code)
        assert taken_for(200, code) == own, code
        assert (own[0] is RetryableError) == (code in artifact_calls._PASSING_CODES), code


@pytest.mark.parametrize("status", [200, 0], ids=["inside a 200", "own status"])
@pytest.mark.parametrize(
    ("operation", "code", "expected"),
    [
        ("CompleteMultipartUpload", "BadDigest", "PermanentError CHECKSUM_MISMATCH"),
        ("CompleteMultipartUpload", "AccessDenied", "PermanentError HUB_ACCESS_DENIED"),
        ("CopyObject", "PreconditionFailed", "PermanentError SOURCE_CHANGED"),
        ("CopyObject", "NoSuchKey", "PermanentError SOURCE_CHANGED"),
        ("CopyObject", "AccessDenied", "streamed"),
        ("CopyObject", "InvalidObjectState", "PermanentError SOURCE_ARCHIVED"),
        ("UploadPartCopy", "PreconditionFailed", "PermanentError SOURCE_CHANGED"),
        ("UploadPartCopy", "AccessDenied", "streamed"),
        ("PutObject", "BadDigest", "PermanentError CHECKSUM_MISMATCH"),
        ("UploadPart", "InvalidRequest", "PermanentError HUB_REFUSED"),
        ("CreateMultipartUpload", "AccessDenied", "PermanentError HUB_ACCESS_DENIED"),
    ],
)
def test_what_a_code_means(aws: World, operation: str, code: str, expected: str, status: int) -> None:
    denied_to_the_hub(aws, operation)
    uri = aws.put("model.tar.gz", SMALL_BODY if "Object" in operation else BODY)
    assert outcome(aws, uri, operation, status or STATUS.get(code, 400), code) == expected


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InternalError", ErrorCode.SERVICE_UNAVAILABLE),
        ("ServiceUnavailable", ErrorCode.SERVICE_UNAVAILABLE),
        ("SlowDown", ErrorCode.THROTTLED),
        ("KMS.ThrottlingException", ErrorCode.THROTTLED),
        ("KMS.KMSInternalException", ErrorCode.SERVICE_UNAVAILABLE),
        ("AnythingElse", ErrorCode.SERVICE_UNAVAILABLE),
    ],
)
def test_what_is_no_refusal_is_tried_again(
    aws: World, operation: str, code: str, expected: ErrorCode
) -> None:
    denied_to_the_hub(aws, operation)
    uri = aws.put("model.tar.gz", SMALL_BODY if "Object" in operation else BODY)
    aws.faults.add(replace(OPERATIONS[operation], status=200, code=code, times=None))
    if operation == "CompleteMultipartUpload":  # all parts arrived, so it is called again at once
        progress = aws.copy(uri).progress
        assert progress is not None
        assert str(progress.stopped).startswith(expected)
        return
    with pytest.raises(RetryableError) as caught:
        aws.copy(uri)
    assert caught.value.code is expected


def test_another_execution_that_was_first_is_found_though_s3_says_so_inside_a_200(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)

    def overtake(request: LoggedRequest) -> None:
        aws.hub.put_object(Bucket=HUB_BUCKET, Key=request.path.split("/", 2)[2], Body=BODY)

    aws.faults.add(Fault(operation="UploadPartCopy", hook=overtake))
    completion = Fault(operation="CompleteMultipartUpload", status=200, code="PreconditionFailed", times=None)
    aws.faults.add(completion)
    assert aws.copied(uri).method == "already there"
    assert completion.seen
    assert aws.open_uploads() == 0


def test_a_completion_that_succeeded_and_then_knows_no_upload(aws: World) -> None:
    """S3 answered 500 after it made the object, and 404 to the second try."""
    uri = aws.put("model.tar.gz", BODY)
    lost = LostAnswer(aws.faults._app)
    again = Fault(operation="CompleteMultipartUpload", after=1, status=404, code="NoSuchUpload")
    aws.faults.add(again)
    aws.faults._app = lost
    try:
        result = aws.copied(uri)
    finally:
        aws.faults._app = lost.app
    assert (lost.lost, again.seen) == (1, 2)
    assert (result.method, result.verified) == ("already there", "CRC64NVME")
    assert aws.bytes_at(result.destination) == BODY


@pytest.mark.parametrize("path", ["server-side", "streamed"])
def test_an_upload_whose_completion_conflicts_is_replaced(aws: World, path: str) -> None:
    """S3 gives the 409 to an upload each time it is completed, once its key was written and deleted."""
    uri = aws.put("model.tar.gz", BODY)
    if path == "streamed":
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    aws.faults.add(Fault(operation="CompleteMultipartUpload", status=503, code="SlowDown", times=None))
    assert not aws.copy(uri).done
    old = aws.hub.list_multipart_uploads(Bucket=HUB_BUCKET)["Uploads"][0]["UploadId"]
    aws.faults.clear()
    conflict = Fault(
        path=f"uploadId={old}",
        operation="CompleteMultipartUpload",
        status=409,
        code="ConditionalRequestConflict",
        times=None,
    )
    aws.faults.add(conflict)
    result = aws.copied(uri)
    assert conflict.seen == 1
    assert (result.method, result.bytes) == (path, len(BODY))
    assert aws.bytes_at(result.destination) == BODY
    assert aws.open_uploads() == 0


def test_a_conflict_that_does_not_end_has_one_more_upload_in_an_invocation(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)
    conflict = Fault(
        operation="CompleteMultipartUpload", status=409, code="ConditionalRequestConflict", times=None
    )
    aws.faults.add(conflict)
    progress = aws.copy(uri).progress
    assert progress is not None
    assert "was written or deleted by another request" in str(progress.stopped)
    assert progress.moved == len(BODY)
    assert conflict.seen == 2
    assert aws.open_uploads() == 0


def test_a_conflict_with_an_execution_that_is_done_ends_with_its_copy(aws: World) -> None:
    uri = aws.put("model.tar.gz", BODY)

    def overtake(request: LoggedRequest) -> None:
        aws.hub.put_object(Bucket=HUB_BUCKET, Key=request.path.split("/", 2)[2], Body=BODY)

    aws.faults.add(Fault(operation="UploadPartCopy", hook=overtake))
    aws.faults.add(
        Fault(operation="CompleteMultipartUpload", status=409, code="ConditionalRequestConflict", times=None)
    )
    assert aws.copied(uri).method == "already there"
    assert aws.faults.count("CompleteMultipartUpload") == 1
    assert aws.open_uploads() == 0


@pytest.mark.parametrize("operation", ["CopyObject", "PutObject"])
def test_a_conflict_of_one_request_is_tried_again(aws: World, operation: str) -> None:
    denied_to_the_hub(aws, operation)
    uri = aws.put("model.tar.gz", SMALL_BODY)
    fault = replace(OPERATIONS[operation], status=409, code="ConditionalRequestConflict", times=None)
    aws.faults.add(fault)
    with pytest.raises(RetryableError) as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.THROTTLED


BEYOND = "The specified copy range is invalid for the source object size"


@pytest.mark.parametrize("code", ["InvalidRequest", "InvalidArgument", "InvalidRange"])
@pytest.mark.parametrize("changes", [True, False], ids=["changed", "the same"])
@pytest.mark.parametrize("body", [SMALL_BODY, BODY], ids=["small", "large"])
def test_a_refused_range_is_a_changed_source_only_if_the_source_has_changed(
    aws: World, body: bytes, changes: bool, code: str
) -> None:
    """S3 may answer for the range of a part before it answers for the pin."""
    uri = aws.put("model.tar.gz", body)
    if changes:
        smaller = Fault(
            operation="HeadObject", path=f"{HUB_BUCKET}/", hook=lambda _: aws.put_again("model.tar.gz", b"x")
        )
        aws.faults.add(smaller)
    for operation in ("CopyObject", "UploadPartCopy"):
        details = f"<Message>{BEYOND}</Message>"
        aws.faults.add(Fault(operation=operation, status=400, code=code, details=details, times=None))
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri)
    assert caught.value.code == (ErrorCode.SOURCE_CHANGED if changes else ErrorCode.HUB_REFUSED)
    assert (BEYOND in caught.value.message) != changes
    assert aws.open_uploads() == 0


def test_a_read_beyond_the_end_is_of_a_changed_source(aws: World) -> None:
    aws.rules.denied.add((SPOKE_BUCKET, HUB))
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(Fault(operation="GetObject", status=416, code="InvalidRange", times=None))
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.SOURCE_CHANGED


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("code", KMS_CODES)
def test_a_key_of_the_hub_that_cannot_be_used_is_named(aws: World, operation: str, code: str) -> None:
    denied_to_the_hub(aws, operation)
    uri = aws.put("model.tar.gz", SMALL_BODY if "Object" in operation else BODY)
    details = f"<Message>{KEY_ARN} is disabled.</Message>"
    aws.faults.add(replace(OPERATIONS[operation], status=400, code=code, details=details, times=None))
    with pytest.raises(
        PermanentError, match="Enable the key, or cancel its deletion, then redrive"
    ) as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.HUB_REFUSED
    assert KEY_ARN in caught.value.message


def test_a_copy_that_cannot_be_described_is_most_likely_under_a_key_that_cannot_be_used(aws: World) -> None:
    """The answer to HEAD has no body that would tell."""
    uri = aws.put("model.tar.gz", SMALL_BODY)
    aws.faults.add(Fault(operation="HeadObject", path=f"{HUB_BUCKET}/", status=400, times=None))
    with pytest.raises(PermanentError, match="enable it, or cancel its deletion") as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.HUB_REFUSED
    assert KEY_ARN in caught.value.message


SSE_C = "The object was stored using a form of Server Side Encryption."


@pytest.mark.parametrize(
    ("code", "said", "advice"),
    [
        ("KMS.DisabledException", "arn:aws:kms:eu-west-1:222222222222:key/1 is disabled.", "enable the key"),
        ("KMS.KMSInvalidStateException", "key/1 is pending deletion.", "cancel its deletion"),
        ("InvalidRequest", SSE_C, "SSE-C"),
    ],
)
def test_a_source_that_head_refuses_to_describe_says_why_to_a_get(
    aws: World, code: str, said: str, advice: str
) -> None:
    uri = aws.put("model.tar.gz", SMALL_BODY)
    aws.faults.add(Fault(operation="HeadObject", path=SPOKE_BUCKET, status=400, times=None))
    details = f"<Message>{said}</Message>"
    aws.faults.add(Fault(operation="GetObject", status=400, code=code, details=details, times=None))
    with pytest.raises(PermanentError, match=advice) as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.SOURCE_ACCESS_DENIED
    assert uri in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("code", KMS_CODES)
def test_a_key_of_the_source_that_cannot_be_used_for_reading(aws: World, code: str) -> None:
    aws.rules.denied.add((SPOKE_BUCKET, HUB))
    uri = aws.put("model.tar.gz", BODY)
    aws.faults.add(Fault(operation="GetObject", status=400, code=code, times=None))
    with pytest.raises(PermanentError, match="enable the key, or cancel its deletion") as caught:
        aws.copy(uri)
    assert caught.value.code is ErrorCode.SOURCE_ACCESS_DENIED


def test_annotations_are_never_asked_for(aws: World) -> None:
    """CopyObject copies them unless it is told not to, with permissions that no role has."""
    aws.put("p/a", SMALL_BODY)
    aws.put("p/b", SMALL_BODY, Tagging="team=fraud")
    aws.copied(f"s3://{SPOKE_BUCKET}/p/", kind="prefix", tuning=SMALL)
    asked = [request for request in aws.faults.log if request.operation == "CopyObject"]
    assert [request.headers["x-amz-object-annotation-directive"] for request in asked] == ["EXCLUDE"] * 2
