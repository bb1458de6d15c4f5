"""The two calls that do without botocore say exactly what botocore would have said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from replicator.aws.artifact_calls import s3_client
from replicator.aws.lean_s3 import QUICK, SLOW, LeanS3

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = ["plain", "a b+c%2F&=?#", "ünïcode/✓", "up/../and/./down//twice", "~tilde-_.", "k" * 1024]
HEAD = {"ExpectedBucketOwner": "222222222222", "ChecksumMode": "ENABLED", "IfMatch": '"abc"'}
COPY = {
    "ExpectedBucketOwner": "111111111111",
    "ExpectedSourceBucketOwner": "222222222222",
    "CopySourceIfMatch": '"abc"',
    "MetadataDirective": "REPLACE",
    "Metadata": {"Trained-By": "two  spaces"},
    "ContentType": "text/plain",
    "Expires": datetime(2030, 1, 1, tzinfo=UTC),
    "BucketKeyEnabled": True,
    "IfNoneMatch": "*",
}
type Sent = tuple[str, str, str, str, dict[str, str]]


def client() -> Any:
    session = boto3.Session("AKID", "secret", "token", region_name="eu-west-1")
    return s3_client(session, "eu-west-1", 4)


def sent_by(client: Any, method: str, **arguments: Any) -> Sent:
    """Give what goes over the wire."""
    sent: list[Sent] = []

    def exchange(*request: Any, **_: Any) -> tuple[int, Mapping[str, str], bytes]:
        sent.append(request)
        return 200, {}, b"<CopyObjectResult/>"

    with mock.patch.object(LeanS3, "_exchange", side_effect=exchange):
        getattr(client, method)(**arguments)
    return sent[0]


def by_botocore(client: Any, method: str, **arguments: Any) -> AWSRequest:
    """Give the request that botocore would send, before it is signed."""
    caught: list[AWSRequest] = []

    def catch(request: AWSRequest, **_: Any) -> None:
        caught.append(request)
        raise KeyboardInterrupt

    client.meta.events.register_first("before-sign.s3", catch)
    with pytest.raises(KeyboardInterrupt):
        getattr(client._client, method)(**arguments)
    client.meta.events.unregister("before-sign.s3", catch)
    return caught[0]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("bucket", ["plain-bucket", "dotted.bucket"])
@pytest.mark.parametrize("version", [None, "3/L4kqtJ+lc="])
@pytest.mark.parametrize("method", ["head_object", "copy_object"])
def test_it_sends_and_signs_what_botocore_does(
    key: str, bucket: str, version: str | None, method: str
) -> None:
    s3 = client()
    versioned = {"VersionId": version} if version else {}
    arguments: dict[str, Any] = {"Bucket": bucket, "Key": key}
    if method == "head_object":
        arguments |= {**HEAD, **versioned}
    else:
        arguments |= {**COPY, "CopySource": {"Bucket": "spoke", "Key": key, **versioned}}
    scheme, host, verb, target, headers = sent_by(s3, method, **arguments)
    request = by_botocore(s3, method, **arguments)
    assert request.method == verb
    assert request.url == f"{scheme}://{host}{target}"
    expected = {name.lower(): _as_text(value) for name, value in request.headers.items()}
    for name in ("user-agent", "content-length", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request"):
        expected.pop(name, None)
    assert expected.items() <= headers.items()
    assert _signature(request, headers) == headers["authorization"]
    assert urlsplit(request.url).netloc == headers["host"]


def _as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _signature(request: AWSRequest, headers: Mapping[str, str]) -> str:
    """Sign the same request at the same second with botocore."""
    unsigned = {n: v for n, v in headers.items() if n not in ("authorization", "user-agent", "host")}
    again = AWSRequest(request.method, request.url, headers=unsigned)
    again.context["payload_signing_enabled"] = True
    then = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    credentials = Credentials("AKID", "secret", "token")
    with mock.patch("botocore.auth.get_current_datetime", return_value=then):
        S3SigV4Auth(credentials, "s3", "eu-west-1").add_auth(again)
    return str(again.headers["Authorization"])


def test_an_answer_reads_as_botocores() -> None:
    s3 = client()
    headers = {
        "Content-Length": "7",
        "ETag": '"abc"',
        "Content-Type": "text/plain",
        "Expires": "Tue, 01 Jan 2030 00:00:00 GMT",
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "x-amz-checksum-crc64nvme": "AAAAAAAAAAA=",
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-tagging-count": "2",
        "x-amz-version-id": "v",
        "x-amz-meta-trained-by": "me",
    }
    with mock.patch.object(LeanS3, "_exchange", return_value=(200, headers, b"")):
        assert s3.head_object(Bucket="spoke", Key="k") == {
            "ContentLength": 7,
            "ETag": '"abc"',
            "ContentType": "text/plain",
            "Expires": "Tue, 01 Jan 2030 00:00:00 GMT",
            "LastModified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "ChecksumCRC64NVME": "AAAAAAAAAAA=",
            "ChecksumType": "FULL_OBJECT",
            "TagCount": 2,
            "VersionId": "v",
            "Metadata": {"trained-by": "me"},
        }


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b""),
        (500, b""),
        (301, b""),
        (400, b""),
        (200, b"<Error><Code>InternalError</Code></Error>"),
        (200, b"cut of"),
    ],
)
def test_what_is_no_plain_answer_is_asked_again_through_botocore(status: int, body: bytes) -> None:
    s3 = client()
    arguments = {"Bucket": "hub", "Key": "k", "CopySource": {"Bucket": "spoke", "Key": "k"}}
    s3._place("hub")
    with (
        mock.patch.object(LeanS3, "_exchange", return_value=(status, {}, body)),
        Stubber(s3._client) as botocore,
    ):
        botocore.add_response(
            "copy_object", {"CopyObjectResult": {"ETag": '"a"'}}, dict.fromkeys(arguments, ANY)
        )
        assert s3.copy_object(**arguments)["CopyObjectResult"] == {"ETag": '"a"'}
        botocore.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("status", "waits"), [(503, True), (500, True), (429, True), (200, True), (301, False), (400, False)]
)
def test_after_a_fault_it_waits_a_moment_before_it_asks_again(status: int, waits: bool) -> None:
    """Sixty-four streams that ask twice at once are not what a server wants that says to slow down."""
    s3 = client()
    arguments = {"Bucket": "hub", "Key": "k", "CopySource": {"Bucket": "spoke", "Key": "k"}}
    s3._place("hub")
    slept: list[float] = []
    with (
        mock.patch.object(LeanS3, "_exchange", return_value=(status, {}, b"<Error/>")),
        mock.patch("replicator.aws.lean_s3.time.sleep", slept.append),
        Stubber(s3._client) as botocore,
    ):
        for _ in range(20):
            botocore.add_response("copy_object", {"CopyObjectResult": {}}, dict.fromkeys(arguments, ANY))
            s3.copy_object(**arguments)
    assert len(set(slept)) == (20 if waits else 0)  # no two alike
    assert all(0 <= seconds <= 1 for seconds in slept)


@pytest.mark.parametrize("value", ["ünï", "two\nlines"])
def test_a_value_that_wants_care_is_left_to_botocore(value: str) -> None:
    s3 = client()
    s3._place("spoke")
    with mock.patch.object(LeanS3, "_exchange") as exchange, Stubber(s3._quick) as botocore:
        botocore.add_response("head_object", {})
        s3.head_object(Bucket="spoke", Key="k", IfMatch=value)
    exchange.assert_not_called()


def test_a_refusal_is_the_error_that_botocore_raises() -> None:
    body = b"<Error><Code>PreconditionFailed</Code><Message>not so</Message></Error>"
    with (
        mock.patch.object(LeanS3, "_exchange", return_value=(412, {}, body)),
        pytest.raises(ClientError, match="not so") as caught,
    ):
        client().copy_object(Bucket="hub", Key="k", CopySource={"Bucket": "s", "Key": "k"})
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"


def test_what_describes_and_lists_is_not_waited_for_as_long_as_a_copy() -> None:
    s3 = client()

    def seconds(call: Any) -> int:
        return int(call.__self__.meta.config.read_timeout)

    quick = (
        s3.list_objects_v2,
        s3.get_paginator,
        s3.list_multipart_uploads,
        s3.head_bucket,
        s3.get_object_tagging,
    )
    assert {seconds(call) for call in quick} == {QUICK}
    slow = (s3.upload_part_copy, s3.complete_multipart_upload, s3.put_object, s3.get_object)
    assert {seconds(call) for call in slow} == {SLOW}
    waited: list[float] = []

    def exchange(_: object, method: str, target: str, headers: object, timeout: float) -> Any:
        waited.append(timeout)
        return 200, {}, b"<CopyObjectResult/>"

    with mock.patch("replicator.aws.lean_http.Connection.exchange", exchange):
        s3.head_object(Bucket="spoke", Key="k")
        s3.copy_object(Bucket="hub", Key="k", CopySource={"Bucket": "spoke", "Key": "k"})
    assert waited == [QUICK, SLOW]


def test_a_stalled_head_is_asked_again_with_the_short_patience() -> None:
    s3 = client()
    s3._place("spoke")
    with (
        mock.patch("replicator.aws.lean_http.Connection.exchange", side_effect=TimeoutError),
        Stubber(s3._quick) as botocore,
    ):
        botocore.add_response("head_object", {"ETag": "e"})
        assert s3.head_object(Bucket="spoke", Key="k")["ETag"] == "e"
