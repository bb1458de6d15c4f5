"""What an image may consist of: as many manifests, as deep and as large as are fetched and held."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from replicator.aws import oci_copy
from replicator.aws.oci_copy import MOST_LEVELS, MOST_MANIFESTS, Copier
from replicator.aws.oci_manifest import OCI_INDEX, OCI_MANIFEST, digest_of, read_manifest
from replicator.aws.oci_registry import Place, Registry
from replicator.errors import ErrorCode, PermanentError

if TYPE_CHECKING:
    from replicator.aws.oci_manifest import Manifest

PLACE = Place(Registry("https://registry.example"), "team/scorer")


class Held:
    """Documents by digest, and how many of them were asked for."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.asked = 0

    def add(self, **document: object) -> str:
        raw = json.dumps({"schemaVersion": 2, **document}).encode()
        self.documents[digest_of(raw)] = raw
        return digest_of(raw)

    def image(self, name: str) -> str:
        return self.add(mediaType=OCI_MANIFEST, layers=[], annotations={"name": name})

    def index(self, *children: str) -> str:
        entries = [{"digest": child, "size": len(self.documents[child])} for child in children]
        return self.add(mediaType=OCI_INDEX, manifests=entries)

    def get_manifest(self, digest: str) -> Manifest:
        self.asked += 1
        return read_manifest(self.documents[digest], "", digest)


def tree(held: Held, digest: str, monkeypatch: pytest.MonkeyPatch) -> list[Manifest]:
    copier = Copier.between(PLACE, PLACE)
    monkeypatch.setattr(copier.source, "get_manifest", held.get_manifest)
    return copier.tree(digest)


def unsupported(held: Held, digest: str, monkeypatch: pytest.MonkeyPatch) -> str:
    with pytest.raises(PermanentError) as caught:
        tree(held, digest, monkeypatch)
    assert caught.value.code is ErrorCode.IMAGE_UNSUPPORTED
    assert "team/scorer" in caught.value.message
    return caught.value.message


def nested(held: Held, levels: int) -> str:
    digest = held.image("innermost")
    for _ in range(levels - 1):
        digest = held.index(digest)
    return digest


def test_children_come_before_the_index_that_names_them_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    shared, other = held.image("shared"), held.image("other")
    inner = held.index(shared, other)
    outer = held.index(shared, inner, other)
    assert [each.digest for each in tree(held, outer, monkeypatch)] == [shared, other, inner, outer]
    assert held.asked == 4


def test_indexes_in_indexes_are_followed_so_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    assert len(tree(held, nested(held, MOST_LEVELS), monkeypatch)) == MOST_LEVELS


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, 1100])
def test_indexes_in_indexes_are_followed_no_deeper(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    assert "10 deep" in unsupported(held, nested(held, levels), monkeypatch)
    assert held.asked == MOST_LEVELS + 1


def test_a_manifest_counts_when_it_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held()
    index = held.index(*(held.image(str(number)) for number in range(MOST_MANIFESTS + 5)))
    assert "1,000 manifests" in unsupported(held, index, monkeypatch)
    assert held.asked == MOST_MANIFESTS + 1


def test_no_more_bytes_of_manifests_are_held_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oci_copy, "MOST_TREE_BYTES", 3 * 1024 * 1024)
    held = Held()
    index = held.index(*(held.image(f"{number}" * 1024 * 1024) for number in range(6)))
    assert "3 MiB of manifests" in unsupported(held, index, monkeypatch)
    assert held.asked == 4  # the index and what fits beside it, and the one that does not
