"""Whatever a scanner is told to pass over has its reason beside it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDERS = ("layers/core/replicator", "functions", "local", "tests", "tools")
TEMPLATES = ("template.yaml", "spoke.yaml")
NOQA = re.compile(r"# noqa: S\d+(?P<reason>.*)")


def test_every_finding_of_ruffs_security_rules_that_is_passed_over_has_a_reason() -> None:
    found = [
        (f"{file.relative_to(ROOT)}:{number}", noqa["reason"])
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (noqa := NOQA.search(line))
    ]
    assert len(found) > 10
    assert [place for place, reason in found if not re.fullmatch(r" - .{5,}| +\(.{5,}\)", reason)] == []


def test_ruffs_security_rules_are_on_and_passed_over_in_tests_alone() -> None:
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if rule.startswith("S")]
    per_file = {
        pattern
        for pattern, rules in lint["per-file-ignores"].items()
        if any(r.startswith("S") for r in rules)
    }
    assert per_file == {"tests/**"}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("per-file-ignores")[2]
    reasons, ignored = text.partition('"tests/**"')[::2]
    for rule in re.findall(r'"(S\d+)"', ignored.partition("\n")[0]):
        assert rule in reasons


def test_every_check_of_checkov_that_is_passed_over_has_a_reason() -> None:
    text = (ROOT / ".checkov.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    assert sorted(config["file"]) == sorted(TEMPLATES)
    skipped = re.findall(r"^  - (CKV\w+)  # .{20,}$", text, re.MULTILINE)
    assert skipped == config["skip-check"]


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_resource_that_checkov_passes_over_has_a_reason(template: str) -> None:
    text = (ROOT / template).read_text(encoding="utf-8")
    assert text.count("checkov:skip") == len(re.findall(r"# checkov:skip=CKV\w+:.{20,}$", text, re.MULTILINE))


@pytest.mark.parametrize("pins", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_pins_name_no_index(pins: Path) -> None:
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", pins.read_text(encoding="utf-8"))
