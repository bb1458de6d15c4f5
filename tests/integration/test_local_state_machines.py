"""State machines of the local AWS behave as Step Functions is documented to, as far as ours use it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import make_function, make_role, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ACCOUNT = "333333333331"
CODE = """
import time
class RetryableError(Exception): pass
class PermanentError(Exception): pass
CALLS = {}
def handler(event, context):
    key = event.get("key")
    CALLS[key] = CALLS.get(key, 0) + 1
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if CALLS[key] <= event.get("fails", 0):
        raise RetryableError("THROTTLED: attempt " + str(CALLS[key]))
    if event.get("permanent"):
        raise PermanentError("SOURCE_OBJECT_MISSING: nothing there")
    return {"calls": CALLS[key], "event": event}
"""
RETRY = [
    {
        "ErrorEquals": ["RetryableError"],
        "IntervalSeconds": 1,
        "BackoffRate": 2,
        "MaxAttempts": 3,
        "MaxDelaySeconds": 2,
        "JitterStrategy": "FULL",
    }
]


@pytest.fixture(scope="module")
def function(local_aws: LocalAws) -> str:
    name = make_function(local_aws, ACCOUNT, CODE, Timeout=20)
    return f"arn:aws:lambda:{local_aws.region}:{ACCOUNT}:function:{name}"


class Machines:
    """Makes state machines and runs them."""

    def __init__(self, aws: LocalAws, fresh: Callable[[str], str]) -> None:
        self.states, self.fresh = aws.client("stepfunctions", ACCOUNT), fresh
        self.role = make_role(aws, ACCOUNT, "states.amazonaws.com", ["lambda:InvokeFunction"])

    def make(self, states: dict[str, Any], role: str | None = None, **more: Any) -> str:
        definition = json.dumps({"StartAt": next(iter(states)), "States": states, **more})
        return str(
            self.states.create_state_machine(
                name=self.fresh("machine"), definition=definition, roleArn=role or self.role
            )["stateMachineArn"]
        )

    def start(self, machine: str, value: Any, name: str | None = None) -> str:
        answer = self.states.start_execution(
            stateMachineArn=machine, name=name or self.fresh("run"), input=json.dumps(value)
        )
        return str(answer["executionArn"])

    def result(self, execution: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.states.describe_execution(executionArn=execution)
            return found if found["status"] != "RUNNING" else None

        return wait_for(ended, what="the execution's end") or {}

    def run(self, states: dict[str, Any], value: Any) -> dict[str, Any]:
        return self.result(self.start(self.make(states), value))


@pytest.fixture
def machines(local_aws: LocalAws, fresh: Callable[[str], str]) -> Machines:
    return Machines(local_aws, fresh)


def task(function: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": function, "End": True, **more}


def test_a_function_gets_the_input_and_gives_the_output(machines: Machines, function: str) -> None:
    result = machines.run({"Call": task(function)}, {"key": "plain", "é": "ü"})
    assert result["status"] == "SUCCEEDED"
    assert json.loads(result["output"]) == {"calls": 1, "event": {"key": "plain", "é": "ü"}}


def test_a_retryable_error_is_tried_again(machines: Machines, function: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    result = machines.run({"Call": task(function, Retry=RETRY)}, {"key": machines.fresh("k"), "fails": 3})
    assert json.loads(result["output"])["calls"] == 4


def test_attempts_are_limited_and_caught_by_name(machines: Machines, function: str) -> None:
    """`Cause` is the function's error as text, and `ResultPath` keeps the input."""
    catch = [{"ErrorEquals": ["RetryableError"], "ResultPath": "$.error", "Next": "Caught"}]
    states = {"Call": task(function, Retry=RETRY, Catch=catch), "Caught": {"Type": "Succeed"}}
    key = machines.fresh("k")
    output = json.loads(machines.run(states, {"key": key, "fails": 9})["output"])
    assert output["key"] == key
    assert output["error"]["Error"] == "RetryableError"
    assert json.loads(output["error"]["Cause"])["errorMessage"] == "THROTTLED: attempt 4"


def test_a_permanent_error_is_not_tried_again(machines: Machines, function: str) -> None:
    result = machines.run({"Call": task(function, Retry=RETRY)}, {"key": "p", "permanent": True})
    assert (result["status"], result["error"]) == ("FAILED", "PermanentError")
    assert json.loads(result["cause"])["errorType"] == "PermanentError"


def test_attempts_are_counted_anew_when_a_state_is_entered_again(machines: Machines, function: str) -> None:
    """ "The interpreter resets the counter when the state is entered": the retrier's counts are of one visit.

    https://states-language.net/spec.html#errors
    """
    retry = [{**RETRY[0], "MaxAttempts": 1}]
    states = {
        "Call": {
            "Type": "Task",
            "Resource": function,
            "Parameters": {"key.$": "$.keys[0]", "fails": 1},
            "Retry": retry,
            "ResultPath": "$.answer",
            "Next": "More",
        },
        "More": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.keys[1]", "IsPresent": True, "Next": "Cut"}],
            "Default": "Done",
        },
        "Cut": {"Type": "Pass", "Parameters": {"keys.$": "$.keys[1:]"}, "Next": "Call"},
        "Done": {"Type": "Succeed"},
    }
    result = machines.run(states, {"keys": [machines.fresh("k") for _ in range(3)]})
    assert result["status"] == "SUCCEEDED", result


def test_waits_grow_up_to_the_longest(machines: Machines, local_aws: LocalAws, function: str) -> None:
    """1, 2, then 2 seconds instead of 4: `MaxDelaySeconds`; with full jitter anything up to that."""
    for jitter in ("NONE", "FULL"):
        before = len(local_aws.state_machines.waits)
        retry = [{**RETRY[0], "JitterStrategy": jitter}]
        machines.run({"Call": task(function, Retry=retry)}, {"key": machines.fresh("k"), "fails": 3})
        waits = local_aws.state_machines.waits[before:]
        assert len(waits) == 3
        assert all(0 <= wait <= longest for wait, longest in zip(waits, (1, 2, 2), strict=True))
        assert (waits == [1, 2, 2]) == (jitter == "NONE")


def test_a_map_keeps_the_order_and_selects_its_items(machines: Machines, function: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html"""
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.copies",
            "MaxConcurrency": 10,
            "ItemSelector": {"key.$": "$$.Map.Item.Value", "from.$": "$.from", "sleep": 0.2},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Copy",
                "States": {"Copy": task(function, OutputPath="$.event.key")},
            },
            "ResultSelector": {"all.$": "$"},
            "ResultPath": "$.results",
            "OutputPath": "$.results",
            "End": True,
        }
    }
    keys = [machines.fresh("k") for _ in range(6)]
    result = machines.run(states, {"copies": keys, "from": "here"})
    assert json.loads(result["output"]) == {"all": keys}


def test_an_error_inside_a_map_is_caught_outside(machines: Machines, function: str) -> None:
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.copies",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "Copy",
                "States": {"Copy": task(function)},
            },
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Caught"}],
            "End": True,
        },
        "Caught": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    }
    copies = [{"key": machines.fresh("k")}, {"key": machines.fresh("k"), "permanent": True}]
    result = machines.run(states, {"copies": copies})
    assert (result["status"], result["error"]) == ("FAILED", "PermanentError")
    assert "nothing there" in result["cause"]


def test_an_empty_map(machines: Machines, function: str) -> None:
    inner = {"StartAt": "Copy", "States": {"Copy": task(function)}}
    states = {"Each": {"Type": "Map", "ItemsPath": "$.copies", "ItemProcessor": inner, "End": True}}
    assert json.loads(machines.run(states, {"copies": []})["output"]) == []


def test_executions_run_side_by_side_and_start_returns_at_once(machines: Machines, function: str) -> None:
    machine = machines.make({"Call": task(function)})
    began = time.monotonic()
    executions = [machines.start(machine, {"key": machines.fresh("k"), "sleep": 2}) for _ in range(2)]
    assert time.monotonic() - began < 1
    assert {machines.result(execution)["status"] for execution in executions} == {"SUCCEEDED"}
    assert time.monotonic() - began < 3.9


def test_a_name_is_for_one_execution(machines: Machines, function: str) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html"""
    machine, name = machines.make({"Call": task(function)}), machines.fresh("run")
    first = machines.start(machine, {"key": "n", "sleep": 1}, name)
    assert machines.start(machine, {"key": "n", "sleep": 1}, name) == first
    with pytest.raises(ClientError) as other:
        machines.start(machine, {"key": "other"}, name)
    assert other.value.response["Error"]["Code"] == "ExecutionAlreadyExists"
    machines.result(first)
    with pytest.raises(ClientError) as closed:
        machines.start(machine, {"key": "n", "sleep": 1}, name)
    assert closed.value.response["Error"]["Code"] == "ExecutionAlreadyExists"


def test_a_role_without_the_right_to_invoke(machines: Machines, local_aws: LocalAws, function: str) -> None:
    role = make_role(local_aws, ACCOUNT, "states.amazonaws.com", [])
    result = machines.result(machines.start(machines.make({"Call": task(function)}, role), {}))
    assert (result["status"], result["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert "is not authorized to perform: lambda:InvokeFunction" in result["cause"]


def test_an_execution_without_a_name(machines: Machines, function: str) -> None:
    """Step Functions makes one up: twice the same input are two executions."""
    machine = machines.make({"Call": task(function)})
    states = machines.states
    made = {states.start_execution(stateMachineArn=machine, input="{}")["executionArn"] for _ in range(2)}
    assert len(made) == 2


def test_a_function_that_times_out(machines: Machines, local_aws: LocalAws) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    name = make_function(local_aws, ACCOUNT, CODE, Timeout=1)
    result = machines.run(
        {"Call": task(f"arn:aws:lambda:{local_aws.region}:{ACCOUNT}:function:{name}")},
        {"key": "t", "sleep": 9},
    )
    assert (result["status"], result["error"]) == ("FAILED", "Sandbox.Timedout")


def test_states_format_and_choice(machines: Machines) -> None:
    states = {
        "Say": {
            "Type": "Pass",
            "Parameters": {"Cause.$": "States.Format('{}: {}', $.code, $.reason)"},
            "ResultPath": "$.error",
            "Next": "Fail",
        },
        "Fail": {"Type": "Fail", "Error": "PermanentError", "CausePath": "$.error.Cause"},
    }
    result = machines.run(states, {"code": "UNVERSIONED", "reason": 'it\'s "so"'})
    assert result["cause"] == 'UNVERSIONED: it\'s "so"'


def test_states_all_does_not_catch_a_runtime_error(machines: Machines) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    inner = {"StartAt": "P", "States": {"P": {"Type": "Pass", "InputPath": "$.none", "End": True}}}
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.copies",
            "ItemProcessor": inner,
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            "End": True,
        },
        "Caught": {"Type": "Succeed"},
    }
    result = machines.run(states, {"copies": [{}]})
    assert (result["status"], result["error"]) == ("FAILED", "States.Runtime")


@pytest.mark.parametrize("named", [False, True])
def test_an_answer_that_is_too_large_is_caught_outside_a_map_only_by_its_name(
    machines: Machines, local_aws: LocalAws, named: bool
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    name = make_function(local_aws, ACCOUNT, "def handler(event, context):\n    return 'a' * 300_000\n")
    called = task(f"arn:aws:lambda:{local_aws.region}:{ACCOUNT}:function:{name}")
    caught = {"ErrorEquals": ["States.DataLimitExceeded" if named else "States.ALL"], "Next": "Caught"}
    each = {
        "Type": "Map",
        "ItemsPath": "$.copies",
        "ItemProcessor": {"StartAt": "Copy", "States": {"Copy": called}},
        "Catch": [caught],
        "End": True,
    }
    result = machines.run({"Each": each, "Caught": {"Type": "Succeed"}}, {"copies": [1]})
    if named:
        assert json.loads(result["output"])["Error"] == "States.DataLimitExceeded"
    else:
        assert (result["status"], result["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_a_timeout_in_a_map_is_caught_outside(machines: Machines, function: str) -> None:
    each = {
        "Type": "Map",
        "ItemsPath": "$.copies",
        "ItemProcessor": {"StartAt": "Copy", "States": {"Copy": task(function, TimeoutSeconds=1)}},
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
        "End": True,
    }
    copies = [{"key": machines.fresh("k"), "sleep": 3}]
    result = machines.run({"Each": each, "Caught": {"Type": "Succeed"}}, {"copies": copies})
    assert json.loads(result["output"])["Error"] == "States.Timeout"


def test_a_timeout_that_was_caught_is_reported_by_its_name(machines: Machines, function: str) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}]
    states = {
        "Call": task(function, TimeoutSeconds=1, Catch=catch),
        "Failed": {"Type": "Fail", "ErrorPath": "$.error.Error", "Cause": "it took too long"},
    }
    result = machines.run(states, {"key": "slow", "sleep": 3})
    assert (result["status"], result["error"]) == ("FAILED", "States.Timeout")


@pytest.mark.parametrize("times_out", [False, True])
def test_an_execution_is_over_when_it_is_stopped_or_times_out_whatever_its_task_comes_to(
    machines: Machines, function: str, times_out: bool
) -> None:
    """https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html"""
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "Recorded"}]
    states = {"Call": task(function, Catch=caught), "Recorded": {"Type": "Fail", "Error": "Recorded"}}
    more: dict[str, Any] = {"TimeoutSeconds": 1} if times_out else {}
    key = machines.fresh("k")
    execution = machines.start(machines.make(states, **more), {"key": key, "sleep": 2.5, "permanent": True})
    begun = time.monotonic()
    if not times_out:
        time.sleep(0.5)
        machines.states.stop_execution(executionArn=execution)
    expected = "TIMED_OUT" if times_out else "ABORTED"
    assert machines.result(execution)["status"] == expected
    assert time.monotonic() - begun < 2
    time.sleep(max(0, begun + 3.5 - time.monotonic()))
    assert machines.states.describe_execution(executionArn=execution)["status"] == expected
