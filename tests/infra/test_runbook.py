"""docs/runbook.md is complete, and its commands can be pasted: all that they name is there."""

from __future__ import annotations

import importlib
import re
import shlex
import tomllib
from functools import cache

import pytest

from replicator.errors import ErrorCode
from tests.infra import messages, stacks
from tests.infra.commands import Command, commands, misfits

TEXT = (stacks.ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
CODES = TEXT.partition("\n## Codes\n")[2].partition("\n## ")[0]
SECTIONS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^### |\Z)", CODES, re.MULTILINE | re.DOTALL))
COMMANDS = commands(TEXT)
NAME = re.compile(r"(?<![\w.-])(?:/aws/lambda/)?registry-replicator(?:-[\w-]+)?")


def runs(program: str) -> list[Command]:
    return [command for command in COMMANDS if command.program == program]


@cache
def names() -> set[str]:
    """Give every name that the two stacks make, and the bucket's and roles' as the documents spell them."""
    found = {"registry-replicator-ledger-restored"}  # which the runbook itself makes
    config = tomllib.loads((stacks.ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    found |= {config[stack]["global"]["parameters"]["stack_name"] for stack in ("default", "spoke")}
    for stack in (stacks.hub(), stacks.spoke()):
        for resource in stack.resources.values():
            for key, value in resource["Properties"].items():
                if key.endswith("Name") and isinstance(value, str):
                    found.add(value)
    return found


def test_each_code_has_one_section_and_nothing_else_has() -> None:
    headings = re.findall(r"^### (\S+)$", CODES, re.MULTILINE)
    assert sorted(headings) == sorted(ErrorCode.__members__)


@pytest.mark.parametrize("code", ErrorCode)
def test_each_code_says_how_it_looks_and_what_to_do(code: ErrorCode) -> None:
    section = SECTIONS[code]
    (quoted,) = re.findall(r"^> (.+)$", section, re.MULTILINE)
    assert messages.says(code, quoted) or code not in messages.patterns(), "no source says so"
    sends = [command for command in commands(section) if command.words[:2] == ["make", "redrive"]]
    assert sends, "the last step is to redrive, or to delete the letter"
    for command in sends:
        assert command.variables.get("CODE") in (None, code)


def test_every_code_has_a_sentence_in_the_sources() -> None:
    assert set(ErrorCode) - messages.patterns().keys() == set()


def test_a_sentence_that_nobody_says_would_be_noticed() -> None:
    assert not messages.says(
        "SOURCE_OBJECT_MISSING", "s3://models/churn is missing. Put it there, then redrive."
    )
    assert not messages.says("THROTTLED", "s3://m/churn is not there. Put it there, then redrive.")


def test_every_alarm_is_named_with_the_way_to_its_page() -> None:
    alarms = {
        alarm["AlarmName"]
        for stack in (stacks.hub(), stacks.spoke())
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
    }
    named = dict(re.findall(r"\[`([\w-]+)`\]\(alarms\.md#([\w-]+)\)", TEXT))
    assert set(named) == alarms
    assert all(name.endswith(f"-{page}") for name, page in named.items())


@cache
def recipe(target: str) -> str:
    """Give the lines of a target in the Makefile."""
    makefile = (stacks.ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    assert found, f"there is no target {target}"
    return found[1]


def tool_of(target: str) -> tuple[str, list[str]]:
    """Give the module that a target runs, and what it is given before its options."""
    found = re.search(r"-m (tools\.\w+)((?: [a-z]+)*)", recipe(target))
    assert found, f"{target} takes no ARGS"
    return found[1], found[2].split()


def test_every_target_of_make_is_there_with_its_variables() -> None:
    assert len(runs("make")) > 40
    for command in runs("make"):
        for variable in command.variables:
            assert f"$({variable})" in recipe(command.words[1]), f"{variable} means nothing: {command.text}"


def test_every_option_of_a_tool_is_one() -> None:
    for command in runs("make"):
        words = shlex.split(command.variables.get("ARGS", ""))
        if words:
            module, first = tool_of(command.words[1])
            tool = importlib.import_module(module).parser()
            tool.exit_on_error = False
            tool.parse_args([*first, *words])


@pytest.mark.parametrize("command", runs("aws"), ids=lambda command: " ".join(command.words[1:3]))
def test_every_operation_of_aws_is_one_with_these_options(command: Command) -> None:
    assert misfits(command) == set()


def test_a_filter_pattern_is_one_word_or_quoted() -> None:
    """CloudWatch takes letters, digits and _ as they are; anything else has to be in quotes of its own."""
    patterns = [word for command in runs("aws") for word in command.options.get("--filter-pattern", [])]
    assert patterns
    assert [word for word in patterns if not re.fullmatch(r'\w+|".*"|\{.*\}', word)] == []


def test_a_stack_is_not_deployed_from_nothing() -> None:
    """A fresh copy has no built template, and another release than the deployed one would change more."""
    head = TEXT.partition("\n## ")[0]
    assert {"sam build", "sam build --config-env spoke"} <= {each.text for each in commands(head)}


def test_what_was_changed_by_hand_is_not_sent_to_a_deployment() -> None:
    """The template is the same, and sam deploy says that there are no changes."""
    for text in (SECTIONS["HUB_ACCESS_DENIED"], TEXT.partition("| `NO_PERMISSIONS` |")[2].partition("\n")[0]):
        asked = [command.words[:3] for command in commands(text)]
        assert ["aws", "cloudformation", "detect-stack-drift"] in asked
        assert ["aws", "cloudformation", "describe-stack-resource-drifts"] in asked
        assert not [words for words in asked if words[0] == "sam"]


def test_what_the_restored_table_lacks_is_given_back() -> None:
    """DynamoDB restores neither its name nor its point-in-time recovery."""
    section = TEXT.partition("### The hub is restored")[2].partition("\n## ")[0]
    done = [command.words[2] for command in commands(section) if command.words[1] == "dynamodb"]
    order = ["create-backup", "delete-table", "restore-table-from-backup", "update-continuous-backups"]
    assert [name for name in done if name in order][:4] == order


def test_every_name_in_a_command_is_one_that_the_stacks_make() -> None:
    unknown = {
        name
        for command in COMMANDS
        for name in NAME.findall(command.text)
        if not command.text.startswith("sam") and name not in names()
    }
    assert unknown == set()


def test_every_name_in_the_text_is_one_that_the_stacks_make() -> None:
    quoted = re.findall(r"`((?:/aws/lambda/)?registry-replicator[\w-]*)`", TEXT)
    assert len(quoted) > 6
    assert set(quoted) - names() == set()


def test_every_parameter_that_is_deployed_is_one() -> None:
    parameters = {
        name for file in ("template.yaml", "spoke.yaml") for name in stacks.source(file)["Parameters"]
    }
    deployed = [word for command in runs("sam") for word in command.options.get("--parameter-overrides", [])]
    assert len(deployed) > 4
    assert {word.partition("=")[0] for word in deployed} <= parameters


def test_nothing_else_is_run() -> None:
    assert {command.program for command in COMMANDS} == {"make", "aws", "sam"}


def test_the_readme_leads_here() -> None:
    assert "(docs/runbook.md" in (stacks.ROOT / "README.md").read_text(encoding="utf-8")
