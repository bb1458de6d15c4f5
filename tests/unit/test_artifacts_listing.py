"""Listings that are never held whole."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from replicator.aws import artifact_listing
from replicator.aws.artifact_listing import (
    PAGE,
    ChangedError,
    Entry,
    Listing,
    StrayError,
    TimeUpError,
    UnorderedError,
    UnwritableError,
    listed,
    paired,
    read_ahead,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def plenty() -> float:
    return 600.0


def entries(*keys: str) -> list[Entry]:
    return [Entry(key, len(key), f"etag of {key}") for key in keys]


def summed(*pages: list[Entry]) -> Listing:
    listing = Listing("bucket", "p/")
    listing.add(pages)
    return listing


def test_the_digest_is_of_the_place_and_of_every_key_size_and_etag() -> None:
    listing = summed(entries("p/a", "p/b"))
    expected = "bucket\0p/\0a\x003\0etag of p/a\0b\x003\0etag of p/b\0"
    assert listing.digest == hashlib.sha256(expected.encode()).hexdigest()
    assert (listing.objects, listing.bytes) == (2, 6)


def test_pages_make_no_difference() -> None:
    assert summed(entries("p/a"), [], entries("p/b", "p/c")) == summed(entries("p/a", "p/b", "p/c"))


def test_the_longest_key_is_the_one_with_the_most_bytes() -> None:
    assert summed(entries("p/aaa", "p/üü")).longest == "p/üü"


@pytest.mark.parametrize("count", [PAGE, PAGE + 1])
def test_only_what_fits_into_a_page_is_kept(count: int) -> None:
    found = entries(*(f"p/{number:06}" for number in range(count)))
    assert summed(found[:700], found[700:]).entries == (found if count == PAGE else None)


@pytest.mark.parametrize("keys", [("p/b", "p/a"), ("p/a", "p/a")])
def test_keys_that_do_not_ascend_are_no_listing_to_go_by(keys: tuple[str, ...]) -> None:
    with pytest.raises(UnorderedError):
        summed(*(entries(key) for key in keys))


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1f", "\uffff"])
def test_a_key_that_no_answer_of_s3_can_hold_is_named(character: str) -> None:
    with pytest.raises(UnwritableError) as caught:
        summed(entries(f"p/a{character}b"))
    assert str(caught.value) == f"p/a{character}b"
    assert summed(entries("p/\t\n\r ü\x7f\U0001f600")).objects == 1


def test_pages_stop_when_the_time_is_up() -> None:
    taken: list[int] = []
    pages = (entries(f"p/{number}") for number in range(9))
    with pytest.raises(TimeUpError):
        taken.extend(len(page) for page in read_ahead(pages, lambda: 3.0 - len(taken)))
    assert taken == [1, 1, 1]


def test_a_page_that_does_not_come_is_not_waited_for_beyond_that() -> None:
    stalled, ends = threading.Event(), time.monotonic() + 0.3

    def pages() -> Iterator[list[Entry]]:
        yield entries("a")
        stalled.wait(20)

    taken: list[str] = []
    with pytest.raises(TimeUpError):
        taken.extend(page[0].key for page in read_ahead(pages(), lambda: ends - time.monotonic()))
    assert time.monotonic() < ends + 5
    assert taken == ["a"]
    stalled.set()


def test_objects_are_paired_with_what_is_in_their_place() -> None:
    source = entries("p/a", "p/c", "p/d", "p/\uffff", "p/\U0001f600")
    hub = [Entry(f"root/{name}", 7, "") for name in ("a", "d", "\uffff", "\U0001f600")]
    assert [there for _, there in paired(source, "p/", hub, "root/")] == [7, None, 7, 7, 7]
    assert [there for _, there in paired(source, "p/", [], "root/")] == [None] * 5


@pytest.mark.parametrize("stray", ["0", "a0", "b", "d", "\uffff"])
def test_a_copy_of_nothing_is_not_passed_over(stray: str) -> None:
    hub = sorted([*entries("root/a", "root/c"), Entry(f"root/{stray}", 7, "")])
    with pytest.raises(StrayError, match=f"root/{stray}"):
        list(paired(entries("p/a", "p/c"), "p/", hub, "root/"))


def many(count: int) -> list[Entry]:
    return entries(*(f"p/{number:03}" for number in range(count)))


@pytest.mark.parametrize("after", ["", "p/000", "p/010", "p/011a", "p/023"])
@pytest.mark.parametrize("size", [1, 5, 7, 24, 100])
def test_a_listing_again_gives_the_objects_after_the_cursor(
    monkeypatch: pytest.MonkeyPatch, after: str, size: int
) -> None:
    monkeypatch.setattr(artifact_listing, "PAGE", 7)
    listing = Listing("bucket", "p/", after)
    listing.add([many(24)])
    later = [entry for entry in many(24) if entry.key > after]
    pages = [later[start : start + size] for start in range(0, len(later), size)]
    assert [entry for page in listing.again(iter(pages)) for entry in page] == later


@pytest.mark.parametrize("number", range(11, 24))
@pytest.mark.parametrize("change", ["written", "deleted", "added"])
def test_of_a_listing_that_changed_nothing_is_given_that_was_not_there_before(
    monkeypatch: pytest.MonkeyPatch, number: int, change: str
) -> None:
    monkeypatch.setattr(artifact_listing, "PAGE", 7)
    listing = Listing("bucket", "p/", "p/010")
    listing.add([many(24)])
    now = many(24)[11:]
    at = number - 11
    if change == "written":
        now[at] = now[at]._replace(etag="another")
    elif change == "deleted":
        del now[at]
    else:
        now.insert(at + 1, Entry(f"p/{number:03}+", 1, "new"))
    given: list[Entry] = []
    with pytest.raises(ChangedError):
        given.extend(entry for page in listing.again([now]) for entry in page)
    assert set(given) <= set(many(24))


def test_the_next_page_is_fetched_while_one_is_read_and_no_more() -> None:
    fetched: list[int] = []
    came = threading.Semaphore(0)

    def pages() -> Iterator[list[Entry]]:
        for number in range(5):
            fetched.append(number)
            came.release()
            yield entries(f"{number}a", f"{number}b")

    reading = read_ahead(pages(), plenty)
    assert [entry.key for entry in next(reading)] == ["0a", "0b"]
    assert came.acquire(timeout=5)
    assert came.acquire(timeout=5)
    assert fetched == [0, 1]
    later = [entry.key for page in reading for entry in page]
    assert later == [f"{number}{name}" for number in range(1, 5) for name in "ab"]


def test_an_error_of_a_page_comes_where_the_page_would() -> None:
    def pages() -> Iterator[list[Entry]]:
        yield entries("a")
        raise LookupError("broken")

    reading = read_ahead(pages(), plenty)
    assert next(reading) == entries("a")
    with pytest.raises(LookupError, match="broken"):
        next(reading)


def test_a_page_is_read_as_s3_gives_it() -> None:
    page = {"Contents": [{"Key": "a", "Size": 1, "ETag": '"1f"', "StorageClass": "STANDARD"}]}
    assert listed(page) == [Entry("a", 1, "1f")]
    assert listed({"KeyCount": 0}) == []


def test_a_listing_that_ends_with_a_page_too_early_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_listing, "PAGE", 7)
    listing = summed(many(24))
    with pytest.raises(ChangedError):
        list(listing.again([many(21)]))
