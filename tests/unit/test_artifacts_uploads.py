"""The listing of open uploads, whose keys come in the encoding of URLs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest import mock

from replicator.aws.open_uploads import OpenUpload, uploads_of

WHEN = datetime(2030, 1, 1, tzinfo=UTC)


def page(*keys: str, **more: Any) -> dict[str, Any]:
    return {"Uploads": [{"Key": key, "UploadId": f"id of {key}", "Initiated": WHEN} for key in keys], **more}


def test_it_goes_on_after_the_key_itself_and_not_after_its_encoding() -> None:
    client = mock.Mock()
    client.list_multipart_uploads.side_effect = [
        page(
            "m/a+b%2B%01",
            EncodingType="url",
            IsTruncated=True,
            NextKeyMarker="m/a+b%2B%01",
            NextUploadIdMarker="id",
        ),
        page("m/c%25", EncodingType="url", IsTruncated=False),
    ]
    found = list(uploads_of(client, "m/", {"Bucket": "hub", "ExpectedBucketOwner": "1"}))
    assert found == [
        OpenUpload("m/a b+\x01", "id of m/a+b%2B%01", WHEN),
        OpenUpload("m/c%", "id of m/c%25", WHEN),
    ]
    same = {"Prefix": "m/", "EncodingType": "url", "Bucket": "hub", "ExpectedBucketOwner": "1"}
    assert client.list_multipart_uploads.call_args_list == [
        mock.call(**same),
        mock.call(**same, KeyMarker="m/a b+\x01", UploadIdMarker="id"),
    ]


def test_a_server_that_does_not_say_that_it_encodes_is_taken_at_its_word() -> None:
    client = mock.Mock()
    client.list_multipart_uploads.return_value = page("m/a%20+b")
    assert [upload.key for upload in uploads_of(client, "m/", {})] == ["m/a%20+b"]
