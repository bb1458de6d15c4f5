"""Part planning, also for sizes that no test can hold."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replicator.parts import GIB, MIB, PartLimits, PartPlan, TooLargeError, plan_parts

GB = 1000**3
TB = 1000 * GB
PREFERRED = 128 * MIB
LARGEST_OBJECT = 50 * TB


@given(size=st.integers(1, LARGEST_OBJECT), preferred=st.integers(1, 6 * GIB))
@example(size=1, preferred=1)
@example(size=5 * MIB, preferred=5 * MIB)
@example(size=5 * MIB + 1, preferred=5 * MIB)
@example(size=LARGEST_OBJECT, preferred=PREFERRED)
@example(size=10_000 * 5 * MIB + 1, preferred=5 * MIB)
def test_parts_keep_the_limits_of_s3_and_cover_the_object(size: int, preferred: int) -> None:
    plan = plan_parts(size, preferred)
    assert 1 <= plan.count <= 10_000
    assert plan.part_size <= 5 * GIB
    numbers = sorted({1, 2, plan.count // 2, plan.count - 1, plan.count} & set(range(1, plan.count + 1)))
    for number in numbers:
        part = plan.part(number)
        assert part.number == number
        assert part.first == (number - 1) * plan.part_size
        assert part.size == plan.part_size if number < plan.count else 1 <= part.size <= plan.part_size
        assert number == plan.count or part.size >= 5 * MIB
    assert plan.part(plan.count).last == size - 1


@settings(deadline=None)  # up to 5,000 parts, on a machine that may be busy
@given(size=st.integers(1, 5_000), part_size=st.integers(1, 300))
def test_the_parts_of_a_plan_are_the_object_without_gap_or_overlap(size: int, part_size: int) -> None:
    parts = list(PartPlan(size, part_size))
    assert [number for part in parts for number in range(part.first, part.last + 1)] == list(range(size))
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))


@pytest.mark.parametrize(
    ("size", "part_size", "count"),
    [
        (5 * GB, 128 * MIB, 38),
        (100 * GB, 128 * MIB, 746),
        (1 * TB, 128 * MIB, 7_451),
        (2 * TB, 191 * MIB, 9_987),
        (50 * TB, 4_769 * MIB, 9_999),
    ],
)
def test_sizes_that_no_test_can_hold(size: int, part_size: int, count: int) -> None:
    plan = plan_parts(size, PREFERRED)
    assert (plan.part_size, plan.count) == (part_size, count)


def test_the_largest_that_fits_and_one_byte_more() -> None:
    limits = PartLimits(smallest=2, largest=10, count=3)
    assert plan_parts(30, 2, limits) == PartPlan(30, 10)
    with pytest.raises(TooLargeError, match="31 bytes do not fit into 3 parts of at most 10 bytes"):
        plan_parts(31, 2, limits)


def test_a_range_names_first_and_last_byte() -> None:
    assert [part.range for part in PartPlan(5, 3)] == ["bytes=0-2", "bytes=3-4"]


@pytest.mark.parametrize("number", [0, 3])
def test_there_is_no_part_beyond_the_plan(number: int) -> None:
    with pytest.raises(ValueError, match=f"no part {number} of 2"):
        PartPlan(5, 3).part(number)
