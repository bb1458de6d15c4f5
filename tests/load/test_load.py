"""A small flood through the shipped templates; `tests.bench.load` plays the large one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.server import LocalAws
from tests.load.ends import failures, problems
from tests.load.flood import MISSING, NO_ROLE, Flood, Scale, deploy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCALE = Scale(versions=60, spokes=20, flood=20, limit=2, missing_every=20)


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flood]:
    """Play the flood once."""
    root: Path = tmp_path_factory.mktemp("load")
    with LocalAws(root=root, workers=2) as aws:
        flood = deploy(aws, SCALE)
        flood.prepare()
        flood.release()
        flood.watch(every=1.0, seconds=300, impatient=True)
        yield flood


def test_every_version_ends_mirrored_once_or_as_one_dead_letter(flood: Flood) -> None:
    assert problems(flood) == []
    assert len(flood.versions) == SCALE.versions
    assert failures(flood) == {MISSING: 3, NO_ROLE: 2}


def test_no_spoke_had_more_runs_at_a_time_than_it_may(flood: Flood) -> None:
    assert max(flood.in_flight.peaks.values()) == SCALE.limit
    assert flood.in_flight.looks > 100


def test_the_flood_of_one_spoke_does_not_hold_up_the_single_approval_of_another(flood: Flood) -> None:
    """It was approved last of all; without the limit it would start last of all."""
    flooding, (single,) = flood.of(SCALE.accounts[0]), flood.of(flood.quiet)
    assert flood.started_after(single, flooding) >= len(flooding) / 2
