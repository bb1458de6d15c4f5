"""What is concluded from S3's answers, without S3."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.aws.artifact_facts import (
    MULTIPART_ALGORITHMS,
    PIN_KEY,
    Checksum,
    algorithm_for,
    checksums,
    compare,
    digest,
    facts,
    may_be_copy,
    streamed_algorithm_for,
    younger,
)

HEAD: dict[str, Any] = {"ContentLength": 3, "ETag": '"abc"', "ContentType": "application/gzip"}
CRC64 = Checksum("CRC64NVME", "AAAAAAAAAAA=")
CRC32 = Checksum("CRC32", "AAAAAA==")


def test_the_pin_is_the_version_where_there_is_one() -> None:
    assert facts("k", HEAD | {"VersionId": "v1"}).pin == "v1"
    assert facts("k", HEAD | {"VersionId": "null"}).pin == "abc"
    assert facts("k", HEAD).pin == "abc"


@pytest.mark.parametrize(
    ("answer", "archive"),
    [
        ({}, None),
        ({"StorageClass": "STANDARD_IA"}, None),
        ({"StorageClass": "GLACIER_IR"}, None),
        ({"StorageClass": "GLACIER"}, "GLACIER"),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'}, "DEEP_ARCHIVE"),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="..."'}, None),
        (
            {"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "DEEP_ARCHIVE_ACCESS"},
            "INTELLIGENT_TIERING, DEEP_ARCHIVE_ACCESS",
        ),
    ],
)
def test_what_has_to_be_restored_first(answer: dict[str, str], archive: str | None) -> None:
    assert facts("k", HEAD | answer).archive == archive


@pytest.mark.parametrize(
    ("shown", "kept"),
    [
        ("Tue, 01 Jan 2030 00:00:00 GMT", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01T02:00:00+02:00", datetime(2030, 1, 1, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        *((odd, None) for odd in ("inf", "nan", "9" * 20, "1e400", "never", "")),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
    ],
)
def test_a_time_that_no_clock_can_show_is_not_kept(shown: str, kept: datetime | None) -> None:
    """S3 gives `Expires` back as it was given."""
    assert facts("k", HEAD | {"Expires": shown}).headers.get("Expires") == kept


def test_a_checksum_of_parts_is_none_of_the_object() -> None:
    assert checksums({"ChecksumSHA256": "AAAA-3", "ChecksumType": "COMPOSITE"}) == ()
    assert checksums({"ChecksumSHA256": "AAAA-3"}) == ()
    assert checksums({"ChecksumCRC32": "AAAAAA==", "ChecksumType": "FULL_OBJECT"}) == (CRC32,)
    both = {"ChecksumCRC32": CRC32.value, "ChecksumCRC64NVME": CRC64.value}
    assert checksums(both) == (CRC64, CRC32)


def test_equal_different_or_not_comparable() -> None:
    assert compare((CRC64,), (CRC64,)) == CRC64
    assert compare((CRC64, CRC32), (CRC32,)) == CRC32
    assert compare((CRC64,), (Checksum("CRC64NVME", "BBBBBBBBBBB="),)) is False
    assert compare((CRC64,), (CRC32,)) is None
    assert compare((), (CRC64,)) is None


@pytest.mark.parametrize(
    ("source", "copy", "maybe"),
    [
        ((CRC64,), {"checksums": (CRC64,), "metadata": {PIN_KEY: "abc"}}, True),
        ((CRC64,), {"checksums": (CRC64,), "metadata": {PIN_KEY: "another"}}, False),
        ((CRC64,), {"checksums": (CRC64,)}, False),
        ((CRC64,), {"checksums": (Checksum("CRC64NVME", "B"),), "metadata": {PIN_KEY: "abc"}}, False),
        ((), {"checksums": (CRC64,), "metadata": {PIN_KEY: "abc"}}, True),
        ((), {"checksums": (CRC64,), "metadata": {PIN_KEY: "another"}}, False),
        ((), {"checksums": (CRC64,)}, False),
        ((), {"size": 4, "metadata": {PIN_KEY: "abc"}}, False),
    ],
)
def test_what_is_there_may_be_the_copy(
    source: tuple[Checksum, ...], copy: dict[str, Any], maybe: bool
) -> None:
    there = replace(facts("there", HEAD), **copy)
    assert may_be_copy(replace(facts("k", HEAD), checksums=source), there, read_limit=2) is maybe


def test_what_nothing_tells_of_is_a_copy_only_if_it_can_be_read() -> None:
    assert may_be_copy(facts("k", HEAD), facts("there", HEAD), read_limit=3)
    assert not may_be_copy(facts("k", HEAD), facts("there", HEAD), read_limit=2)


def test_the_copy_gets_a_checksum_that_its_source_has() -> None:
    source = facts("k", HEAD | {"ChecksumCRC32C": "AAAAAA==", "ChecksumType": "FULL_OBJECT"})
    assert algorithm_for(source) == "CRC32C"
    assert algorithm_for(source, MULTIPART_ALGORITHMS) == "CRC32C"
    assert streamed_algorithm_for(source) is None
    crc32 = facts("k", HEAD | {"ChecksumCRC32": "AAAAAA==", "ChecksumType": "FULL_OBJECT"})
    assert streamed_algorithm_for(crc32) == "CRC32"
    sha = facts("k", HEAD | {"ChecksumSHA256": "AAAA", "ChecksumType": "FULL_OBJECT"})
    assert (algorithm_for(sha), algorithm_for(sha, MULTIPART_ALGORITHMS)) == ("SHA256", "CRC64NVME")
    assert algorithm_for(facts("k", HEAD)) == "CRC64NVME"


def test_the_pin_comes_before_metadata_that_leaves_no_room_for_it() -> None:
    assert facts("k", HEAD | {"Metadata": {"a": "b"}}).metadata_of_copy() == {"a": "b", PIN_KEY: "abc"}
    full = {"a": "x" * 2040, "b": "small"}
    assert facts("k", HEAD | {"Metadata": full}).metadata_of_copy() == {PIN_KEY: "abc", "b": "small"}
    fits = {"a": "x" * (2048 - len(PIN_KEY) - len("abc") - 1)}
    assert facts("k", HEAD | {"Metadata": fits}).metadata_of_copy() == {PIN_KEY: "abc", **fits}


@pytest.mark.parametrize("name", [PIN_KEY, "Replicator-Source-Pin"])
def test_the_sources_own_entry_of_that_name_is_no_pin(name: str) -> None:
    assert facts("k", HEAD | {"Metadata": {name: "planted"}}).metadata_of_copy() == {PIN_KEY: "abc"}


@pytest.mark.parametrize(
    ("last_modified", "late"),
    [
        ("Fri, 02 Jan 2026 00:00:00 GMT", False),
        ("Fri, 02 Jan 2026 00:00:02 GMT", False),
        ("Fri, 02 Jan 2026 00:00:03 GMT", True),
        ("2026-01-01T23:59:59.000Z", False),
        ("2026-01-02T00:00:03.000Z", True),
    ],
)
def test_bytes_are_younger_than_a_registration_by_more_than_clocks_differ(
    last_modified: str, late: bool
) -> None:
    assert younger(last_modified, "2026-01-02T01:00:00+01:00") is late


# Lone surrogates are no UTF-8: neither S3 nor pydantic lets such a text come here.
TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=4)


@given(TEXTS, TEXTS)
def test_other_texts_give_another_digest(texts: list[str], other: list[str]) -> None:
    assert (digest(texts) == digest(other)) == (texts == other)


def test_a_digest_is_a_whole_sha_256_and_never_changes() -> None:
    """The places of mirrors that exist depend on it; a spoke chooses the texts, so half a digest is not enough."""
    assert digest(["bucket", "key", "pin"]) == (
        "1690051440e040525c913cdde9e22f63a9d5eaa5293ce9bda9b25c2473f45388"
    )
