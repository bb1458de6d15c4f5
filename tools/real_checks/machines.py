"""Claims about Step Functions: the states of both state machines that call nothing, one by one in ``TestState``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tools.real_checks.checks import Check, check, expect

if TYPE_CHECKING:
    from tools.real_checks.world import World

_FOLDER = Path(__file__).parents[2] / "statemachine"
_ODD = "it's {} and '{0}' \\ \"q\" ü $.x"


@dataclass(frozen=True, slots=True)
class Case:
    """A state with an input, and where it has to lead.

    Parameters
    ----------
    state
        Its name; one inside the Map is found by its name too.
    given
        Input.
    next_state
        None where the execution ends.
    output
        None where it is the input.
    error
        Error and cause of a state that fails.
    """

    state: str
    given: dict[str, Any]
    next_state: str | None = None
    output: dict[str, Any] | None = None
    error: tuple[str, str] | None = None


def _decided(action: str, next_state: str, *, again: bool = False) -> Case:
    return Case("Decide", {"plan": {"action": action, "again": again}}, next_state)


_REFUSAL = {"plan": {"code": "INVALID_LOCATION", "reason": _ODD}}
_REFUSED = {"Error": "PermanentError", "Cause": f"INVALID_LOCATION: {_ODD}"}
_ERROR = {"error": {"Error": "PermanentError", "Cause": "CODE: why"}}
_TOTALS = {"totals": {"listed": 1}, "next": {"cursor": {"unreadable": []}}}
REPLICATE = (
    Case(
        "Begin",
        {"source_arn": "a", "attempt": 1, "plan": {"old": 1}},
        "Plan",
        {"source_arn": "a", "attempt": 1, "plan": None},
    ),
    _decided("MIRROR", "Copies"),
    _decided("UPDATE", "Copies"),
    _decided("REFUSE", "Refuse"),
    _decided("NOTHING", "Done"),
    _decided("NOTHING", "Begin", again=True),
    Case("Refuse", _REFUSAL, "RecordFailure", _REFUSAL | {"error": _REFUSED}),
    Case("WhichCopy", {"copy": {"kind": "artifact"}}, "CopyArtifact"),
    Case("WhichCopy", {"copy": {"kind": "image"}}, "CopyImage"),
    Case("WhichCopy", {"copy": {"kind": "tape"}}, "UnknownCopy"),
    Case("IsQuiet", {"registered": {"again": True}}, "Begin"),
    Case("IsQuiet", {"registered": {"again": False}}, "Done"),
    Case("IsSuperseded", {"recorded": {"again": False}}, "Failed"),
    Case("Failed", _ERROR, error=("PermanentError", "CODE: why")),
)
RECONCILE = (
    Case("Begin", {"mode": "backfill"}, "Reconcile", {"request": {"mode": "backfill"}}),
    Case("IsDone", {"answer": {"done": True}}, "Done"),
    Case("IsDone", {"answer": {"done": False}}, "MakeRoom"),
    Case("GoOn", {"answer": {"next": {"mode": "x"}}}, "Reconcile", {"request": {"mode": "x"}}),
    Case("Done", {"answer": _TOTALS}, None, {"totals": {"listed": 1}, "unreadable": []}),
    Case("Failed", _ERROR, error=("PermanentError", "CODE: why")),
)


def states(machine: str) -> dict[str, Any]:
    """Read the states of a definition by their names, those inside a Map too."""
    definition = yaml.safe_load((_FOLDER / f"{machine}.asl.yaml").read_text(encoding="utf-8"))
    found = dict(definition["States"])
    for state in definition["States"].values():
        found |= state.get("ItemProcessor", {}).get("States", {})
    return found


def _tried(world: World, machine: str, cases: tuple[Case, ...]) -> str:
    known = states(machine)
    # The operation has a host of its own, which a local AWS has not.
    client = world.hub.client("stepfunctions", inject_host_prefix=world.hub.endpoint is None)
    for case in cases:
        answer = client.test_state(definition=json.dumps(known[case.state]), input=json.dumps(case.given))
        seen = {name: answer.get(name) for name in ("status", "nextState", "output", "error", "cause")}
        wanted: dict[str, Any] = {"status": "SUCCEEDED", "nextState": case.next_state}
        if case.error:
            wanted = {"status": "FAILED", "error": case.error[0], "cause": case.error[1]}
        holds = all(seen[name] == value for name, value in wanted.items())
        if holds and case.error is None:
            holds = json.loads(seen["output"]) == (case.given if case.output is None else case.output)
        expect(holds, f"{case.state} with {json.dumps(case.given)}: {json.dumps(seen)}")
    return f"{len(cases)} inputs of {len({case.state for case in cases})} states lead where they should"


_SOURCE = "https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html"


@check(
    "test-state-replicate",
    "Each state of statemachine/replicate.asl.yaml that calls nothing leads where the local engine leads.",
    source=_SOURCE,
    relies="statemachine/replicate.asl.yaml",
)
def test_state_replicate(world: World) -> str:
    """Play each with inputs as the functions answer them."""
    return _tried(world, "replicate", REPLICATE)


@check(
    "test-state-reconcile",
    "Each state of statemachine/reconcile.asl.yaml that calls nothing leads where the local engine leads.",
    source=_SOURCE,
    relies="statemachine/reconcile.asl.yaml",
)
def test_state_reconcile(world: World) -> str:
    """Play each with inputs as the function answers them."""
    return _tried(world, "reconcile", RECONCILE)


CHECKS: tuple[Check, ...] = (test_state_replicate, test_state_reconcile)
