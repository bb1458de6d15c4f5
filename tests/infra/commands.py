"""The commands in a document, taken apart, so that tests can look whether all that they name exists."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

import botocore.session
from botocore import xform_name

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:make|aws|sam) [^`]+)`")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=\$\((?P<command>.*)\)$")
_EVERYWHERE = {"--query", "--output", "--region", "--profile"}
"""Options of every command of the AWS CLI."""
_MODELS = {"s3api": "s3"}
"""Services that the AWS CLI calls otherwise than the SDK."""
_MAKE_VARIABLE = re.compile(r"^(?P<name>[A-Z]+)=(?P<value>.*)$", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command.

    Parameters
    ----------
    words
        As a shell would split them.
    """

    text: str
    words: list[str] = field(default_factory=list)

    @property
    def program(self) -> str:
        return self.words[0]

    @property
    def options(self) -> dict[str, list[str]]:
        """Give the words after each ``--option``."""
        found: dict[str, list[str]] = {}
        for word in self.words:
            if word.startswith("--"):
                found[word] = []
            elif found:
                found[next(reversed(found))].append(word)
        return found

    @property
    def variables(self) -> dict[str, str]:
        """Give what is set for ``make``."""
        matches = [_MAKE_VARIABLE.match(word) for word in self.words[1:]]
        return {found["name"]: found["value"] for found in matches if found}


def commands(text: str) -> list[Command]:
    """Read all commands of a document, in blocks and in the text."""
    lines = [line for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    found = [*lines, *_INLINE.findall(text)]
    return [_read(line) for line in found if line.strip()]


def misfits(command: Command) -> set[str]:
    """Give the options of a command of the AWS CLI that its operation does not have, and those that it lacks."""
    service, operation = command.words[1:3]
    model = botocore.session.get_session().get_service_model(_MODELS.get(service, service))
    by_name = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in by_name:
        return {operation}
    shape = model.operation_model(by_name[operation]).input_shape
    members = {f"--{xform_name(member, '-')}" for member in shape.members} if shape else set()
    required = {f"--{xform_name(member, '-')}" for member in shape.required_members} if shape else set()
    given = {f"--{name.removeprefix('--').removeprefix('no-')}" for name in command.options}
    return (given - members - _EVERYWHERE) | (required - given)


def _read(line: str) -> Command:
    assignment = _ASSIGNMENT.match(line.strip())
    bare = assignment["command"] if assignment else line
    return Command(line, shlex.split(bare, comments=True))
