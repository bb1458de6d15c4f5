"""The edges of a state machine's definition, and which of them the engine takes.

An edge is what a run may take or not: each error name of each Retrier, each Catch, each rule of a Choice
(of a rule made of alternatives, each alternative) and its Default. They are read from the definition, so an
edge that somebody adds is asked for as well.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.stepfunctions.parser.asl.component.common.catch.catcher_decl import CatcherDecl
from moto.stepfunctions.parser.asl.component.common.catch.catcher_outcome import CatcherOutcomeCaught
from moto.stepfunctions.parser.asl.component.common.retry.retrier_decl import RetrierDecl
from moto.stepfunctions.parser.asl.component.common.retry.retrier_outcome import RetrierOutcome
from moto.stepfunctions.parser.asl.component.state.choice.choice_rule import ChoiceRule
from moto.stepfunctions.parser.asl.component.state.choice.state_choice import StateChoice

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest


def edges(definition: Mapping[str, Any]) -> Iterator[str]:
    """Name every edge of a definition, those of the machines inside a Map too."""
    for name, state in definition["States"].items():
        for retrier in state.get("Retry", []):
            yield from (f"{name}: Retry of {error}" for error in retrier["ErrorEquals"])
        for catcher in state.get("Catch", []):
            yield from (f"{name}: Catch of {error} -> {catcher['Next']}" for error in catcher["ErrorEquals"])
        for number, rule in enumerate(state.get("Choices", []), 1):
            yield from _alternatives(name, number, rule)
        if "Default" in state:
            yield f"{name}: Default -> {state['Default']}"
        inner = [state["ItemProcessor"]] if "ItemProcessor" in state else state.get("Branches", [])
        for machine in inner:
            yield from edges(machine)


def _alternatives(name: str, number: int, rule: Mapping[str, Any]) -> Iterator[str]:
    if "Or" not in rule:
        yield f"{name}: rule {number} -> {rule['Next']}"
    for alternative in range(1, len(rule.get("Or", [])) + 1):
        yield f"{name}: rule {number}, alternative {alternative} -> {rule['Next']}"


@dataclass
class Recorder:
    """Watches moto's engine, and notes the edges that it takes."""

    taken: set[str] = field(default_factory=set)
    _held: _Held = field(default_factory=lambda: _Held())

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Stand between the engine and the parts of it that decide."""
        for part, method, note in (
            (RetrierDecl, "_eval_body", self._retried),
            (CatcherDecl, "_eval_body", self._caught),
            (ChoiceRule, "_eval_body", self._asked),
            (StateChoice, "_eval_state", self._chose),
        ):
            patch.setattr(part, method, _noting(getattr(part, method), note))

    def _retried(self, retrier: Any, env: Any, error: Any) -> None:
        if env.stack[-1] is RetrierOutcome.Executed:
            self.taken.add(f"{_state(env)}: Retry of {_declared(retrier, error)}")

    def _caught(self, catcher: Any, env: Any, failure: Any) -> None:
        if isinstance(env.stack[-1], CatcherOutcomeCaught):
            error = _declared(catcher, failure.error_name)
            self.taken.add(f"{_state(env)}: Catch of {error} -> {catcher.next_decl.name}")

    def _asked(self, rule: Any, env: Any, _: Any) -> None:
        if env.stack[-1] is True:
            self._held.rules.append(rule)

    def _chose(self, choice: Any, env: Any, _: Any) -> None:
        held, self._held.rules = self._held.rules, []
        edge = "Default"
        for number, rule in enumerate(choice.choices_decl.rules, 1):
            if rule in held:
                edge = f"rule {number}"
                for position, alternative in enumerate(getattr(rule.comparison, "rules", []), 1):
                    if alternative in held:
                        edge += f", alternative {position}"
                break
        self.taken.add(f"{choice.name}: {edge} -> {env.stack[-1]}")


class _Held(threading.local):
    """Rules that held, of the Choice that a thread is at: iterations of a Map have a thread each."""

    def __init__(self) -> None:
        self.rules: list[Any] = []


def _noting(original: Any, note: Any) -> Any:
    def method(part: Any, env: Any) -> None:
        before = env.stack[-1] if env.stack else None
        original(part, env)
        note(part, env, before)

    return method


def _state(env: Any) -> str:
    return str(env.states.context_object.context_object_data["State"]["Name"])


def _declared(part: Any, error: Any) -> str:
    """Give the name under which the definition declares an error: its own, or a wildcard."""
    names = [str(name.error_name) for name in part.error_equals.error_names]
    return str(error.error_name) if error.error_name in names else names[0]
