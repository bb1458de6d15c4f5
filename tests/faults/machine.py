"""Follows a shipped state machine, state by state, without its waits.

It knows what the shipped definitions use and refuses the rest, so that it never passes over something that it
does not understand. The items of a Map are done one after the other: functions run in this process, one at a
time. Every edge that was taken (a Choice, a Retry, a Catch) is noted.

https://states-language.net/spec.html
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    Steps = Generator[str, None, Any]

# States.ALL of a Task does stand for States.DataLimitExceeded: stepfunctions/lambda-errors.json of tests/recorded.
_NEVER_CAUGHT = {"Task": {"States.Runtime"}, "Map": {"States.Runtime", "States.DataLimitExceeded"}}
_FORMAT = re.compile(r"States\.Format\('(?P<text>[^']*)'(?P<paths>(?:,\s*[^,)]+)*)\)")

type Edge = tuple[str, str, int]
"""A state, ``Choice``, ``Default``, ``Retry`` or ``Catch``, and which of them, from 0."""


class StateError(Exception):
    """What a state failed with, and what an execution ends with when nothing catches it."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


@dataclass
class Machine:
    """A definition and what calls its tasks.

    Parameters
    ----------
    definition
        As the file has it.
    call
        Takes a task's ``Resource`` and its input; gives the answer or raises `StateError`.
    """

    definition: dict[str, Any]
    call: Callable[[str, Any], Any]
    taken: Counter[Edge] = field(default_factory=Counter)

    def run(self, given: Any, context: dict[str, Any] | None = None) -> Steps:
        """Run; yields the name of each task before it is called, so that something can happen in between."""
        return (yield from self._states(self.definition, given, context or {}))

    def _states(self, machine: dict[str, Any], given: Any, context: dict[str, Any]) -> Steps:
        name: str | None = machine["StartAt"]
        while name is not None:
            state = machine["States"][name]
            given, name = yield from self._state(name, state, given, context)
        return given

    def _state(self, name: str, state: dict[str, Any], given: Any, context: dict[str, Any]) -> Steps:
        known = {"Pass", "Task", "Choice", "Map", "Succeed", "Fail"}
        if state["Type"] not in known:
            raise NotImplementedError(f"{name}: {state['Type']}")
        match state["Type"]:
            case "Choice":
                return given, self._choose(name, state, given)
            case "Succeed":
                return given, None
            case "Fail":
                raise StateError(_said(state, "Error", given), _said(state, "Cause", given))
        shown = _path(state.get("InputPath", "$"), given, context)
        if "Parameters" in state:
            shown = _filled(state["Parameters"], shown, context)
        try:
            answer = (
                shown if state["Type"] == "Pass" else (yield from self._tried(name, state, shown, context))
            )
        except StateError as error:
            number, catcher = _matching(state, "Catch", error.error)
            if catcher is None:
                raise
            self.taken[name, "Catch", number] += 1
            caught = {"Error": error.error, "Cause": error.cause}
            return _put(given, catcher.get("ResultPath", "$"), caught), catcher["Next"]
        return _put(given, state.get("ResultPath", "$"), answer), state.get("Next")

    def _tried(self, name: str, state: dict[str, Any], shown: Any, context: dict[str, Any]) -> Steps:
        used: Counter[int] = Counter()
        while True:
            try:
                if state["Type"] == "Map":
                    return (yield from self._map(state, shown, context))
                yield name
                return self.call(state["Resource"], shown)
            except StateError as error:
                number, retrier = _matching(state, "Retry", error.error)
                if retrier is None or used[number] >= retrier.get("MaxAttempts", 3):
                    raise
                used[number] += 1
                self.taken[name, "Retry", number] += 1

    def _map(self, state: dict[str, Any], shown: Any, context: dict[str, Any]) -> Steps:
        answers = []
        for index, item in enumerate(_path(state["ItemsPath"], shown, context)):
            inner = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
            given = _filled(state["ItemSelector"], shown, inner) if "ItemSelector" in state else item
            answers.append((yield from self._states(state["ItemProcessor"], given, inner)))
        return answers

    def _choose(self, name: str, state: dict[str, Any], given: Any) -> str:
        for number, choice in enumerate(state["Choices"]):
            if _holds(choice, given):
                self.taken[name, "Choice", number] += 1
                return str(choice["Next"])
        if "Default" not in state:
            raise StateError("States.NoChoiceMatched", name)
        self.taken[name, "Default", 0] += 1
        return str(state["Default"])

    def edges(self) -> set[Edge]:
        """Give every edge that there is."""
        return set(_edges(self.definition))


def _edges(machine: dict[str, Any]) -> Iterator[Edge]:
    for name, state in machine["States"].items():
        for kind, key in (("Choice", "Choices"), ("Retry", "Retry"), ("Catch", "Catch")):
            for number in range(len(state.get(key, []))):
                yield name, kind, number
        if "Default" in state:
            yield name, "Default", 0
        if "ItemProcessor" in state:
            yield from _edges(state["ItemProcessor"])


def _matching(state: dict[str, Any], kind: str, error: str) -> tuple[int, dict[str, Any] | None]:
    for number, clause in enumerate(state.get(kind, [])):
        names = set(clause["ErrorEquals"])
        every = ("States.ALL" in names and error not in _NEVER_CAUGHT[state["Type"]]) or (
            "States.TaskFailed" in names and error != "States.Timeout"
        )
        if error in names or every:
            return number, clause
    return -1, None


def _holds(choice: dict[str, Any], given: Any) -> bool:
    if "Or" in choice:
        return any(_holds(each, given) for each in choice["Or"])
    if "And" in choice:
        return all(_holds(each, given) for each in choice["And"])
    if "Not" in choice:
        return not _holds(choice["Not"], given)
    value = _path(choice["Variable"], given, {}, missing=_Missing)
    (operator,) = choice.keys() - {"Variable", "Next"}
    wanted = choice[operator]
    match operator:
        case "IsPresent":
            return (value is not _Missing) is wanted
        case "IsNull":
            return (value is None) is wanted
    if value is _Missing:
        raise StateError("States.Runtime", f"{choice['Variable']} is not there")
    match operator:
        case "StringEquals":
            return isinstance(value, str) and value == wanted
        case "BooleanEquals":
            return isinstance(value, bool) and value is wanted
    raise NotImplementedError(operator)


class _Missing:
    """Stands for what a path does not lead to."""


def _path(path: str | None, given: Any, context: dict[str, Any], missing: Any = None) -> Any:
    if path is None:
        return {}
    if path.startswith("States."):
        return _format(path, given, context)
    value = context if path.startswith("$$") else given
    if not re.fullmatch(r"\$\$?(\.\w+)*", path):
        raise NotImplementedError(path)
    for key in path.lstrip("$").split(".")[1:]:
        if not isinstance(value, dict) or key not in value:
            if missing is not None:
                return missing
            raise StateError("States.ParameterPathFailure", f"{path} is not in {json.dumps(given)[:200]}")
        value = value[key]
    return value


def _format(call: str, given: Any, context: dict[str, Any]) -> str:
    found = _FORMAT.fullmatch(call)
    if not found:
        raise NotImplementedError(call)
    text = found["text"]
    for path in found["paths"].split(",")[1:]:
        text = text.replace("{}", str(_path(path.strip(), given, context)), 1)
    return text


def _filled(template: Any, given: Any, context: dict[str, Any]) -> Any:
    if isinstance(template, list):
        return [_filled(item, given, context) for item in template]
    if not isinstance(template, dict):
        return template
    return {
        key.removesuffix(".$"): _path(value, given, context)
        if key.endswith(".$")
        else _filled(value, given, context)
        for key, value in template.items()
    }


def _put(given: Any, path: str | None, value: Any) -> Any:
    if path is None:
        return given
    if path == "$":
        return value
    found = re.fullmatch(r"\$\.(\w+)", path)
    if not found:
        raise NotImplementedError(path)
    return {**given, found[1]: value}


def _said(state: dict[str, Any], key: str, given: Any) -> str:
    if f"{key}Path" in state:
        return str(_path(state[f"{key}Path"], given, {}))
    return str(state.get(key, ""))
