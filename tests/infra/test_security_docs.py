"""The threat model says nothing that no test shows: each row of ``docs/security.md`` names one that exists."""

from __future__ import annotations

import importlib.metadata
import re
from functools import cache

import pytest

from tests.infra import stacks
from tools import sbom

PAGE = (stacks.ROOT / "docs" / "security.md").read_text(encoding="utf-8")
UNTESTED = {
    "Assets": "says what is worth protecting",
    "Actors": "says who the attackers are",
    "What does not hold": "says what no test can show",
    "Packages and scanners": "the licences, which a test of this file compares",
}
"""Headings of tables whose rows name no test, and why."""
NAMED = re.compile(r"`(?P<file>tests/[\w/]+\.py)?(?:::)?(?P<test>test_\w+)?`")


@cache
def existing() -> dict[str, str]:
    """Give the text of every file of tests by its path."""
    files = (stacks.ROOT / "tests").rglob("test_*.py")
    return {str(file.relative_to(stacks.ROOT)): file.read_text(encoding="utf-8") for file in files}


def is_there(file: str | None, test: str | None) -> bool:
    """Whether a test exists: a file, a function in a file, or a function anywhere."""
    texts = existing()
    if file is not None and file not in texts:
        return False
    looked_in = [texts[file]] if file else texts.values()
    return test is None or any(re.search(rf"^ *def {test}\(", text, re.MULTILINE) for text in looked_in)


def names(text: str) -> list[tuple[str | None, str | None]]:
    """Give the tests that a text names, as file and function, of which one may be missing."""
    return [
        (named["file"], named["test"]) for named in NAMED.finditer(text) if named["file"] or named["test"]
    ]


def tables() -> dict[tuple[str, str], list[str]]:
    """Give the rows of the page's tables by heading and first line."""
    found: dict[tuple[str, str], list[str]] = {}
    heading, head = "", ""
    for line in PAGE.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            head = ""
        elif not head:
            head = line
            found[heading, head] = []
        elif not set(line) <= set("|- "):
            found[heading, head].append(line)
    return found


TABLES = tables()


def test_every_test_that_the_page_names_exists() -> None:
    named = names(PAGE)
    assert len(named) > 60
    assert [each for each in named if not is_there(*each)] == []


@pytest.mark.parametrize(("heading", "head"), TABLES, ids=lambda text: text.strip("| ").partition(" | ")[0])
def test_every_row_names_a_test(heading: str, head: str) -> None:
    rows = TABLES[heading, head]
    assert rows
    if not head.endswith(" test |"):
        assert heading in UNTESTED, "a table without the column `test`"
        return
    columns = head.count("|")
    for row in rows:
        assert row.count("|") == columns, row
        assert names(row.rstrip("| ").rpartition("| ")[2]), f"names no test: {row}"


def test_every_attack_has_a_row() -> None:
    """A test of ``tests/security`` that the page does not name is a claim that no reader finds."""
    functions = {
        name: file
        for file, text in existing().items()
        if file.startswith("tests/security/")
        for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)
    }
    named = names(PAGE)
    files = {file for file, test in named if file and not test}
    tests = {test for _, test in named}
    assert [name for name, file in functions.items() if name not in tests and file not in files] == []


@pytest.mark.parametrize(
    "text",
    [
        "`test_that_nobody_wrote`",
        "`tests/security/test_nothing.py`",
        "`tests/infra/test_lint.py::test_nothing`",
    ],
)
def test_a_test_that_is_not_there_is_noticed(text: str) -> None:
    (named,) = names(text)
    assert not is_there(*named)


def test_the_licence_of_each_package_of_the_layer_is_there() -> None:
    listed = dict(
        re.findall(r"^\| ([\w-]+) \| ([\w.\- ]+) \|$", PAGE.partition("| licence |")[2], re.MULTILINE)
    )
    assert list(listed) == sorted(name for name, _ in sbom.pinned(sbom.PINS.read_text(encoding="utf-8")))
    for name, licence in listed.items():
        expression = importlib.metadata.metadata(name).get("License-Expression")
        assert expression in {None, licence}, name


def test_audit_looks_at_all_that_ships_and_all_that_tests() -> None:
    makefile = (stacks.ROOT / "Makefile").read_text(encoding="utf-8")
    audit = makefile.partition("\naudit:")[2].partition("\n\n")[0]
    assert set(re.findall(r"-r (\S+)", audit)) == {"layers/core/requirements.txt", "requirements/dev.txt"}
    assert {"--strict", "--require-hashes"} <= set(audit.split())
