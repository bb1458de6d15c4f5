"""The state machine as it is written: every state reached, every call retried and caught as designed.

States and their fields: https://states-language.net/spec.html
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.infra import stacks

DEFINITION = stacks.definition()
TOP: dict[str, Any] = DEFINITION["States"]
COPY: dict[str, Any] = TOP["Copies"]["ItemProcessor"]["States"]
ALL = {**TOP, **COPY}
TASKS = {name: state for name, state in ALL.items() if state["Type"] == "Task"}
CALLS = ["Plan", "CopyArtifact", "CopyImage", "Register"]
# What the function of a state is called, in the template.
FUNCTIONS = {name: f"{name}Function" for name in [*CALLS, "RecordFailure"]}


def successors(state: dict[str, Any]) -> set[str]:
    """Give the names of the states that may come next, errors apart."""
    found = {state[key] for key in ("Next", "Default") if key in state}
    return found | {choice["Next"] for choice in state.get("Choices", [])}


def reached(start: str, states: dict[str, Any]) -> set[str]:
    """Give the names of all states that can be reached, by error too."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += successors(states[name]) | {each["Next"] for each in states[name].get("Catch", [])}
    return seen


def test_every_state_is_reached() -> None:
    assert reached(DEFINITION["StartAt"], TOP) == set(TOP)
    assert reached(TOP["Copies"]["ItemProcessor"]["StartAt"], COPY) == set(COPY)


def test_every_state_ends_or_goes_on_and_says_what_for() -> None:
    for name, state in ALL.items():
        ends = state.get("End") is True or state["Type"] in ("Succeed", "Fail")
        assert ends != bool(successors(state)), name
        if name != "Copies":
            assert state["Comment"].endswith("."), name


def test_every_choice_has_a_default() -> None:
    assert all("Default" in state for state in ALL.values() if state["Type"] == "Choice")


def test_it_is_json_path_without_variables_or_aliases() -> None:
    text = (stacks.ROOT / "statemachine" / "replicate.asl.yaml").read_text(encoding="utf-8")
    assert "JSONata" not in text
    assert not [name for name, state in ALL.items() if "Assign" in state]
    assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken)]


def test_every_substitution_is_given_and_is_the_functions_arn() -> None:
    wanted = {name: f"${{{name}FunctionArn}}" for name in FUNCTIONS}
    assert {name: state["Resource"] for name, state in TASKS.items()} == wanted
    machine = stacks.source("template.yaml")["Resources"]["Replicate"]["Properties"]
    assert machine["DefinitionSubstitutions"] == {
        f"{name}Arn": {"Fn::GetAtt": [name, "Arn"]} for name in FUNCTIONS.values()
    }
    assert machine["DefinitionUri"] == "statemachine/replicate.asl.yaml"
    text = (stacks.ROOT / machine["DefinitionUri"]).read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(machine["DefinitionSubstitutions"])


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_tried_again_only_when_that_can_help(name: str) -> None:
    busy, cut_off = TASKS[name]["Retry"]
    assert busy["ErrorEquals"] == [
        "RetryableError",
        "Lambda.TooManyRequestsException",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
    ]
    assert cut_off["ErrorEquals"] == [
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Sandbox.Timedout",
        "States.Timeout",
    ]
    assert cut_off["MaxAttempts"] <= 3
    for each in (busy, cut_off):
        assert each["JitterStrategy"] == "FULL"
        assert each["BackoffRate"] > 1
        assert 0 < each["MaxDelaySeconds"] <= 120


def test_every_error_reaches_the_failure_path() -> None:
    for name in ("Plan", "Copies", "Register"):
        assert TOP[name]["Catch"] == [
            {"ErrorEquals": [error], "ResultPath": "$.error", "Next": "RecordFailure"}
            for error in ("States.DataLimitExceeded", "States.ALL")
        ]
    # Inside the map nothing is caught: an error ends the map, and the map catches it.
    assert not [name for name, state in COPY.items() if "Catch" in state]
    assert TOP["Refuse"]["Next"] == "RecordFailure"


def test_recording_a_failure_is_tried_for_long_and_ends_failed() -> None:
    record = TOP["RecordFailure"]
    (retry,) = record["Retry"]
    assert retry["ErrorEquals"] == ["States.ALL"]
    waits = [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** n, retry["MaxDelaySeconds"])
        for n in range(retry["MaxAttempts"])
    ]
    assert sum(waits) > 1800
    caught = {each["ErrorEquals"][0]: each["Next"] for each in record["Catch"]}
    assert caught == {"States.DataLimitExceeded": "NotRecorded", "States.ALL": "NotRecorded"}
    assert {TOP["Failed"]["Type"], TOP["NotRecorded"]["Type"]} == {"Fail"}


def test_a_call_is_given_up_after_its_function_is() -> None:
    functions = stacks.hub().of_type("AWS::Lambda::Function")
    for name, state in TASKS.items():
        assert state["TimeoutSeconds"] > functions[FUNCTIONS[name]]["Timeout"]


def test_the_map_is_inline_and_bounded() -> None:
    copies = TOP["Copies"]
    assert copies["ItemProcessor"]["ProcessorConfig"] == {"Mode": "INLINE"}
    assert copies["MaxConcurrency"] == 10
    # 25,000 events of history are allowed; a copy's round takes at most 12, without retries.
    assert DEFINITION["TimeoutSeconds"] / 850 * 12 < 25_000


def test_the_machine_is_standard_and_logs_errors_without_data() -> None:
    machine = stacks.source("template.yaml")["Resources"]["Replicate"]["Properties"]
    assert machine["Type"] == "STANDARD"
    assert machine["Logging"]["Level"] == "ERROR"
    assert machine["Logging"]["IncludeExecutionData"] is False
    assert machine["Tracing"] == {"Enabled": True}
