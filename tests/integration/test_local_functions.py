"""Functions of the local AWS behave as Lambda is documented to."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.conftest import make_function, make_role, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws

ACCOUNT = "333333333301"
CODE = """
import json, os, sys, time
import boto3
COLD = []
def handler(event, context):
    kind = event.get("do")
    COLD.append(1)
    print("doing", kind)
    if kind == "raise":
        raise LookupError("there is no " + event["what"])
    if kind == "exit":
        os._exit(3)
    if kind == "sleep":
        time.sleep(event["seconds"])
    if kind == "odd":
        return {1, 2}
    if kind == "environment":
        return dict(os.environ)
    if kind == "context":
        return [context.aws_request_id, context.function_name, context.memory_limit_in_mb,
                context.invoked_function_arn, context.get_remaining_time_in_millis(),
                context.log_group_name, context.log_stream_name]
    if kind == "whoami":
        return boto3.client("sts").get_caller_identity()["Arn"]
    if kind == "path":
        return sys.path
    return {"pid": os.getpid(), "invocations": len(COLD)}
"""


@pytest.fixture(scope="module")
def function(local_aws: LocalAws) -> str:
    settings: dict[str, Any] = {
        "Timeout": 3,
        "MemorySize": 256,
        "Environment": {"Variables": {"COLOUR": "green", "AWS_ENDPOINT_URL": ""}},
    }
    return make_function(local_aws, ACCOUNT, CODE, **settings)


def invoke(aws: LocalAws, name: str, event: Any, **more: Any) -> tuple[Any, str | None]:
    answer = aws.client("lambda", ACCOUNT).invoke(FunctionName=name, Payload=json.dumps(event), **more)
    text = answer["Payload"].read()
    return json.loads(text) if text else None, answer.get("FunctionError")


def test_a_warm_process_is_used_again(local_aws: LocalAws, function: str) -> None:
    first, _ = invoke(local_aws, function, {})
    second, _ = invoke(local_aws, function, {})
    assert second["pid"] == first["pid"]
    assert second["invocations"] == first["invocations"] + 1


def test_invocations_that_overlap_run_in_processes_of_their_own(local_aws: LocalAws, function: str) -> None:
    answers: list[Any] = []

    def call() -> None:
        answers.append(invoke(local_aws, function, {"do": "sleep", "seconds": 1})[0]["pid"])

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 3


def test_the_environment_is_the_templates_and_what_lambda_gives(
    local_aws: LocalAws, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    monkeypatch.setenv("OF_THE_DEVELOPER", "must not be seen")
    fresh = make_function(local_aws, ACCOUNT, CODE, Environment={"Variables": {"COLOUR": "green"}})
    found, _ = invoke(local_aws, fresh, {"do": "environment"})
    given = {
        "PATH", "LANG", "TZ", "LC_CTYPE", "_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT",
        "AWS_EXECUTION_ENV", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    }  # fmt: skip
    of_the_local_aws = {
        "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"
    }  # fmt: skip
    assert found.keys() - {"LC_CTYPE"} == given - {"LC_CTYPE"} | of_the_local_aws | {"COLOUR"}
    assert found["AWS_ENDPOINT_URL"] == local_aws.endpoint
    assert found["AWS_REGION"] == local_aws.region


def test_a_function_acts_with_its_execution_role(local_aws: LocalAws, function: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html"""
    role = local_aws.client("lambda", ACCOUNT).get_function(FunctionName=function)["Configuration"]["Role"]
    arn, _ = invoke(local_aws, function, {"do": "whoami"})
    assert arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rpartition('/')[2]}/{function}"


def test_a_role_that_does_not_trust_lambda_is_of_no_use(local_aws: LocalAws) -> None:
    name = make_function(local_aws, ACCOUNT, CODE)
    wrong = make_role(local_aws, ACCOUNT, "states.amazonaws.com", [])
    local_aws.client("lambda", ACCOUNT).update_function_configuration(FunctionName=name, Role=wrong)
    answer, error = invoke(local_aws, name, {})
    assert error == "Unhandled"
    assert "cannot be assumed by Lambda" in answer["errorMessage"]


def test_the_context_object(local_aws: LocalAws, function: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""
    (request_id, name, memory, arn, left, group, stream), _ = invoke(local_aws, function, {"do": "context"})
    assert len(request_id) == 36
    assert (name, memory) == (function, "256")
    assert arn == f"arn:aws:lambda:{local_aws.region}:{ACCOUNT}:function:{function}"
    assert 2000 < left <= 3000
    assert group == f"/aws/lambda/{function}"
    assert "[$LATEST]" in stream


def test_an_exception_is_told_by_its_class_and_text(local_aws: LocalAws, function: str) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html"""
    answer, error = invoke(local_aws, function, {"do": "raise", "what": "milk"})
    assert error == "Unhandled"
    assert answer["errorType"] == "LookupError"
    assert answer["errorMessage"] == "there is no milk"
    assert "handler.py" in answer["stackTrace"][0]


def test_an_answer_that_is_not_json(local_aws: LocalAws, function: str) -> None:
    answer, error = invoke(local_aws, function, {"do": "odd"})
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.MarshalError"


def test_a_function_that_takes_too_long_is_killed(local_aws: LocalAws, function: str) -> None:
    """``Sandbox.Timedout``: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html"""
    began = time.monotonic()
    answer, error = invoke(local_aws, function, {"do": "sleep", "seconds": 60})
    assert time.monotonic() - began < 10
    assert error == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert answer["errorMessage"].endswith("Error: Task timed out after 3.00 seconds")
    assert invoke(local_aws, function, {})[0]["invocations"] >= 1


def test_the_waits_of_the_sdk_can_be_cut(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of trouble need the tries of botocore, and not its waits."""
    code = """
import time, botocore.endpoint

def handler(event, context):
    began = time.monotonic()
    botocore.endpoint.time.sleep(2)
    return time.monotonic() - began
"""
    monkeypatch.setattr(local_aws.functions, "wait_factor", 0.01)
    hurried = local_aws.functions.invoke(ACCOUNT, make_function(local_aws, ACCOUNT, code), {})
    monkeypatch.undo()
    patient = local_aws.functions.invoke(ACCOUNT, make_function(local_aws, ACCOUNT, code), {})
    assert float(hurried.payload) < 2 <= float(patient.payload)


def test_a_process_that_ends_is_replaced(local_aws: LocalAws, function: str) -> None:
    answer, error = invoke(local_aws, function, {"do": "exit"})
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith("Runtime exited with error: exit status 3")
    assert invoke(local_aws, function, {})[1] is None


def test_killing_a_function_in_the_middle(local_aws: LocalAws, function: str) -> None:
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(invoke(local_aws, function, {"do": "sleep", "seconds": 2.5}))
    )
    thread.start()
    wait_for(lambda: local_aws.functions.kill(ACCOUNT, function), what="a busy process to kill")
    thread.join()
    ((answer, error),) = answers
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert "signal: killed" in answer["errorMessage"]


@pytest.mark.parametrize(
    ("code", "handler", "kind"),
    [
        ("import no_such_module", "handler.handler", "Runtime.ImportModuleError"),
        ("x = 1", "handler.handler", "Runtime.HandlerNotFound"),
        ("raise KeyError('at import')", "handler.handler", "KeyError"),
    ],
)
def test_a_function_that_cannot_be_loaded(local_aws: LocalAws, code: str, handler: str, kind: str) -> None:
    name = make_function(local_aws, ACCOUNT, code)
    answer, error = invoke(local_aws, name, {})
    assert error == "Unhandled"
    assert answer["errorType"] == kind


def test_an_asynchronous_invocation_answers_at_once(local_aws: LocalAws, function: str) -> None:
    began = time.monotonic()
    answer = local_aws.client("lambda", ACCOUNT).invoke(
        FunctionName=function, InvocationType="Event", Payload=json.dumps({"do": "sleep", "seconds": 2})
    )
    assert answer["StatusCode"] == 202
    assert time.monotonic() - began < 1.5


def test_what_a_function_writes_is_in_its_file_and_in_cloudwatch_logs(
    local_aws: LocalAws, function: str
) -> None:
    invoke(local_aws, function, {"do": "raise", "what": "butter"})
    logs = local_aws.client("logs", ACCOUNT)

    def written() -> bool:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
        return any("there is no butter" in event["message"] for event in events)

    wait_for(written, what="the log events")
    assert "LookupError: there is no butter" in local_aws.functions.log(function).read_text()


def test_a_changed_configuration_starts_new_processes(local_aws: LocalAws) -> None:
    name = make_function(local_aws, ACCOUNT, CODE, Environment={"Variables": {"COLOUR": "green"}})
    assert invoke(local_aws, name, {"do": "environment"})[0]["COLOUR"] == "green"
    local_aws.client("lambda", ACCOUNT).update_function_configuration(
        FunctionName=name, Environment={"Variables": {"COLOUR": "blue"}}
    )
    assert invoke(local_aws, name, {"do": "environment"})[0]["COLOUR"] == "blue"


def test_a_missing_function(local_aws: LocalAws, fresh: Callable[[str], str]) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        invoke(local_aws, fresh("none"), {})
