"""The documents say what the code does: generated tables, links, and the tests that they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replicator import fields
from replicator.fields import Decided, Drop, ReadOnly, Refuse
from tools import what_is_not_copied

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "events").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)(?P<path>[^)#]+)(?:#(?P<anchor>[^)]+))?\)")


def test_what_is_not_copied_is_what_the_map_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert what_is_not_copied.main(["--check"]) == 0, capsys.readouterr().err


def test_every_member_that_is_not_kept_is_in_it() -> None:
    text = what_is_not_copied.document()
    names = {
        path.removesuffix("[]").rpartition(".")[2]
        for path, rule in what_is_not_copied.rules()
        if isinstance(rule, Drop | Decided | ReadOnly | Refuse)
    }
    assert len(names) > 20
    assert [name for name in sorted(names) if f"{name}`" not in text] == []


@pytest.mark.parametrize("rule", [Drop("a new reason"), Decided("a new way"), ReadOnly()])
def test_a_changed_map_is_noticed(
    rule: fields.Rule, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(fields.PACKAGE, "Domain", rule)
    assert what_is_not_copied.main(["--check"]) == 1
    assert "run python -m tools.what_is_not_copied" in capsys.readouterr().err


def test_a_new_refusal_needs_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fields.PACKAGE, "Domain", Refuse())
    with pytest.raises(RuntimeError, match="no example of a refusal for Domain"):
        what_is_not_copied.document()


def test_a_refusal_that_is_none_any_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        what_is_not_copied.EXAMPLES, "nothing wrong", what_is_not_copied.EXAMPLES["ProductId"]
    )
    monkeypatch.setattr(what_is_not_copied, "plan", lambda *_: None)
    with pytest.raises(RuntimeError, match="is not refused any more"):
        what_is_not_copied.document()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.finditer(document.read_text(encoding="utf-8")):
        target = (document.parent / link["path"]).resolve()
        if not target.exists() or (link["anchor"] and link["anchor"] not in anchors(target)):
            broken.append(link[0])
    assert broken == []


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_nobody_is_told_to_put_events_that_only_aws_can_put() -> None:
    """Their source begins with "aws.", and CloudTrail's event history has none of those that were put."""
    told = re.compile(r"aws events put-events|cloudtrail lookup-events")
    assert [path.name for path in DOCUMENTS if told.search(path.read_text(encoding="utf-8"))] == []


def test_the_tests_that_the_design_names_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "design.md").read_text(encoding="utf-8")))
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in [
            file.stem,
            *re.findall(r"^ *def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE),
        ]
    }
    assert len(named) > 10
    assert sorted(named - there) == []
