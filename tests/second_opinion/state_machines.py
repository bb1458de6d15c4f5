"""The state machines in a validator and two interpreters that are not ours: do the stories end the same?

Compared are the status, what was called with what, the error, its cause and the output. Calls are compared
without their order, because the items of a Map run side by side.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

from tests.infra import machine, stacks
from tests.second_opinion.parts import VENV
from tests.second_opinion.stories import STORIES, Answer, Story, answer_of

ENDPOINT: Final = "SECOND_OPINION_AWS"
"""Environment variable with the URL of LocalStack."""
MACHINES: Final = ("replicate", "reconcile")
_ACCOUNT = "111111111111"
_SCRIPT = Path(__file__).with_name("stories.mjs")
# aws-local-stepfunctions puts this in front of what a Fail state says, and gives its own class as the error.
_PREFIX, _THEIR_ERROR = "Execution has failed with the following error: ", "ExecutionError"


@dataclass(frozen=True)
class End:
    """How a story ended."""

    status: str
    error: str | None
    cause: str | None
    output: Any
    calls: list[tuple[str, Any]]


def definition(name: str) -> dict[str, Any]:
    """Read a state machine, with ARNs for its functions that any account could have."""
    text = json.dumps(stacks.definition(name))
    arn = rf"arn:aws:lambda:{stacks.REGION}:{_ACCOUNT}:function:\1"
    return dict(json.loads(re.sub(r"\$\{(\w+)FunctionArn\}", arn, text)))


def without_waits(made: dict[str, Any]) -> dict[str, Any]:
    """Let an interpreter that really waits wait for as little as it can."""
    for state in made["States"].values():
        for retry in state.get("Retry", []):
            retry.update(IntervalSeconds=1, MaxDelaySeconds=2, BackoffRate=1.0)
        if "ItemProcessor" in state:
            without_waits(state["ItemProcessor"])
    return made


def slug(name: str) -> str:
    """Give a story's name as LocalStack takes it for a test case."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def mocks() -> dict[str, Any]:
    """Give the file that ``SFN_MOCK_CONFIG`` of LocalStack names: what each task answers in each story."""
    cases: dict[str, Any] = {name: {"TestCases": {}} for name in MACHINES}
    responses: dict[str, Any] = {}
    for name, story in STORIES.items():
        case = cases[story.machine]["TestCases"][slug(name)] = {}
        for function, answers in story.functions.items():
            case[function] = f"{slug(name)}-{function}"
            last = len(answers) - 1
            responses[case[function]] = {
                str(i) if i < last else f"{i}-{i + 60}": _mock(answer) for i, answer in enumerate(answers)
            }
    return {"StateMachines": cases, "MockedResponses": responses}


def _mock(answer: Answer) -> dict[str, Any]:
    if "raise" in answer:
        kind, message = answer["raise"]
        cause = json.dumps({"errorMessage": message, "errorType": kind})
        return {"Throw": {"Error": kind, "Cause": cause}}
    return {"Return": {"StatusCode": 200, "Payload": answer["return"]}}


# ------------------------------------------------------------ the three interpreters


class _Function:
    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self._calls = 0
        self._lock = threading.Lock()

    def __call__(self, event: dict[str, Any], call: int) -> Any:
        with self._lock:
            answer = answer_of(self._answers, self._calls)
            self._calls += 1
        if "raise" in answer:
            kind, message = answer["raise"]
            raise type(kind, (Exception,), {})(message)
        return answer["return"]


@pytest.fixture(scope="module")
def ours() -> dict[str, End]:
    """How the stories end in the interpreter of the local AWS."""
    ends = {}
    for kind in MACHINES:
        with pytest.MonkeyPatch.context() as patch:
            for running in machine.running(patch, stacks.definition(kind)):
                for number, (name, story) in enumerate(STORIES.items()):
                    if story.machine == kind:
                        ends[name] = _play(running, f"story-{number}", story)
    return ends


def _play(running: machine.Machine, name: str, story: Story) -> End:
    running.calls.clear()
    running.functions = {name: _Function(answers) for name, answers in story.functions.items()}
    run = running.run(name, story.given)
    return End(run.status, run.error, run.cause, run.output, list(run.calls))


@pytest.fixture(scope="module")
def node() -> dict[str, Any]:
    """What the validator and the interpreter of npm say."""
    given = {
        "definitions": {name: definition(name) for name in MACHINES},
        "stories": {name: asdict(story) for name, story in STORIES.items()},
    }
    done = subprocess.run(
        ["node", str(_SCRIPT), str(VENV)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def localstack() -> Any:
    """Give a client of LocalStack's Step Functions."""
    return boto3.client(
        "stepfunctions",
        endpoint_url=os.environ[ENDPOINT],
        region_name=stacks.REGION,
        aws_access_key_id=_ACCOUNT,
        aws_secret_access_key="x",
        config=Config(max_pool_connections=40, inject_host_prefix=False),
    )


@pytest.fixture(scope="module")
def theirs(localstack: Any) -> dict[str, End]:
    """How the stories end in LocalStack."""
    arns = {
        name: localstack.create_state_machine(
            name=name,
            definition=json.dumps(without_waits(definition(name))),
            roleArn=f"arn:aws:iam::{_ACCOUNT}:role/any",
        )["stateMachineArn"]
        for name in MACHINES
    }

    def play(item: tuple[str, Story]) -> tuple[str, End]:
        name, story = item
        execution = localstack.start_execution(
            stateMachineArn=f"{arns[story.machine]}#{slug(name)}", input=json.dumps(story.given)
        )["executionArn"]
        return name, _ended(localstack, execution)

    with ThreadPoolExecutor(20) as pool:
        return dict(pool.map(play, STORIES.items()))


def _ended(client: Any, execution: str) -> End:
    while (found := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.2)
    pages = client.get_paginator("get_execution_history").paginate(executionArn=execution)
    events = [event for page in pages for event in page["events"]]
    given = [
        event["lambdaFunctionScheduledEventDetails"]
        for event in events
        if event["type"] == "LambdaFunctionScheduled"
    ]
    calls = [(one["resource"].rpartition(":")[2], json.loads(one["input"])) for one in given]
    output = json.loads(found["output"]) if "output" in found else None
    return End(found["status"], found.get("error"), found.get("cause"), output, calls)


# ------------------------------------------------------------ the comparison


def _cause(text: Any) -> Any:
    """Give the message of a cause: Lambda's is JSON, npm's interpreter gives the message alone."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return text.removeprefix(_PREFIX) if isinstance(text, str) else text
    return found["errorMessage"] if isinstance(found, dict) and "errorMessage" in found else text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _cause(v) if k == "Cause" else _plain(v) for k, v in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def compared(end: End, *, without_error: bool = False) -> dict[str, Any]:
    """Give what has to be the same in all interpreters."""
    calls = sorted(json.dumps(_plain(list(call)), sort_keys=True) for call in end.calls)
    return {
        "status": end.status,
        "error": None if without_error else end.error,
        "cause": _cause(end.cause),
        "output": _plain(end.output) if end.status == "SUCCEEDED" else None,
        "calls": calls,
    }


@pytest.mark.parametrize("name", MACHINES)
def test_the_validator_of_npm_has_no_objection(node: dict[str, Any], name: str) -> None:
    assert node["validation"][name] == []


@pytest.mark.parametrize("name", MACHINES)
def test_the_validator_of_localstack_has_no_objection(localstack: Any, name: str) -> None:
    said = localstack.validate_state_machine_definition(definition=json.dumps(definition(name)))
    assert (said["result"], said["diagnostics"]) == ("OK", [])


_NPM_IS_WRONG: Final = {
    "refused, odd reason": "it takes backslashes out of a value that States.Format puts in. Escapes are of the strings "
    "in a definition only (https://states-language.net/spec.html#intrinsic-functions); LocalStack keeps them, as we do",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=why, strict=True))
        if (why := _NPM_IS_WRONG.get(name))
        else name
        for name in STORIES
    ],
)
def test_the_interpreter_of_npm_ends_the_same(ours: dict[str, End], node: dict[str, Any], name: str) -> None:
    end = End(**node["ends"][name])
    without_error = end.error == _THEIR_ERROR
    assert compared(end, without_error=without_error) == compared(ours[name], without_error=without_error)


@pytest.mark.parametrize("name", STORIES)
def test_localstack_ends_the_same(ours: dict[str, End], theirs: dict[str, End], name: str) -> None:
    assert compared(theirs[name]) == compared(ours[name])
