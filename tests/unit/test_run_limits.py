"""A run of any size fits into what Step Functions allows: bytes of a state, events of a history."""

from __future__ import annotations

import json

import pytest

from replicator.aws.artifact_facts import Tuning
from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import ModelPackageArn
from replicator.parts import GIB
from replicator.refusals import LARGEST_STATE, bytes_in_state, refuse_too_many_copies
from replicator.steps import Action, ArtifactCopy, CopyResult, ImageCopy, PlanAnswer, RegisterRequest

ARN = ModelPackageArn.parse("arn:aws:sagemaker:eu-west-1:222222222222:model-package/" + "g" * 63 + "/3")
DESTINATION = f"models/222222222222/{'g' * 63}/99999/"
TERABYTE = 10**12
EVENTS_OF_A_ROUND = 11
"""WhichCopy 2, CopyArtifact 5 (entered, scheduled, started, succeeded, exited), IsCopied 2, GoOn 2."""


def artifact(number: int, length: int, character: str = "k") -> ArtifactCopy:
    start = f"s3://{'b' * 63}/{number:06}"
    return ArtifactCopy(
        uri=start + character * (length - len(start)), type="object", etag="e" * 40, destination=DESTINATION
    )


def result_of(copy: ArtifactCopy) -> CopyResult:
    """Give a result as long as one can be: the whole name, and a version id as long as they are."""
    name = copy.uri.rpartition("/")[2]
    return CopyResult(
        kind="artifact",
        uri=copy.uri,
        destination=f"s3://{'h' * 63}/{copy.destination}{'f' * 16}/{name}",
        bytes=50 * TERABYTE,
        objects=10**6,
        pin="v" * 128,
        checksum=f"SHA-256:{'c' * 64}",
        verified="CRC64NVME, MD5 of every part, SHA-256 by reading both, size and pinned parts",
        method="server-side, streamed",
    )


def filled(length: int, character: str) -> list[ArtifactCopy]:
    """Give as many copies as are let through."""
    copies: list[ArtifactCopy] = []
    while True:
        copies.append(artifact(len(copies), length, character))
        try:
            refuse_too_many_copies(ARN, copies)
        except PermanentError:
            return copies[:-1]


@pytest.mark.parametrize("length", [90, 200, 1024])
@pytest.mark.parametrize("character", ["k", "ü", '"'])
def test_what_is_let_through_fits_with_all_its_results(length: int, character: str) -> None:
    copies = filled(length, character)
    plan = PlanAnswer(
        action=Action.MIRROR, reason="r" * 500, wanted=1, fingerprint="f" * 64, copies=list(copies)
    )
    state = RegisterRequest(
        source_arn=str(ARN), attempt=99, plan=plan, results=[result_of(copy) for copy in copies]
    )
    assert len(json.dumps(state.model_dump(mode="json"))) + 32_768 < LARGEST_STATE
    assert len(copies) >= 9


def test_what_ordinary_packages_hold_is_let_through() -> None:
    """15 containers, each with an image, model data, its source and 5 more; beside them 20 reports."""
    images = [
        ImageCopy(uri=f"222222222222.dkr.ecr.eu-west-1.amazonaws.com/{n}:1", repository="r")
        for n in range(15)
    ]
    refuse_too_many_copies(ARN, [*images, *(artifact(n, 110) for n in range(15 * 7))])


def test_more_than_that_is_refused_with_what_to_do() -> None:
    # The model of the API allows 15 containers of 100 variables with a location of 1,024 characters each.
    with pytest.raises(PermanentError, match=r"1500 locations.*fewer or shorter") as caught:
        refuse_too_many_copies(ARN, [artifact(n, 1024) for n in range(1500)])
    assert caught.value.code == ErrorCode.LIMIT_EXCEEDED


def test_a_manifest_counts_with_the_location_beside_it() -> None:
    base = artifact(1, 500)
    manifest = base.model_copy(update={"type": "manifest", "base": artifact(2, 900)})
    assert bytes_in_state(manifest) > bytes_in_state(base) + 900


@pytest.mark.parametrize("rate", [250e6, 64 * 80e6], ids=["one slow copy", "64 streams of 80 MB/s"])
def test_fifty_terabytes_take_few_events_and_less_time_than_a_run_has(rate: float) -> None:
    seconds = 50 * TERABYTE / rate
    rounds = -(-seconds // (900 - Tuning().margin))
    assert rounds * EVENTS_OF_A_ROUND < 25_000 / 5
    assert seconds < 259_200


def test_a_round_moves_at_least_a_part_of_the_largest_object() -> None:
    """The largest part, of 5 GiB, is done before the deadline even at a tenth of the usual rate."""
    assert 900 - Tuning().margin > 5 * GIB / 8e6
