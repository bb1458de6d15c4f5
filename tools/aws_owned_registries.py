"""Writes the list of registry accounts that AWS owns from an unpacked SageMaker Python SDK 2.x.

Usage: python tools/aws_owned_registries.py <folder that holds sagemaker/image_uri_config> <version>
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "layers/core/replicator/aws_owned_registries.txt"


def accounts_in(node: Any) -> set[str]:
    """Collect the account ids under every ``registries`` member of one configuration file."""
    found: set[str] = set()
    if isinstance(node, dict):
        registries = node.get("registries")
        if isinstance(registries, dict):
            found.update(str(account) for account in registries.values())
        for value in node.values():
            found |= accounts_in(value)
    elif isinstance(node, list):
        for value in node:
            found |= accounts_in(value)
    return found


def main() -> None:
    """Read every configuration file and write the sorted list."""
    folder, version = Path(sys.argv[1]), sys.argv[2]
    accounts: set[str] = set()
    for file in sorted((folder / "sagemaker/image_uri_config").glob("*.json")):
        accounts |= accounts_in(json.loads(file.read_text()))
    header = (
        "# Accounts of the ECR registries that AWS owns and SageMaker images come from.\n"
        f"# Source: image_uri_config of the SageMaker Python SDK {version} (tools/aws_owned_registries.py).\n"
    )
    TARGET.write_text(header + "".join(f"{account}\n" for account in sorted(accounts)))


if __name__ == "__main__":
    main()
