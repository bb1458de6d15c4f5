"""An SBOM that leaves out a package of the layer, its version or a hash is noticed: ``tools/sbom.py``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tools import sbom

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS = sbom.PINS.read_text(encoding="utf-8")


def document() -> dict[str, Any]:
    """Give what cyclonedx-py writes of the pins, as far as it is read here."""
    return {
        "components": [
            {
                "name": name,
                "version": version,
                "externalReferences": [
                    {"hashes": [{"alg": "SHA-256", "content": digest} for digest in sorted(digests)]}
                ],
            }
            for (name, version), digests in sbom.pinned(REQUIREMENTS).items()
        ]
    }


def test_the_pins_are_read_whole() -> None:
    packages = sbom.pinned(REQUIREMENTS)
    assert {"boto3", "pydantic", "regex"} <= {name for name, _ in packages}
    assert sum(len(digests) for digests in packages.values()) == REQUIREMENTS.count("--hash=sha256:")


def test_a_complete_document_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "layer.cdx.json"
    file.write_text(json.dumps(document()), encoding="utf-8")
    assert sbom.main([str(file)]) == 0
    assert f"names the {len(document()['components'])} packages" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["missing", "version", "hash", "more"])
def test_what_differs_is_named(change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = document()
    first = made["components"][0]
    name = first["name"]
    match change:
        case "missing":
            del made["components"][0]
        case "version":
            first["version"] = "0"
        case "hash":
            first["externalReferences"][0]["hashes"].pop()
        case "more":
            name = "stowaway"
            made["components"].append({"name": name, "version": "1"})
    file = tmp_path / "layer.cdx.json"
    file.write_text(json.dumps(made), encoding="utf-8")
    assert sbom.main([str(file)]) == 1
    assert f"{file}: {name} " in capsys.readouterr().err


@pytest.mark.parametrize("line", ["stowaway", "stowaway==1", "stowaway @ git+https://example.com/x"])
def test_a_requirement_without_a_version_or_a_hash_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="have a version and a hash"):
        sbom.pinned(f"{line}\n{REQUIREMENTS}")
