"""What was written after the registration is not what was registered: by time, where nothing better was recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from replicator.errors import ErrorCode, PermanentError
from tests.integration.artifact_world import HUB, HUB_BUCKET, SPOKE, SPOKE_BUCKET, World
from tests.integration.object_times import received_at

REGISTERED = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, AFTER = REGISTERED - timedelta(hours=1), REGISTERED + timedelta(hours=1)
KEY = "churn/model.tar.gz"


def written(aws: World, body: bytes, time: datetime, key: str = KEY) -> str:
    """Write an object of the spoke at a time, and return its location."""
    uri = aws.put(key, body)
    received_at(SPOKE, SPOKE_BUCKET, key, time)
    return uri


def versioned(aws: World) -> None:
    aws.spoke.put_bucket_versioning(Bucket=SPOKE_BUCKET, VersioningConfiguration={"Status": "Enabled"})


def refused(aws: World, uri: str, kind: str = "object") -> str:
    with pytest.raises(PermanentError) as caught:
        aws.copy(uri, kind=kind, registered_at=REGISTERED.isoformat(), runs=True)
    assert caught.value.code is ErrorCode.SOURCE_CHANGED
    assert aws.listed() == []
    return caught.value.message


@pytest.mark.parametrize("direct", [True, False], ids=["server-side", "streamed"])
def test_what_is_as_old_as_its_registration_is_pinned_by_time(aws: World, direct: bool) -> None:
    if not direct:
        aws.rules.denied.add((SPOKE_BUCKET, HUB))
    uri = written(aws, b"registered", BEFORE)
    result = aws.copied(uri, registered_at=REGISTERED.isoformat(), runs=True)
    assert (result.pinned, aws.bytes_at(result.destination)) == ("time", b"registered")


def test_what_was_written_later_is_refused_where_it_runs(aws: World) -> None:
    uri = written(aws, b"exchanged", AFTER)
    message = refused(aws, uri)
    assert uri in message
    assert REGISTERED.isoformat() in message


def test_what_was_written_later_is_noted_where_nothing_runs_it(aws: World) -> None:
    uri = written(aws, b"a report", AFTER)
    result = aws.copied(uri, registered_at=REGISTERED.isoformat())
    assert (result.pinned, aws.bytes_at(result.destination)) == ("none", b"a report")


def test_of_a_bucket_with_versions_the_one_of_that_time_is_taken(aws: World) -> None:
    versioned(aws)
    written(aws, b"older", BEFORE - timedelta(days=1))
    written(aws, b"registered", BEFORE)
    uri = written(aws, b"exchanged", AFTER)
    result = aws.copied(uri, registered_at=REGISTERED.isoformat(), runs=True)
    assert (result.pinned, aws.bytes_at(result.destination)) == ("version", b"registered")


def test_without_a_version_of_that_time_it_is_refused(aws: World) -> None:
    versioned(aws)
    written(aws, b"first", AFTER)
    refused(aws, written(aws, b"second", AFTER))


def test_an_etag_that_was_recorded_counts_more_than_the_time(aws: World) -> None:
    uri = written(aws, b"registered", AFTER)
    etag = aws.spoke.head_object(Bucket=SPOKE_BUCKET, Key=KEY)["ETag"]
    result = aws.copied(uri, etag=etag, registered_at=REGISTERED.isoformat(), runs=True)
    assert result.pinned == "ETag"


def test_a_prefix_is_as_young_as_its_youngest_object(aws: World) -> None:
    for number in range(3):
        written(aws, b"%d" % number, BEFORE, f"w/{number}")
    uri = f"s3://{SPOKE_BUCKET}/w/"
    assert aws.copied(uri, kind="prefix", registered_at=REGISTERED.isoformat(), runs=True).pinned == "time"
    written(aws, b"exchanged", AFTER, "w/1")
    for key in aws.listed():
        aws.hub.delete_object(Bucket=HUB_BUCKET, Key=key)
    assert f"{uri}1 is not what it was" in refused(aws, uri, "prefix")
    assert aws.copied(uri, kind="prefix", registered_at=REGISTERED.isoformat()).pinned == "none"


def test_without_a_time_nothing_is_known(aws: World) -> None:
    assert aws.copied(written(aws, b"model", BEFORE), runs=True).pinned == "none"
