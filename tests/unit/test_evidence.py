"""Every rule of the local AWS says what it rests on, and docs/real-account.md has them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.evidence import Evidence, Rule
from tools import evidence

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html"
GOOD = Rule("s3-a-rule", "S3 does it.", Evidence.DOCUMENTED, PAGE)


def test_names_and_sources_of_all_rules_are_sound() -> None:
    assert list(evidence.problems(evidence.collect())) == []


def test_what_imitates_aws_has_rules() -> None:
    assert evidence.without_rules(evidence.collect()) == []


def test_an_exception_is_still_one() -> None:
    assert evidence.needless_exceptions(evidence.collect()) == []


def test_the_document_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert evidence.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("S3 rule", "S3 does it.", Evidence.DOCUMENTED, PAGE), "is no name"),
        (Rule("s3-a-rule", "it does", Evidence.DOCUMENTED, PAGE), "is no sentence"),
        (Rule("s3-a-rule", "It does.", Evidence.DOCUMENTED, "the user guide"), "is no URL"),
        (Rule("s3-a-rule", "It does.", Evidence.RECORDED, "s3/none.json"), "is no file"),
        (Rule("s3-a-rule", "It does.", Evidence.RECORDED, "../conftest.py"), "is no file"),
        (Rule("s3-a-rule", "It does.", Evidence.REPORTED, "somewhere"), "is neither a thread"),
        (Rule("s3-a-rule", "It does.", Evidence.INFERRED, PAGE), "is no sentence"),
        (Rule("s3-a-rule", "It does.", Evidence.INFERRED, ""), "is no sentence"),
    ],
)
def test_a_rule_with_a_fault_is_named(rule: Rule, said: str) -> None:
    (problem,) = evidence.problems({"local.s3": [rule]})
    assert problem.startswith("local.s3: ")
    assert said in problem


@pytest.mark.parametrize(
    "rule",
    [
        GOOD,
        Rule("ecr-a-rule", "It does.", Evidence.REPORTED, "aws/containers-roadmap#2831"),
        Rule("ecr-a-rule", "It does.", Evidence.INFERRED, "nothing else fits the error"),
        Rule("s3-a-rule", "It does.", Evidence.RECORDED, "s3/there.json"),
    ],
)
def test_a_sound_rule_has_no_problem(rule: Rule, tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3" / "there.json").write_text("{}", encoding="utf-8")
    assert list(evidence.problems({"local.s3": [rule]}, tmp_path)) == []


def test_a_name_is_given_once() -> None:
    found = list(evidence.problems({"local.s3": [GOOD], "local.queues": [GOOD]}))
    assert found == [
        "local.s3: s3-a-rule is the name of 2 rules",
        "local.queues: s3-a-rule is the name of 2 rules",
    ]


@pytest.mark.parametrize(
    "source",
    [
        "from moto.s3.models import s3_backends",
        "aws.patch(Backend, 'put', put)",
        "mock.patch.object(Backend, 'put', put)",
        "def answer(environ, start_response):\n    start_response('200 OK', [])",
    ],
)
def test_a_module_that_takes_the_place_of_aws_is_found(source: str) -> None:
    assert evidence.imitates(source)
    assert not evidence.imitates("import boto3")


def test_a_new_rule_is_missed_in_the_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evidence, "collect", lambda: {"local.s3": (GOOD,)})
    assert evidence.main(["--check"]) == 1
    assert "run python -m tools.evidence" in capsys.readouterr().err


def test_a_document_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the rules"):
        evidence.document("# A page", {"local.s3": (GOOD,)})
