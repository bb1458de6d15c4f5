"""The partitions of AWS with the host names in each, as the installed botocore lists them.

Only its data file is read: ``partitions.json``, the source of all its endpoints.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, for instance ``aws-cn``."""

    name: str
    """As ARNs spell it."""
    dns_suffix: str
    """What its endpoints end with, for instance ``amazonaws.com.cn``."""
    dual_stack_suffix: str
    """The same of Amazon ECR's dual-stack endpoints, for instance ``on.amazonwebservices.com.cn``.
    https://docs.aws.amazon.com/general/latest/gr/ecr.html"""
    regions: re.Pattern[str]
    """Matches the name of each of its Regions, and of no other."""


@cache
def partitions() -> tuple[Partition, ...]:
    """Return every partition; the first is ``aws``."""
    listed = json.loads(files("botocore").joinpath("data/partitions.json").read_text(encoding="utf-8"))
    return tuple(
        Partition(
            name=each["id"],
            dns_suffix=each["outputs"]["dnsSuffix"],
            dual_stack_suffix="on." + each["outputs"]["dualStackDnsSuffix"].removeprefix("api."),
            regions=re.compile(each["regionRegex"], re.ASCII),
        )
        for each in listed["partitions"]
    )


@cache
def partition_of(region: str) -> Partition:
    """Return the partition that a Region is in; ``aws`` for one that no partition lists, as botocore has it."""
    return next((each for each in partitions() if each.regions.fullmatch(region)), partitions()[0])
