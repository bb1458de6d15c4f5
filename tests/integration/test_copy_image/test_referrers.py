"""Signatures and attestations: what refers to an image comes with it, or it is said that it did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.images import build_image, build_index, build_referrer
from replicator.aws.oci_copy import mirror_tag
from replicator.aws.oci_referrers import _NEXT, MOST_PAGES, MOST_REFERRERS
from replicator.errors import ErrorCode, RetryableError
from tests.integration.test_copy_image.conftest import SPOKE

if TYPE_CHECKING:
    from local.images import OciImage
    from tests.integration.test_copy_image.conftest import World

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = build_image({"opt/model": b"weights"})
FIRST = build_referrer(IMAGE, "application/vnd.in-toto+json", b"{}")
SECOND = build_referrer(IMAGE, "application/vnd.example.signature", b"signed")


@pytest.fixture
def signed(world: World) -> World:
    """Push an image and two that refer to it."""
    world.push(IMAGE, "team/scorer")
    for referrer in (FIRST, SECOND):
        world.push(referrer, "team/scorer", None)
    return world


def arrived(world: World) -> set[str]:
    """Give what refers to the image and is in the hub."""
    return set(world.hub_images()) - {IMAGE.digest}


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(vars(record)["reason"]) for record in caplog.records if "reason" in vars(record)]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401},
        {"status": 403},
        {"status": 408},
        {"status": 429},
        {"status": 503},
        {"truncate": 20},
        {"silent": True},
    ],
    ids=str,
)
def test_a_list_that_fails_once_is_asked_for_again(
    signed: World, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    used = signed.registry.faults.plan("GET", f"/referrers/{IMAGE.digest}", **fault)
    assert signed.copy()["done"]
    assert used.times == 0
    assert arrived(signed) == {FIRST.digest, SECOND.digest}
    assert reasons(caplog) == []


@pytest.mark.parametrize("code", ["TOOMANYREQUESTS", "DENIED"])
def test_a_list_that_is_refused_with_a_code_is_not_a_registry_without_the_api(
    signed: World, code: str
) -> None:
    body = json.dumps({"errors": [{"code": code, "message": "said"}]}).encode()
    used = signed.registry.faults.plan("GET", f"/referrers/{IMAGE.digest}", status=400, body=body)
    assert signed.copy()["done"]
    assert used.times == 0
    assert arrived(signed) == {FIRST.digest, SECOND.digest}


@pytest.mark.parametrize("status", [401, 403, 418])
def test_a_list_that_is_denied_is_not_taken_for_an_empty_one(
    signed: World, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    signed.registry.faults.plan("GET", r"/referrers/", status=status, times=100)
    assert signed.copy()["done"]
    assert arrived(signed) == set()
    [reason] = reasons(caplog)
    assert f"listing what refers to {SPOKE}.dkr.ecr" in reason
    assert IMAGE.digest in reason
    assert str(status) in reason


def test_an_image_has_no_tag_while_its_list_keeps_failing(
    signed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replicator.aws.oci_http.ATTEMPTS", 2)
    signed.registry.faults.plan("GET", r"/referrers/", status=503, times=100)
    progress = signed.copy()["progress"]  # the blobs have arrived
    with pytest.raises(RetryableError) as caught:
        signed.copy(progress=progress)
    assert caught.value.code is ErrorCode.SERVICE_UNAVAILABLE
    assert not any(mirror_tag(IMAGE.digest) in tags for tags in signed.hub_images().values())


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_registry_without_the_api_keeps_the_list_under_a_tag(
    signed: World, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    signed.push(build_index([SECOND]), "team/scorer", IMAGE.digest.replace(":", "-"))
    signed.registry.faults.plan("GET", r"/referrers/", status=status, times=100)
    assert signed.copy()["done"]
    assert arrived(signed) == {SECOND.digest}
    assert reasons(caplog) == []


def page(*referrers: OciImage) -> bytes:
    entries = [referrer.manifest.descriptor for referrer in referrers]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def first_page(world: World) -> None:
    """Give the list in two pages: this is the first, the second is what the registry itself answers."""
    link = f'</v2/team/scorer/referrers/{IMAGE.digest}?last=1>; rel="next"'
    world.registry.faults.plan(
        "GET", f"/referrers/{IMAGE.digest}$", status=200, body=page(FIRST),
        headers={"Content-Type": INDEX, "Link": link},
    )  # fmt: skip


@pytest.mark.parametrize("fault", [None, {"status": 503}, {"status": 401}, {"truncate": 20}], ids=str)
def test_every_page_of_the_list_counts(
    signed: World, fault: dict[str, Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    first_page(signed)
    if fault:
        signed.registry.faults.plan("GET", r"last=1", **fault)
    assert signed.copy()["done"]
    assert arrived(signed) == {FIRST.digest, SECOND.digest}
    assert reasons(caplog) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_page_that_does_not_come_is_said(
    signed: World, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    first_page(signed)
    signed.registry.faults.plan("GET", r"last=1", status=status, times=100)
    assert signed.copy()["done"]
    assert arrived(signed) == {FIRST.digest}
    [reason] = reasons(caplog)
    assert f"what refers to {IMAGE.digest}" in reason or f"{IMAGE.digest}?last=1: 403" in reason


def test_a_list_without_an_end_is_left_after_so_many_pages(
    signed: World, caplog: pytest.LogCaptureFixture
) -> None:
    link = f'</v2/team/scorer/referrers/{IMAGE.digest}?last=1>; rel="next"'
    used = signed.registry.faults.plan(
        "GET", r"/referrers/", status=200, body=page(), headers={"Content-Type": INDEX, "Link": link}, times=1000
    )  # fmt: skip
    assert signed.copy()["done"]
    assert 1000 - used.times == MOST_PAGES
    [reason] = reasons(caplog)
    assert f"more than {MOST_PAGES} pages" in reason


def test_the_next_page_is_found_in_a_header_of_any_length() -> None:
    # A pattern that looks at the rest anew from every bracket would need hours, and meet the time-out.
    assert _NEXT.search("<" * 1_000_000) is None
    found = _NEXT.search("<" * 1_000_000 + '/next>; rel="next"')
    assert found is not None
    assert found[1] == "/next"


@pytest.mark.parametrize("more", [0, 50])
@pytest.mark.parametrize("by_tag", [False, True])
def test_more_than_is_copied_is_said(
    world: World, more: int, by_tag: bool, caplog: pytest.LogCaptureFixture
) -> None:
    world.push(IMAGE, "team/scorer")
    entries = [{"digest": f"sha256:{number:064x}", "size": 1} for number in range(MOST_REFERRERS + more)]
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    path = f"manifests/{IMAGE.digest.replace(':', '-')}$" if by_tag else f"referrers/{IMAGE.digest}"
    world.registry.faults.plan("GET", path, status=200, body=body, headers={"Content-Type": INDEX})
    if by_tag:
        world.registry.faults.plan("GET", r"/referrers/", status=404)
    assert world.copy()["done"]
    # None of them is there, which is said of each that was tried.
    assert sum("is not in its registry" in reason for reason in reasons(caplog)) == MOST_REFERRERS
    assert any("more than 200" in reason for reason in reasons(caplog)) is bool(more)


def test_a_chain_of_referrers_is_followed_so_far(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("replicator.aws.oci_referrers.MOST_LEVELS", 2)
    world.push(IMAGE, "team/scorer")
    chain = [IMAGE]
    for number in range(3):
        chain.append(build_referrer(chain[-1], "application/vnd.example.signature", b"%d" % number))
        world.push(chain[-1], "team/scorer", None)
    assert world.copy()["done"]
    assert arrived(world) == {chain[1].digest, chain[2].digest}
    [reason] = reasons(caplog)
    assert chain[2].digest in reason
