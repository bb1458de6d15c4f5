"""What the threads of a copy count together, in the order of the keys."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from replicator.aws.artifact_facts import Checksum
from replicator.aws.artifact_tally import Item, Outcome, Tally

OUTCOMES = {
    "a": Outcome(Checksum("CRC32", "one"), "CRC32", "server-side"),
    "b": Outcome(None, "size", "streamed"),
    "c": Outcome(Checksum("CRC64NVME", "three"), "CRC64NVME", "already there"),
}
ITEMS = {name: Item(f"p/{name}", number, "etag", f"root/{name}") for number, name in enumerate("abc", 10)}
CHAIN = b""
for _link in (b"a\x0010\0CRC32:one\0", b"b\x0011\0\0", b"c\x0012\0CRC64NVME:three\0"):
    CHAIN = hashlib.sha256(CHAIN + _link).digest()


def begun() -> Tally:
    tally = Tally("p/", 3)
    for item in ITEMS.values():
        tally.begin(item, 0)
    return tally


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_in_whatever_order_objects_finish_the_chain_is_that_of_the_keys(order: tuple[str, ...]) -> None:
    tally = begun()
    for name in order:
        tally.add(ITEMS[name].size)
        tally.finish(ITEMS[name], OUTCOMES[name])
    assert tally.chain == CHAIN
    assert (tally.after, tally.objects, tally.bytes, tally.moved) == ("p/c", 3, 33, 33)
    assert tally.latest == OUTCOMES["c"]
    assert not tally._begun
    assert not tally._finished


def test_it_goes_no_further_than_the_first_that_is_not_finished() -> None:
    tally = begun()
    tally.finish(ITEMS["b"], OUTCOMES["b"])
    tally.finish(ITEMS["c"], OUTCOMES["c"])
    assert (tally.after, tally.objects, tally.bytes) == ("", 0, 0)
    assert tally.is_full
    tally.finish(ITEMS["a"], OUTCOMES["a"])
    assert tally.after == "p/c"
    assert not tally.is_full


@pytest.mark.parametrize("cut", ["a", "b"])
def test_a_cursor_goes_on_where_it_was(cut: str) -> None:
    tally = Tally("p/", 3)
    for name, item in ITEMS.items():
        tally.begin(item, item.size)
        tally.finish(item, OUTCOMES[name])
        if name == cut:
            cursor = tally.cursor("digest")
            assert (cursor.after, cursor.listing) == (item.key, "digest")
            tally = Tally("p/", 3, cursor)
            assert tally.moved == tally.bytes
            assert not tally.came_further
    assert tally.chain == CHAIN
    assert (tally.verified, tally.methods) == (
        {"CRC32", "size", "CRC64NVME"},
        {"server-side", "streamed", "already there"},
    )
    assert tally.came_further


def test_what_was_found_is_no_progress_and_what_arrived_is() -> None:
    tally = begun()
    tally.found(5)
    assert (tally.moved, tally.came_further) == (5, False)
    tally.add(0)
    assert (tally.moved, tally.came_further) == (5, True)


def test_what_was_found_to_be_finished_is_progress() -> None:
    tally = begun()
    tally.finish(ITEMS["b"], OUTCOMES["b"])
    assert not tally.came_further
    tally.finish(ITEMS["a"], OUTCOMES["a"])
    assert tally.came_further
