"""Every file of recordings is sound and replayed, and every recorded rule of the local AWS rests on one of them."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

import local
from local.evidence import Evidence, Rule
from tests.recorded.left_out import LEFT_OUT
from tests.recorded.replay import FOLDER, RecordingError, files, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOUND: dict[str, Any] = {
    "source": {"repository": "a/b", "commit": "0123", "licence": "Apache-2.0"},
    "recordings": [
        {"test": "t.py::test_it", "recorded": "2026-02-21", "shows": "It.", "content": {"put": {"ETag": "e"}}}
    ],
}


def rules() -> list[tuple[str, Rule]]:
    """Collect the rules of all modules of the local AWS."""
    names = [each.name for each in pkgutil.walk_packages(local.__path__, "local.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    return [(module.__name__, rule) for module in modules for rule in getattr(module, "RULES", ())]


def replayed() -> set[str]:
    """Collect the files that a test of this folder replays."""
    found: set[str] = set()
    for path in FOLDER.rglob("test_*.py"):
        name = path.relative_to(FOLDER).with_suffix("").as_posix().replace("/", ".")
        module = importlib.import_module(f"tests.recorded.{name}")
        for _, test in inspect.getmembers(module, inspect.isfunction):
            found |= {f"{each.file}: {each.load().name}" for each in getattr(test, "references", ())}
    return found


@pytest.mark.parametrize("file", files())
def test_a_file_is_sound_and_all_of_it_is_replayed(file: str) -> None:
    known = replayed()
    assert [each.name for each in load(file) if f"{file}: {each.name}" not in known] == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data.pop("source"), "damaged"),
        (lambda data: data.pop("recordings"), "damaged"),
        (lambda data: data["recordings"].clear(), "it has no recordings"),
        (lambda data: data["source"].pop("licence"), "its source names no licence"),
        (lambda data: data["source"].pop("commit"), "a test of no repository or commit"),
        (lambda data: data["recordings"][0].pop("test"), "neither test nor source"),
        (lambda data: data["recordings"][0].pop("recorded"), "it has no date"),
        (lambda data: data["recordings"][0].update(recorded="-"), "it has no date"),
        (lambda data: data["recordings"][0].pop("shows"), "does not say what it shows"),
        (lambda data: data["recordings"][0].update(content={}), "it has no content"),
        (lambda data: data["recordings"].append("x"), "recording 1: damaged"),
    ],
)
def test_what_is_damaged_or_has_no_source_is_refused_by_name(
    tmp_path: Path, damage: Callable[[Any], object], said: str
) -> None:
    data = json.loads(json.dumps(SOUND))
    (tmp_path / "sound.json").write_text(json.dumps(data), encoding="utf-8")
    assert load("sound.json", tmp_path)
    damage(data)
    (tmp_path / "spoiled.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(RecordingError, match=rf"^spoiled\.json: .*{said}"):
        load("spoiled.json", tmp_path)


def test_what_is_no_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('{"source": {', encoding="utf-8")
    with pytest.raises(RecordingError, match=r"^cut\.json: damaged"):
        load("cut.json", tmp_path)
    with pytest.raises(RecordingError, match=r"^missing\.json: damaged"):
        load("missing.json", tmp_path)


def test_a_recorded_rule_names_a_file_that_is_there() -> None:
    missing = [
        f"{module}: {rule.name}: {rule.source}"
        for module, rule in rules()
        if rule.evidence is Evidence.RECORDED and rule.source not in files()
    ]
    assert missing == []


def test_rules_have_names_of_their_own_and_sources_of_the_form() -> None:
    every = [rule for _, rule in rules()]
    assert len({rule.name for rule in every}) == len(every)
    assert [rule.name for rule in every if not (rule.claim and rule.source)] == []
    documented = [rule for rule in every if rule.evidence is Evidence.DOCUMENTED]
    assert [rule.name for rule in documented if not rule.source.startswith("https://")] == []


def test_what_is_left_out_is_not_replayed_and_says_why() -> None:
    known = [(file, each.name) for file in files() for each in load(file)]
    assert [
        f"{file}: {name}"
        for file, left in LEFT_OUT.items()
        for name, why in left.items()
        if not why.endswith(".") or any(of == file and name in other for of, other in known)
    ] == []
