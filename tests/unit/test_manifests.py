from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.ledger import State
from replicator.manifests import (
    ForeignLocationError,
    refuse_manifests_that_point_past,
    rewrite_manifest,
)
from replicator.operations.registering import Registering
from replicator.package import fingerprint
from replicator.steps import Action, ArtifactCopy, CopyResult, PlanAnswer, RegisterRequest

BASE, MOVED = "s3://spoke/models/a/", "s3://hub/models/1/g/1/f/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://spoke/models/a/x.bin\r\ny.bin\n", "s3://hub/models/1/g/1/f/x.bin\r\ny.bin\n"),
        ('"w","s3://spoke/models/a/x,y"\n', None),
        ('id,"s3://spoke/models/a/d/x.bin",3\n', 'id,"s3://hub/models/1/g/1/f/d/x.bin",3\n'),
        ("s3://spoke/models/a/\n", "s3://hub/models/1/g/1/f/\n"),
        ("relative/only.bin,12\n", "relative/only.bin,12\n"),
        ("", ""),
    ],
)
def test_locations_below_the_data_source_move_with_it(text: str, expected: str | None) -> None:
    rewritten = rewrite_manifest(text, BASE, MOVED)
    if expected is not None:
        assert rewritten == expected
    assert "spoke" not in rewritten


@pytest.mark.parametrize("text", ["s3://spoke/models/b/x", "s3://other/x", "a,s3://spoke/models/"])
def test_a_location_elsewhere_is_refused_by_name(text: str) -> None:
    with pytest.raises(ForeignLocationError, match="s3://"):
        rewrite_manifest(text, BASE, MOVED)


@pytest.mark.parametrize("base", ["s3://b/my w/", "s3://b/w,1/", "s3://b/a;b'c/", "s3://b/w.*/"])
def test_a_base_may_have_what_ends_other_locations(base: str) -> None:
    text = f"{base}x.bin,3\n{base}d/y z.bin\n"
    assert rewrite_manifest(text, base, MOVED) == f"{MOVED}x.bin,3\n{MOVED}d/y z.bin\n"
    with pytest.raises(ForeignLocationError):
        rewrite_manifest(text + base.replace("b/", "c/"), base, MOVED)
    with pytest.raises(ForeignLocationError):
        rewrite_manifest("s3://b/wxx/x.bin", base, MOVED)


def test_an_object_moves_as_a_whole_and_its_namesakes_do_not() -> None:
    assert rewrite_manifest("s3://b/m.bin", "s3://b/m.bin", "s3://h/m.bin") == "s3://h/m.bin"
    with pytest.raises(ForeignLocationError):
        rewrite_manifest("s3://b/m.bin2", "s3://b/m.bin", "s3://h/m.bin")


DESTINATION = "models/222222222222/g/1/"
PREFIX = ArtifactCopy(uri="s3://spoke/models/a/", type="prefix", destination=DESTINATION)
MANIFEST = ArtifactCopy(uri="s3://spoke/m.csv", type="manifest", destination=DESTINATION, base=PREFIX)


def result(copy: ArtifactCopy, destination: str, base: str | None = None) -> CopyResult:
    return CopyResult(
        kind="artifact", uri=copy.uri, destination=destination, base=base, bytes=1, verified="v", method="m"
    )


REWRITTEN = result(MANIFEST, "s3://hub/m.csv", base=MOVED)


@pytest.mark.parametrize(
    "locations",
    [{PREFIX.uri: "s3://hub/models/1/g/1/another/"}, {}],
    ids=["it went elsewhere", "it went nowhere"],
)
def test_a_manifest_that_points_past_the_copies_is_refused(locations: dict[str, str]) -> None:
    with pytest.raises(PermanentError, match=PREFIX.uri) as caught:
        refuse_manifests_that_point_past([PREFIX, MANIFEST], [REWRITTEN], locations)
    assert caught.value.code is ErrorCode.SOURCE_CHANGED


@pytest.mark.parametrize("results", [[REWRITTEN], [result(MANIFEST, "s3://hub/m.csv")], []])
def test_one_that_points_to_them_is_not_nor_one_that_points_nowhere(results: list[CopyResult]) -> None:
    refuse_manifests_that_point_past([MANIFEST], results, {PREFIX.uri: MOVED})
    refuse_manifests_that_point_past([PREFIX], results, {})


def test_register_refuses_it_before_it_writes_anything() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:222222222222:model-package/g/1"
    registering: Any = mock.create_autospec(Registering, instance=True)
    registering.ledger.get.return_value = SimpleNamespace(
        attempt=1, state=State.RUNNING, locations={}, pins={}, source_group=None
    )
    registering.spoke.describe.return_value = {}
    registering._write = lambda *args: Registering._write(registering, *args)
    plan = PlanAnswer(
        action=Action.MIRROR, reason="", wanted=1, fingerprint=fingerprint({}), copies=[PREFIX, MANIFEST]
    )
    results = [result(PREFIX, "s3://hub/models/1/g/1/another/"), REWRITTEN]
    request = RegisterRequest(source_arn=arn, attempt=1, plan=plan, results=results)
    with pytest.raises(PermanentError) as caught:
        Registering.run(registering, request)
    assert caught.value.code is ErrorCode.SOURCE_CHANGED
    registering.ledger.creating.assert_not_called()
    registering.documents.put.assert_not_called()
