"""Step Functions: starting an execution twice, and with input that is not JSON."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

STARTS = "stepfunctions/start-execution.json"
PARSER = "the text is of AWS's JSON parser"


@pytest.fixture
def states(client: Callable[[str], Any]) -> Any:
    return client("stepfunctions")


@pytest.fixture
def machine(states: Any, client: Callable[[str], Any], fresh: Callable[[str], str]) -> str:
    """Make a state machine that waits, and give its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client("iam").create_role(RoleName=fresh("role"), AssumeRolePolicyDocument=document)["Role"]["Arn"]
    definition = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
    name = fresh("machine")
    made = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
    assert made["stateMachineArn"] == f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:{name}"
    return str(made["stateMachineArn"])


@replays(STARTS, "test_start_execution_idempotent")
def test_the_same_execution_twice(
    replay: Replay, states: Any, machine: str, fresh: Callable[[str], str]
) -> None:
    named = {"stateMachineArn": machine, "name": fresh("run")}
    started = replay("exec_resp", lambda: states.start_execution(**named, input="{}"))
    replay("exec_resp_idempotent", lambda: states.start_execution(**named, input="{}"))
    replay("start_exec_already_exists", lambda: states.start_execution(**named, input='{"other": 1}'))
    states.stop_execution(executionArn=started["executionArn"])


@replays(
    STARTS,
    "test_invalid_start_execution_input",
    differing=[Differing(f"start_exec_*_inp/{member}", PARSER) for member in ("Error/Message", "message")],
)
def test_input_that_is_not_json(replay: Replay, states: Any, machine: str) -> None:
    for key, given in {
        "start_exec_str_inp": "not some json",
        "start_exec_not_json_inp": "{'not': 'json'}",
        "start_res_empty": "",
        "start_res_num": "2",
        "start_res_str": '"some text"',
        "start_res_null": "null",
    }.items():
        started = replay(key, partial(states.start_execution, stateMachineArn=machine, input=given))
        if "executionArn" in started:
            states.stop_execution(executionArn=started["executionArn"])
