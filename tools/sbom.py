"""Checks that a bill of materials names what the layer's requirements pin.

``python -m tools.sbom FILE`` compares a CycloneDX document in JSON, as ``make sbom`` writes it, with
``layers/core/requirements.txt``: each pinned package with its version and every hash, and no other package.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
PINS: Final = ROOT / "layers" / "core" / "requirements.txt"
_PIN: Final = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+).*?(?P<hashes>(?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)",
    re.MULTILINE,
)

type Packages = dict[tuple[str, str], frozenset[str]]


def pinned(requirements: str) -> Packages:
    """Return the SHA-256 digests (hexadecimal) by name and version of the packages that requirements pin.

    Raises
    ------
    ValueError
        A requirement is not pinned by version and hash.
    """
    packages = {
        (pin["name"], pin["version"]): frozenset(re.findall(r"sha256:(\w+)", pin["hashes"]))
        for pin in _PIN.finditer(requirements)
    }
    lines = [line for line in requirements.splitlines() if line and not line.startswith((" ", "#"))]
    if len(packages) != len(lines):
        raise ValueError(
            f"{len(lines)} requirements, of which {len(packages)} have a version and a hash: run `make lock`"
        )
    return packages


def named(sbom: Mapping[str, Any]) -> Packages:
    """Return the SHA-256 digests (hexadecimal) by name and version of the components of a CycloneDX document."""
    return {
        (component["name"], component.get("version", "")): frozenset(
            digest["content"]
            for reference in component.get("externalReferences", [])
            for digest in reference.get("hashes", [])
            if digest["alg"] == "SHA-256"
        )
        for component in sbom.get("components", [])
    }


def differences(requirements: str, sbom: Mapping[str, Any]) -> list[str]:
    """Return a message for each package in which requirements and a CycloneDX document differ."""
    pins, components = pinned(requirements), named(sbom)
    return [
        *(
            f"{name} {version} is pinned and not in the SBOM"
            for name, version in sorted(pins.keys() - components.keys())
        ),
        *(
            f"{name} {version} is in the SBOM and not pinned"
            for name, version in sorted(components.keys() - pins.keys())
        ),
        *(
            f"{name} {version} has other hashes in the SBOM than in the pins"
            for name, version in sorted(pins.keys() & components.keys())
            if pins[name, version] != components[name, version]
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare a document with the pins, and return 1 if they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="a CycloneDX document in JSON")
    file: Path = parser.parse_args(arguments).file
    found = differences(PINS.read_text(encoding="utf-8"), json.loads(file.read_text(encoding="utf-8")))
    for each in found:
        print(f"{file}: {each}", file=sys.stderr)
    if not found:
        print(f"{file} names the {len(pinned(PINS.read_text(encoding='utf-8')))} packages of the layer")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
