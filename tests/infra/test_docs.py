"""What docs/deploy.md says of parameters and policies is what the templates have."""

from __future__ import annotations

import json
import re

import pytest

from tests.infra import stacks
from tests.infra.commands import Command, commands, misfits

DEPLOY = (stacks.ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
TABLE = re.compile(r"^\| `(?P<name>\w+)` \| (?:`(?P<default>[^`]*)`)? ?\|", re.MULTILINE)


def commands_of(program: str, text: str = DEPLOY) -> list[Command]:
    """Give the commands of a program that a text has."""
    return [command for command in commands(text) if command.program == program]


@pytest.mark.parametrize("command", commands_of("aws"), ids=lambda command: " ".join(command.words[1:3]))
def test_every_operation_of_aws_is_one_with_these_options(command: Command) -> None:
    assert misfits(command) == set()


def test_updating_and_removing_have_their_commands() -> None:
    text = DEPLOY.partition("## 7. Update and remove")[2]
    sam = {" ".join(command.words[1:]) for command in commands_of("sam", text)}
    assert sam == {
        f"{verb}{spoke}" for verb in ("build", "deploy", "delete") for spoke in ("", " --config-env spoke")
    }
    sets = {command.words[2] for command in commands_of("aws", text)}
    assert sets == {"update-stack-set", "delete-stack-instances", "delete-stack-set"}


@pytest.mark.parametrize(
    ("template", "section"), [("template.yaml", "## 1. The hub"), ("spoke.yaml", "## 2. A spoke")]
)
def test_every_parameter_is_listed_with_its_default(template: str, section: str) -> None:
    text = DEPLOY.partition(section)[2].partition("\n## ")[0]
    listed = {found["name"]: found["default"] or "" for found in TABLE.finditer(text)}
    parameters = stacks.source(template)["Parameters"]
    assert listed == {name: str(body.get("Default", "")) for name, body in parameters.items()}


def test_the_statements_for_a_bucket_of_its_own_are_those_of_the_stack() -> None:
    objects, buckets, key = (
        json.loads(each)
        for block in re.findall(r"```json\n(.*?)```", DEPLOY, re.DOTALL)
        for each in re.split(r"(?<=^\}),\n", block, flags=re.MULTILINE)
    )
    policy = stacks.spoke(PolicyBucket="my-models").of_type("AWS::S3::BucketPolicy")["ArtifactBucketPolicy"]
    made = policy["PolicyDocument"]["Statement"]
    assert [objects, buckets] == made
    assert key["Condition"]["ArnEquals"] == objects["Condition"]["ArnEquals"]
    assert key["Principal"] == objects["Principal"]


@pytest.mark.parametrize("document", ["README.md", "docs/runbook.md"])
def test_no_spoke_is_deployed_with_a_policy_for_a_bucket_that_may_have_one(document: str) -> None:
    """CloudFormation makes no policy for a bucket that has one, and the stack rolls back."""
    text = (stacks.ROOT / document).read_text(encoding="utf-8")
    deployed = [command for command in commands(text) if command.words[:2] == ["sam", "deploy"]]
    assert deployed
    assert [command.text for command in deployed if "PolicyBucket" in command.text] == []


def test_the_parameter_for_a_policy_says_which_bucket_it_is_for() -> None:
    says = stacks.source("spoke.yaml")["Parameters"]["PolicyBucket"]["Description"]
    assert "Bucket without a policy" in says
    assert "makes the stack fail" in says
