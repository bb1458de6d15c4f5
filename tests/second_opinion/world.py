"""A plugin of pytest: LocalStack's S3 in place of moto's under the tests of the copy engine.

``-p tests.second_opinion.world`` with the endpoint in `ENDPOINT`. The tests' faults stand in front as before. Whom a
test denies access is answered here, because the free LocalStack has no IAM.
"""

from __future__ import annotations

import http.client
import os
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from werkzeug.serving import make_server

from local.faults import Faults
from local.s3 import S3Rules
from tests.integration import artifact_world
from tests.integration.artifact_world import (
    HUB,
    HUB_BUCKET,
    REGION,
    SPOKE,
    SPOKE_BUCKET,
    STRANGER,
    STRANGERS_BUCKET,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_s3.client import S3Client

ENDPOINT: Final = "SECOND_OPINION_S3"
"""Environment variable with the URL of LocalStack."""
_MOTO: Final = "the test sets times, checksums or uploads in moto's own store, which is not LocalStack's"
_START_AFTER: Final = (
    "LocalStack compares StartAfter with the URL-encoded key, so it leaves out a key that begins beyond ASCII; S3 "
    "compares the bytes of the keys (https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html)"
)
_OWNER: Final = (
    "LocalStack takes no notice of the expected owner of a bucket; S3 answers 403 "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html)"
)
_KMS: Final = (
    "LocalStack asks no key's policy; under the managed key aws/s3 no other account can read "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html)"
)
_TAGS: Final = (
    "LocalStack keeps tags by the caller's account, so a copy to another account has none; S3 copies them"
)
_WRITES_FIRST: Final = "LocalStack writes the bytes of a CopyObject before it looks at If-None-Match"

EXCLUDED: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "test_an_upload_of_such_a_key_hides_no_other",
            "test_a_copy_with_another_checksum_is_refused",
            "test_what_is_as_old_as_its_registration_is_pinned_by_time",
            "test_what_was_written_later_is_refused_where_it_runs",
            "test_what_was_written_later_is_noted_where_nothing_runs_it",
            "test_of_a_bucket_with_versions_the_one_of_that_time_is_taken",
            "test_without_a_version_of_that_time_it_is_refused",
            "test_an_etag_that_was_recorded_counts_more_than_the_time",
            "test_a_prefix_is_as_young_as_its_youngest_object",
            "test_without_a_time_nothing_is_known",
            "test_without_any_checksum_the_md5_of_every_part_counts",
            "test_server_side_without_any_checksum_both_are_read",
            "test_other_bytes_of_the_same_size_are_found_by_reading_and_stay",
            "test_too_large_to_read_counts_size_and_pins",
            "test_too_large_to_read_and_not_pinned_is_no_copy_and_stays",
            "test_the_same_bytes_written_again_are_the_copy_and_others_of_that_checksum_are_not",
        ),
        _MOTO,
    ),
    "test_a_bucket_of_somebody_else_is_never_read": _OWNER,
    "test_a_hub_bucket_of_somebody_else_is_not_written": _OWNER,
    "test_the_managed_key_is_streamed": _KMS,
    "test_only_what_is_denied_is_streamed": _KMS,
    "test_the_managed_key_of_the_spoke_is_no_obstacle": _KMS,
    "test_metadata_content_type_and_tags_travel_with_parts_too": _TAGS,
    "test_other_bytes_that_appear_meanwhile_are_never_overwritten": _WRITES_FIRST,
}
"""Tests that LocalStack itself gets wrong, with what it gets wrong: by their name, or with their parameters too.

They run, and have to fail: one that passes is a difference as well.
"""
NOT_RUN: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            "test_a_cut_after_any_number_of_requests_is_gone_on_with",
            "test_the_checksum_is_a_chain_over_the_keys_in_order_however_it_was_cut",
            "test_the_same_progress_again_comes_to_the_same",
            "test_the_progress_of_an_older_release_is_understood",
            "test_no_time_for_the_last_look_leaves_only_that_for_the_next_invocation",
            "test_what_is_throttled_goes_on_after_the_cursor",
            "test_a_slow_object_holds_up_no_more_than_the_window",
        ),
        f"passes by chance, or never ends: {_START_AFTER}",
    ),
    "test_two_runs_at_the_same_time_make_one_right_object": f"passes by chance: {_WRITES_FIRST}",
}
"""Of these, those that cannot be run there."""
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-connection"}
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Forward:
    """A WSGI application that hands each request to LocalStack, unless its caller is denied access."""

    passed_on = 0
    """Requests that were, in this process."""

    def __init__(self, endpoint: str, rules: S3Rules) -> None:
        self._backend = urlsplit(endpoint)
        self._endpoint = endpoint
        self._rules = rules
        self._accounts: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        method, target = environ["REQUEST_METHOD"], environ.get("RAW_URI") or environ["REQUEST_URI"]
        # Tests of long listings make the pages of the local S3 shorter; here the request asks for it.
        if self._rules.longest_page < 1000 and "list-type=2" in target and "max-keys" not in target:
            target += f"&max-keys={self._rules.longest_page}"
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = _headers(environ)
        if self._is_denied(method, target, headers):
            text = b"" if method == "HEAD" else _DENIED
            start_response("403 Forbidden", [("Content-Length", str(len(text)))])
            return [text]
        status, answered, data = self._pass_on(method, target, headers, body)
        if method != "HEAD":
            answered = [(n, v) for n, v in answered if n.lower() != "content-length"]
            answered.append(("Content-Length", str(len(data))))
        start_response(status, answered)
        return [data]

    def _pass_on(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        Forward.passed_on += 1
        connection = http.client.HTTPConnection(str(self._backend.hostname), self._backend.port, timeout=300)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in (headers | {"content-length": str(len(body))}).items():
            if name not in _HOP:
                connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        data = answer.read()
        answered = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        connection.close()
        return f"{answer.status} {answer.reason or '-'}", answered, data

    def _is_denied(self, method: str, target: str, headers: dict[str, str]) -> bool:
        found = re.search(r"Credential=([^/]+)/", headers.get("authorization", ""))
        if not self._rules.denied or found is None:
            return False
        account = self._account_of(found[1])
        bucket = unquote(urlsplit(target).path).lstrip("/").partition("/")[0]
        reads = method in ("GET", "HEAD") and "uploadId" not in target
        source = unquote(headers.get("x-amz-copy-source", "")).lstrip("/").partition("/")[0]
        denied = self._rules.denied
        return (reads and (bucket, account) in denied) or (source, account) in denied

    def _account_of(self, key: str) -> str:
        if key not in self._accounts:
            sts = boto3.client(
                "sts",
                endpoint_url=self._endpoint,
                aws_access_key_id=key,
                aws_secret_access_key="x",
                region_name=REGION,
            )
            self._accounts[key] = sts.get_caller_identity()["Account"]
        return self._accounts[key]


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    return headers


@contextmanager
def serving() -> Iterator[World]:
    """Give the world of the copy engine's tests, with LocalStack's S3 and STS in it."""
    rules = S3Rules()
    faults = Faults(Forward(os.environ[ENDPOINT], rules))
    listening = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=artifact_world._Quiet)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    endpoint = f"http://127.0.0.1:{listening.port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    short = mock.patch("replicator.aws.lean_s3.PAUSE", 0.02)
    with mock.patch.dict("os.environ", environment), short:
        thread.start()
        try:
            sessions = {account: artifact_world._session(account) for account in (HUB, SPOKE, STRANGER)}
            hub, spoke, stranger = (
                session.client("s3", config=artifact_world._PLAIN) for session in sessions.values()
            )
            yield World(endpoint, faults, rules, hub, spoke, stranger, sessions[HUB])
        finally:
            listening.shutdown()
            thread.join()
            listening.server_close()


def _delete(client: S3Client, bucket: str) -> None:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    client.delete_bucket(Bucket=bucket)


def emptied(world: World) -> World:
    """Give the world with three new buckets and no faults."""
    world.rules.denied.clear()
    world.faults.clear()
    clients = (
        (world.hub, HUB_BUCKET),
        (world.spoke, SPOKE_BUCKET),
        (world.stranger, STRANGERS_BUCKET),
    )
    for client, _ in clients:
        for bucket in client.list_buckets()["Buckets"]:
            try:
                _delete(client, bucket["Name"])
            except ClientError as error:  # a listing may name another account's bucket
                if error.response["Error"]["Code"] not in ("NoSuchBucket", "AccessDenied", "404"):
                    raise
    for client, name in clients:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    world.faults.clear()
    return world


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Put this world in place of moto's before the tests' conftest imports that one."""
    artifact_world.serving = serving
    artifact_world.emptied = emptied


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect what is excluded by name to fail, and fail when a name is no test's any more."""
    known = set()
    for item in items:
        names = {item.name, getattr(item, "originalname", item.name)}
        known |= names
        for name in names & EXCLUDED.keys():
            item.add_marker(pytest.mark.xfail(reason=EXCLUDED[name], strict=True))
        for name in names & NOT_RUN.keys():
            item.add_marker(pytest.mark.xfail(reason=NOT_RUN[name], run=False))
    gone = {*EXCLUDED, *NOT_RUN} - known
    if gone and any("test_copy_artifact" in str(item.path) for item in items):
        raise LookupError(f"excluded, and not a test of the copy engine: {', '.join(sorted(gone))}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when LocalStack was never asked: then the tests ran against something else."""
    if session.testscollected and not Forward.passed_on:
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
