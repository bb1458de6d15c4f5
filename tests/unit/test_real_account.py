"""What the script for real accounts decides by itself: whom it asks, what it tries, what it tells."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from tools import real_account
from tools.real_checks.checks import Check, NotTriedError, Outcome, RefutedError, Result, attempt, refused
from tools.real_checks.world import Side, World

DOCUMENT = (Path(__file__).parents[2] / "docs" / "real-account.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [[], ["--hub-profile", "a"], ["--spoke-profile", "b"]])
def test_both_profiles_have_to_be_named(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "Session", _forbidden)
    with pytest.raises(SystemExit) as stopped:
        real_account.main(arguments)
    assert stopped.value.code == 2


def test_a_dry_run_lists_every_check_and_calls_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "Session", _forbidden)
    assert real_account.main(["--hub-profile", "a", "--spoke-profile", "b", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert [one.name for one in real_account.CHECKS if one.name[:8] not in text] == []


def test_an_unknown_check_is_named_and_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "Session", _forbidden)
    assert real_account.main(["--hub-profile", "a", "--spoke-profile", "b", "--only", "nonsense"]) == 2
    assert "no such check: nonsense" in capsys.readouterr().err


def test_without_a_yes_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = {"a": _side("hub", "1" * 12), "b": _side("spoke", "2" * 12)}
    monkeypatch.setattr(real_account, "side", lambda name, profile, region: sides[profile])
    monkeypatch.setattr(real_account, "run", _forbidden)
    monkeypatch.setattr(Console, "input", lambda *_, **__: "no")
    assert real_account.main(["--hub-profile", "a", "--spoke-profile", "b"]) == 2


@pytest.mark.parametrize(
    ("hub", "spoke", "says"),
    [
        (("1" * 12, "eu-west-1"), ("1" * 12, "eu-west-1"), "both profiles are of account"),
        (("1" * 12, "eu-west-1"), ("2" * 12, "us-east-1"), "give --region"),
    ],
)
def test_two_accounts_in_one_region(hub: tuple[str, str], spoke: tuple[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        real_account.compare(_side("hub", *hub), _side("spoke", *spoke))


def _error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Operation")


def _raising(error: Exception) -> Any:
    def body(*_: object, **__: object) -> str:
        raise error

    return body


@pytest.mark.parametrize(
    ("body", "outcome", "seen"),
    [
        (lambda _: "as claimed", Outcome.PASS, "as claimed"),
        (_raising(RefutedError("other")), Outcome.FAIL, "other"),
        (_raising(NotTriedError("give x")), Outcome.SKIPPED, "give x"),
        (_raising(_error("AccessDeniedException")), Outcome.SKIPPED, "may not"),
        (_raising(_error("ValidationException")), Outcome.FAIL, "unexpected"),
        (_raising(RuntimeError("push refused")), Outcome.FAIL, "push refused"),
    ],
)
def test_how_a_check_can_end(body: Any, outcome: Outcome, seen: str) -> None:
    result = attempt(Check("a", "claim", "source", "file", "", body), _world())
    assert result.outcome is outcome
    assert seen in result.seen


def test_a_refusal_is_by_code_or_status_and_what_is_taken_is_none() -> None:
    assert refused(_raising(_error("X")), "X").startswith("400 X")
    assert refused(_raising(_error("Y", 403)), "403").startswith("403 Y")
    for call in (_raising(_error("Z")), lambda: None):
        with pytest.raises(RefutedError):
            refused(call, "X", "403")
    with pytest.raises(RefutedError):
        refused(_raising(_error("X")), "X", says="not so")


@pytest.mark.parametrize(
    ("outcome", "left", "code"),
    [(Outcome.PASS, [], 0), (Outcome.SKIPPED, [], 0), (Outcome.FAIL, [], 1), (Outcome.PASS, ["a bucket"], 1)],
)
def test_the_exit_code_tells_of_failures_and_of_what_is_left(
    outcome: Outcome, left: list[str], code: int
) -> None:
    one = Check("a", "claim", "source", "file", "", lambda _: "")
    console = Console(file=io.StringIO(), width=200)
    assert real_account.show([Result(one, outcome, "seen [x]")], left, console) == code


def test_what_cannot_be_deleted_is_told_and_the_rest_is_deleted() -> None:
    deleted: list[str] = []
    with _world() as world:
        world.finally_delete("first", lambda: deleted.append("first"))
        world.finally_delete("stubborn", _raising(_error("InUse")))
        world.finally_delete("last", lambda: deleted.append("last"))
    assert deleted == ["last", "first"]
    assert len(world.left) == 1
    assert world.left[0].startswith("stubborn (")


def test_the_document_has_every_check_and_no_other() -> None:
    names = {one.name for one in real_account.CHECKS}
    assert len(names) == len(real_account.CHECKS)
    listed = {line.split("`")[1] for line in DOCUMENT.splitlines() if line.startswith("| `")}
    assert listed == names


def test_the_files_that_rely_on_claims_are_there() -> None:
    files = {one.relies.split(",")[0].split(" (")[0] for one in real_account.CHECKS}
    assert [name for name in sorted(files) if not (Path(__file__).parents[2] / name).exists()] == []


def _side(name: str, account: str, region: str = "eu-west-1") -> Side:
    return Side(name, boto3.Session("a", "b", region_name=region), account)


def _world() -> World:
    return World(_side("hub", "1" * 12), _side("spoke", "2" * 12), "test")


def _forbidden(*_: object, **__: object) -> None:
    pytest.fail("a call was made")
