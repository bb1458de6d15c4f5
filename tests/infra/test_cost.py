"""The state transitions that docs/cost.md counts are those of a run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from replicator.counting import BY_CODE, Metric
from replicator.errors import ErrorCode, PermanentError
from replicator.steps import Action
from tests.infra import machine as engine
from tests.infra import stacks
from tests.infra.machine import ARTIFACT, IMAGE, Machine, copied, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

COST = (stacks.ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield from engine.running(monkeypatch)


def entered() -> int:
    """Count the states that the one execution entered."""
    states = boto3.client("stepfunctions", region_name=stacks.REGION)
    (machine,) = states.list_state_machines()["stateMachines"]
    (execution,) = states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    events = states.get_execution_history(executionArn=execution["executionArn"])["events"]
    return sum(event["type"].endswith("StateEntered") for event in events)


def listed(pattern: str) -> list[int]:
    found = re.search(pattern, COST)
    assert found, f"docs/cost.md does not say {pattern}"
    return [int(number) for number in found.groups()]


@pytest.mark.parametrize("loops", [0, 2])
def test_a_mirror(machine: Machine, loops: int) -> None:
    def copy(event: dict[str, Any], call: int) -> dict[str, Any]:
        if call > loops:
            return copied(event)
        return {"done": False, "result": None, "progress": {"moved": call, "total": 9, "objects": 0}}

    machine.functions |= {"Plan": lambda event, call: plan(Action.MIRROR, ARTIFACT, IMAGE), "CopyImage": copy}
    assert machine.run().status == "SUCCEEDED"
    base, each, further = listed(r"mirror: (\d+) \+ (\d+)\*C\* \+ (\d+)\*L\*")
    assert entered() == base + 2 * each + loops * further


def test_nothing_to_do(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.NOTHING)
    machine.run()
    assert [entered()] == listed(r"nothing to do: (\d+);")


def test_a_refusal(machine: Machine) -> None:
    machine.functions["Plan"] = lambda event, call: plan(Action.REFUSE, code=ErrorCode.UNVERSIONED)
    machine.run()
    assert [entered()] == listed(r"refused: (\d+);")


def test_a_failed_copy(machine: Machine) -> None:
    def fail(event: dict[str, Any], call: int) -> None:
        raise PermanentError(ErrorCode.SOURCE_OBJECT_MISSING, "it is not there")

    machine.functions |= {"Plan": lambda event, call: plan(Action.MIRROR, ARTIFACT), "CopyArtifact": fail}
    machine.run()
    assert [entered()] == listed(r"failed in a copy: at least (\d+) ")


def test_memory_and_times_are_those_of_the_template() -> None:
    functions = stacks.hub().of_type("AWS::Lambda::Function")
    memory = {f["FunctionName"].partition("replicator-")[2]: f["MemorySize"] for f in functions.values()}
    assert f"| copy-artifact, server side | {memory.pop('copy-artifact')} MB" in COST
    assert f"| copy-image | {memory.pop('copy-image')} MB" in COST
    (others,) = set(memory.values())
    assert f"| the others | {others} MB" in COST


def test_alarms_and_metrics_are_those_of_the_stacks() -> None:
    for stack, pattern in (
        (stacks.hub(), r"hub: (\d+) alarms over (\d+) metrics \(t\)"),
        (stacks.spoke(), r"each spoke: (\d+) alarms over (\d+) metrics \(t\)"),
    ):
        alarms = stack.of_type("AWS::CloudWatch::Alarm").values()
        looked_at = [sum("MetricStat" in each for each in its.get("Metrics", [])) or 1 for its in alarms]
        assert listed(pattern) == [len(alarms), sum(looked_at)]
    assert listed(r"custom metrics \| (\d+) \(t\), .* up to (\d+) \(t\) more") == [len(Metric), len(BY_CODE)]
