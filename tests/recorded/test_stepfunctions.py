"""Step Functions: starting an execution twice, input that is not JSON, and how errors of Lambda tasks appear."""

from __future__ import annotations

import json
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import make_function, make_role
from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, Replay, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ERRORS = "stepfunctions/lambda-errors.json"
# Longer than 256 KiB only when it is written as UTF-8.
LARGE = 'def handler(event, context):\n    return "\\uff21" * (88 * 1024)\n'
CODE_PLACE = [
    Differing("*/cause/stackTrace/0", "it names the file of the code and the line in it"),
    Differing("*/Cause", "the text of the cause that is compared by its members; it names the file, too"),
]
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


class Executions:
    """Runs state machines and shows their histories as they were recorded."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws, self._states = aws, aws.client("stepfunctions", ACCOUNT)
        self.role = make_role(aws, ACCOUNT, "states.amazonaws.com", ["lambda:InvokeFunction"])

    def function(self, replay: Replay, code: str, place: str = "<lambda_function_name>") -> str:
        """Make a function and bind its name; give its ARN."""
        name = replay.bind(place, make_function(self._aws, ACCOUNT, code, Timeout=60))
        return f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"

    def history(self, replay: Replay, states: dict[str, Any], given: Any, name: str) -> Any:
        """Run to the end and give the history, with times as texts."""
        replay.bind("<partition>", "aws")
        replay.bind("<region>", "us-east-1")
        replay.anything("snf_role_arn")
        definition = json.dumps({"StartAt": next(iter(states)), "States": states})
        made = self._states.create_state_machine(name=name, definition=definition, roleArn=self.role)
        run = self._states.start_execution(stateMachineArn=made["stateMachineArn"], input=json.dumps(given))
        arn = run["executionArn"]
        while self._states.describe_execution(executionArn=arn)["status"] == "RUNNING":
            time.sleep(0.05)
        found = self._states.get_execution_history(executionArn=arn, maxResults=1000)
        return {**found, "events": [_texts(event) for event in found["events"]]}


def _texts(event: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in event.items()
    }


@pytest.fixture(scope="module")
def executions(aws: LocalAws) -> Executions:
    return Executions(aws)


def given_to(replay: Replay) -> dict[str, Any]:
    """Give the input that the recorded executions had."""
    return {"FunctionName": replay["<lambda_function_name>"], "Payload": None}


@replays(ERRORS, "test_task_lambda.py::TestTaskLambda::test_raise_custom_exception", differing=CODE_PLACE)
def test_a_function_that_raises_an_error_of_its_own(
    replay: Replay, executions: Executions, fresh: Callable[[str], str]
) -> None:
    code = "class CustomException(Exception):\n    pass\ndef handler(event, context):\n    raise CustomException()\n"
    function = executions.function(replay, code)
    states = {
        "InvokeLambda": {
            "Type": "Task",
            "Resource": function,
            "Catch": [{"ErrorEquals": ["CustomException"], "Next": "ErrorMatched"}],
            "End": True,
        },
        "ErrorMatched": {"Type": "Pass", "End": True},
    }
    given = given_to(replay)
    replay("get_execution_history", lambda: executions.history(replay, states, given, fresh("machine")))


@replays(ERRORS, "test_raise_exception_catch", differing=CODE_PLACE)
def test_an_error_that_states_task_failed_catches(
    replay: Replay, executions: Executions, fresh: Callable[[str], str]
) -> None:
    code = 'def handler(event, context):\n    raise Exception("Some exception was raised.")\n'
    function = executions.function(replay, code)
    handler = "EndWithStateTaskFailedHandler"
    states = {
        "Start": {
            "Type": "Task",
            "Resource": function,
            "Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": handler}],
            "End": True,
        },
        handler: {
            "Type": "Pass",
            "Parameters": {"Error.$": "$.Error", "Cause.$": "$.Cause"},
            "ResultPath": "$.task_failed_error",
            "End": True,
        },
    }
    given = given_to(replay)
    replay("get_execution_history", lambda: executions.history(replay, states, given, fresh("machine")))


@replays(
    ERRORS,
    "test_task_lambda_data_limit_exceeded_on_large_utf8_response",
    "test_task_lambda_catch_state_all_data_limit_exceeded_on_large_utf8_response",
)
def test_an_answer_that_is_too_large(
    replay: Replay, executions: Executions, fresh: Callable[[str], str]
) -> None:
    """Both by its name and by States.ALL it is caught."""
    every = "catch_state_all" in replay.recording.name
    error, handler = (
        ("States.ALL", "HandleGeneralError")
        if every
        else ("States.DataLimitExceeded", "HandleDataLimitExceeded")
    )
    states = {
        "InvokeLambda": {
            "Type": "Task",
            "Resource": executions.function(replay, LARGE),
            "Catch": [{"ErrorEquals": [error], "Next": handler}],
            "End": True,
        },
        handler: {"Type": "Pass", "End": True},
    }
    given = given_to(replay)
    replay("get_execution_history", lambda: executions.history(replay, states, given, fresh("machine")))


@replays(ERRORS, "test_start_large_input")
def test_a_state_whose_output_is_too_large(
    replay: Replay, executions: Executions, fresh: Callable[[str], str]
) -> None:
    states = {"State_1": {"Type": "Pass", "Result": "a" * (256 * 1024), "End": True}}
    replay("get_execution_history", lambda: executions.history(replay, states, {}, fresh("machine")))


SLOW = "import time\ndef handler(event, context):\n    time.sleep(30)\n"


@replays(ERRORS, "test_fixed_timeout_lambda")
def test_a_task_that_times_out(replay: Replay, executions: Executions, fresh: Callable[[str], str]) -> None:
    function = executions.function(replay, SLOW, "<lambda_function_1_name>")
    states = {"Start": {"Type": "Task", "Resource": function, "TimeoutSeconds": 5, "End": True}}
    given = {"Payload": None}
    replay("get_execution_history", lambda: executions.history(replay, states, given, fresh("machine")))


@replays(ERRORS, "test_service_lambda_map_timeout")
def test_an_item_of_a_map_that_times_out(
    replay: Replay, executions: Executions, fresh: Callable[[str], str]
) -> None:
    called = {
        "Type": "Task",
        "Resource": executions.function(replay, SLOW),
        "TimeoutSeconds": 1,
        "End": True,
    }
    inner = {"StartAt": "LambdaInvoke", "States": {"LambdaInvoke": called}}
    states = {"MapWait": {"Type": "Map", "ItemsPath": "$.Inputs", "ItemProcessor": inner, "End": True}}
    found = executions.history(replay, states, {"Inputs": [1, 2]}, fresh("machine"))
    (failed,) = [event for event in found["events"] if event["type"] == "ExecutionFailed"]
    replay.compare("executionFailedEventDetails", failed["executionFailedEventDetails"])


@replays(
    STARTS,
    "test_stop_execution",
    differing=[
        Differing(f"exec_hist_resp/events/2/executionAbortedEventDetails/{name}", "moto has it empty")
        for name in ("error", "cause")
    ],
)
def test_a_stopped_execution(
    replay: Replay, states: Any, executions: Executions, fresh: Callable[[str], str]
) -> None:
    replay.anything("snf_role_arn")
    definition = {"StartAt": "State_1", "States": {"State_1": {"Type": "Wait", "Seconds": 600, "End": True}}}
    made = replay(
        "creation_resp",
        lambda: states.create_state_machine(
            name=fresh("machine"), definition=json.dumps(definition), roleArn=executions.role
        ),
    )
    started = replay(
        "exec_resp", lambda: states.start_execution(stateMachineArn=made["stateMachineArn"], input="{}")
    )
    run = {"executionArn": started["executionArn"]}
    while len(states.get_execution_history(**run)["events"]) < 2:
        time.sleep(0.05)
    replay("stop_res", lambda: states.stop_execution(**run))
    found = states.get_execution_history(**run)
    replay("exec_hist_resp", lambda: {**found, "events": [_texts(event) for event in found["events"]]})
