"""Runs the state machine's definition in moto's engine, with the functions' answers given by a test."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl

from local.state_machines import NAMING, named_error
from replicator.steps import Action, ArtifactCopy, ImageCopy, PlanAnswer
from tests.infra import stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

SOURCE = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/churn/1"
ARTIFACT = ArtifactCopy(uri="s3://b/k", type="object", destination="models/111111111111/churn/1/")
IMAGE = ImageCopy(uri="111111111111.dkr.ecr.eu-west-1.amazonaws.com/i:1", repository="ns/111111111111/i")


class NoWait:
    """Stands for the module ``time`` where the engine waits before it tries again."""

    @staticmethod
    def sleep(seconds: float) -> None:
        """Do not wait."""


def plan(
    action: Action, *copies: ArtifactCopy | ImageCopy, again: bool = False, **more: Any
) -> dict[str, Any]:
    """Give an answer of the plan function."""
    answer = PlanAnswer(action=action, reason="so it is", wanted=1, copies=list(copies), again=again, **more)
    return answer.model_dump(mode="json")


def copied(event: dict[str, Any]) -> dict[str, Any]:
    """Give the answer of a copy function that is done."""
    return {"done": True, "result": {"uri": event["copy"]["uri"]}, "progress": None}


@dataclass
class Run:
    """How an execution ended, and what it called on the way."""

    status: str
    error: str | None
    cause: str | None
    calls: list[tuple[str, dict[str, Any]]]
    output: Any = None

    @property
    def names(self) -> list[str]:
        """Give the names of the functions that were called, in order."""
        return [name for name, _ in self.calls]

    def given(self, name: str) -> list[dict[str, Any]]:
        """Give what a function was called with, each time."""
        return [event for each, event in self.calls if each == name]


@dataclass
class Machine:
    """The definition and its functions. Each function takes its event and the number of its call, from 1."""

    functions: dict[str, Callable[[dict[str, Any], int], Any]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Answer as if all went well, until a test says otherwise."""
        self.functions |= {
            "CopyArtifact": lambda event, call: copied(event),
            "CopyImage": lambda event, call: copied(event),
            "Register": lambda event, call: {"again": False, "status": "Completed"},
            "RecordFailure": lambda event, call: {"again": False},
        }

    def invoke(self, name: str, event: dict[str, Any]) -> tuple[bool, str]:
        """Call a function: whether it answered, and the answer or the error as Lambda reports it."""
        self.calls.append((name, event))
        try:
            answer = self.functions[name](event, [each for each, _ in self.calls].count(name))
        except Exception as error:
            report = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
            return False, json.dumps(report)
        return True, json.dumps(answer)

    def run(self, name: str = "run", given: dict[str, Any] | None = None) -> Run:
        """Run to the end; without an input of its own, for `SOURCE`."""
        states = boto3.client("stepfunctions", region_name=stacks.REGION)
        (machine,) = states.list_state_machines()["stateMachines"]
        execution = states.start_execution(
            stateMachineArn=machine["stateMachineArn"],
            name=name,
            input=json.dumps(given or {"source_arn": SOURCE, "attempt": 1}),
        )["executionArn"]
        for _ in range(1000):
            found = states.describe_execution(executionArn=execution)
            if found["status"] != "RUNNING":
                output = json.loads(found["output"]) if "output" in found else None
                return Run(found["status"], found.get("error"), found.get("cause"), self.calls, output)
            time.sleep(0.02)
        raise AssertionError(f"the run does not end; it called {[name for name, _ in self.calls]}")


def running(monkeypatch: pytest.MonkeyPatch, definition: dict[str, Any] | None = None) -> Iterator[Machine]:
    """Set the definition up, with functions that answer as the test tells the machine."""
    machine = Machine()

    def invoke(
        backend: Any, function_name: str, qualifier: Any, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        fine, answer = machine.invoke(function_name.rpartition(":")[2], json.loads(body))
        if not fine:
            response_headers["x-amz-function-error"] = "Unhandled"
        return answer.encode()

    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
    monkeypatch.setattr(retrier_decl, "time", NoWait)
    for module in NAMING:
        monkeypatch.setattr(module, "CustomErrorName", named_error)
    config: Any = {"lambda": {"use_docker": False}, "stepfunctions": {"execute_state_machine": True}}
    with mock_aws(config=config):
        _create(definition or stacks.definition())
        yield machine


def _create(definition: dict[str, Any]) -> None:
    role = boto3.client("iam", region_name=stacks.REGION).create_role(
        RoleName="any", AssumeRolePolicyDocument="{}"
    )["Role"]["Arn"]
    functions = boto3.client("lambda", region_name=stacks.REGION)
    text = json.dumps(definition)
    arns = {
        name: functions.create_function(
            FunctionName=name, Runtime="python3.13", Role=role, Handler="h.h", Code={"ZipFile": b""}
        )["FunctionArn"]
        for name in set(re.findall(r"\$\{(\w+)FunctionArn\}", text))
    }
    boto3.client("stepfunctions", region_name=stacks.REGION).create_state_machine(
        name="replicate",
        definition=re.sub(r"\$\{(\w+)FunctionArn\}", lambda found: arns[found[1]], text),
        roleArn=role,
    )
