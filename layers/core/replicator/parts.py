"""How an object is cut into the parts of a multipart upload. Pure, and the same answer every time.

The same size must always give the same parts: a run that goes on with the upload of a killed run
takes over the parts that it finds there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class PartLimits:
    """What S3 allows of a part: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html.

    Parameters
    ----------
    smallest, largest
        Bytes. The last part may be smaller than ``smallest``.
    count
        Parts in one upload.
    """

    smallest: int = 5 * MIB
    largest: int = 5 * GIB
    count: int = 10_000


S3_LIMITS = PartLimits()


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its number from 1, and its first and last byte, both included."""

    number: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Bytes in the part."""
        return self.last - self.first + 1

    @property
    def range(self) -> str:
        """The range as the headers of S3 spell it."""
        return f"bytes={self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class PartPlan:
    """An object of ``size`` bytes in parts of ``part_size`` bytes, the last one perhaps smaller."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """How many parts there are: at least one."""
        return max(1, -(-self.size // self.part_size))

    def part(self, number: int) -> Part:
        """Give the part with this number, which counts from 1."""
        if not 1 <= number <= self.count:
            raise ValueError(f"there is no part {number} of {self.count}")
        first = (number - 1) * self.part_size
        return Part(number, first, min(first + self.part_size, self.size) - 1)

    def __iter__(self) -> Iterator[Part]:
        return (self.part(number) for number in range(1, self.count + 1))


class TooLargeError(ValueError):
    """An object that does not fit into the parts that are allowed."""


def plan_parts(size: int, preferred: int, limits: PartLimits = S3_LIMITS) -> PartPlan:
    """Plan the parts of an object.

    Parameters
    ----------
    size
        Bytes of the object.
    preferred
        Bytes of a part, where the number of parts allows it; larger objects get larger parts.

    Raises
    ------
    TooLargeError
        The object is larger than ``limits.count`` parts of ``limits.largest`` bytes.
    """
    least = -(-size // limits.count)
    if least > limits.largest:
        raise TooLargeError(
            f"{size} bytes do not fit into {limits.count} parts of at most {limits.largest} bytes"
        )
    wanted = max(preferred, limits.smallest)
    if least > wanted:
        # Whole mebibytes read better in a log, but the largest objects leave no room for rounding.
        wanted = -(-least // MIB) * MIB
    return PartPlan(size, min(wanted, limits.largest))
