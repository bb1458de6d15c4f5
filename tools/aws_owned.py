"""Writes the lists of registries and buckets that AWS owns, by Region, from unpacked SageMaker Python SDKs.

Usage: python tools/aws_owned.py <folder>..., each with a wheel of ``sagemaker`` 2.x or ``sagemaker-core``, unpacked.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PACKAGE = Path(__file__).parents[1] / "layers/core/replicator"


def registries(node: Any) -> Iterator[tuple[str, str]]:
    """Give Region and account of every entry below a ``registries`` member of one configuration file."""
    if isinstance(node, dict):
        found = node.get("registries")
        if isinstance(found, dict):
            yield from ((region, str(account)) for region, account in found.items())
        for value in node.values():
            yield from registries(value)
    elif isinstance(node, list):
        for value in node:
            yield from registries(value)


def write(name: str, what: str, sources: str, listed: Mapping[str, set[str]]) -> None:
    """Write one list: a line for each Region."""
    header = f"# {what}, by Region.\n# Source: {sources} (tools/aws_owned.py).\n"
    lines = [f"{region} {' '.join(sorted(names))}\n" for region, names in sorted(listed.items())]
    (PACKAGE / name).write_text(header + "".join(lines), encoding="utf-8")


def main() -> None:
    """Read every folder and write both lists."""
    accounts: dict[str, set[str]] = defaultdict(set)
    buckets: dict[str, set[str]] = defaultdict(set)
    releases = []
    for folder in map(Path, sys.argv[1:]):
        (about,) = folder.glob("*.dist-info")
        releases.append(about.name.removesuffix(".dist-info").replace("_", "-"))
        for file in folder.glob("sagemaker/**/image_uri_config/*.json"):
            for region, account in registries(json.loads(file.read_text(encoding="utf-8"))):
                accounts[region].add(account)
        for file in folder.glob("sagemaker/**/jumpstart/region_config.json"):
            for region, names in json.loads(file.read_text(encoding="utf-8")).items():
                buckets[region].update(name for name in names.values() if name)
    sources = " and ".join(releases)
    write(
        "aws_owned_registries.txt",
        "Accounts of the ECR registries that AWS owns and SageMaker's images come from",
        f"image_uri_config of {sources}",
        accounts,
    )
    write(
        "aws_owned_buckets.txt",
        "Buckets that AWS owns and SageMaker JumpStart's models come from",
        f"jumpstart/region_config.json of {sources}",
        buckets,
    )


if __name__ == "__main__":
    main()
