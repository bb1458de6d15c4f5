"""Step Functions: moto's engine, calling the local services with the credentials of the state machine's role.

The engine runs each execution in a thread of its own, so executions run side by side and ``StartExecution``
returns at once. Corrected here: CloudFormation puts state machines where the engine finds them, and tasks
call the local endpoint with the state machine's role, or with the role in their ``Credentials``.

A stopped execution is ``ABORTED`` at once, and stays so, as one that timed out stays ``TIMED_OUT``, whatever
the task that was going on then comes to.

Not like the real service: JSONata, ``startExecution.sync:2``, redrive and express executions do not work.
"""

from __future__ import annotations

import importlib
import json
import pickle
import threading
import time
import uuid
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

import moto.stepfunctions.models as models
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.core.exceptions import JsonRESTError
from moto.stepfunctions.parser.api import HistoryEventType, LambdaFunctionFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.component.state.fail import state_fail
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails
from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped, ProgramTimedOut
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.models import StepFunctionsParserBackend, stepfunctions_parser_backends

from local.accounts import LocalSession, account_of, service_credentials
from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "states-same-execution",
        "The same name and input of an execution that runs is that execution; other input is refused.",
        Evidence.RECORDED,
        "stepfunctions/start-execution.json",
    ),
    Rule(
        "states-input",
        "Input that is not JSON is an InvalidExecutionInput.",
        Evidence.RECORDED,
        "stepfunctions/start-execution.json",
    ),
    Rule(
        "states-stop",
        "A stopped execution is ABORTED at once.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html",
    ),
    Rule(
        "states-lambda-errors",
        "Errors of Lambda itself have a name that begins with Lambda.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html",
    ),
    Rule(
        "states-uncaught",
        "States.ALL does not stand for States.Runtime, nor for States.DataLimitExceeded outside of a Lambda task.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html",
    ),
    Rule(
        "states-large-answer-of-lambda",
        "States.ALL of a Lambda task stands for the States.DataLimitExceeded of an answer that is too large "
        "(recorded 2024-03-21, against the documentation). Outside of the task the documentation is followed.",
        Evidence.RECORDED,
        "stepfunctions/lambda-errors.json",
    ),
    Rule(
        "states-errors-of-a-map",
        "An error of Step Functions in an item of a Map, such as States.Timeout, is the Map's error.",
        Evidence.RECORDED,
        "stepfunctions/lambda-errors.json",
    ),
    Rule(
        "states-roles",
        "Tasks call with the role of the state machine, which has to trust Step Functions.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html",
    ),
)

_EXEC = "moto.stepfunctions.parser.asl.component.state.exec"
_CALLERS = (
    f"{_EXEC}.state_task.lambda_eval_utils",
    *(
        f"{_EXEC}.state_task.service.state_task_service_{service}"
        for service in ("aws_sdk", "dynamodb", "events", "sfn", "sns", "sqs", "unsupported")
    ),
)
NAMING = (state_fail, iteration_worker)
"""Modules of moto whose ``CustomErrorName`` refuses errors of Step Functions' own; `named_error` takes its place."""
_from_error = StateTaskLambda._from_error
_check_size = StateTaskLambda._verify_size_quota
_equals = ErrorEqualsDecl._eval_body
_UNCAUGHT = (StatesErrorNameType.StatesRuntime, StatesErrorNameType.StatesStatesDataLimitExceeded)
_parse = AmazonStateLanguageParser.parse
_start = StepFunctionsParserBackend.start_execution
_stop = Execution.stop
_set_error, _set_timed_out = Environment.set_error, Environment.set_timed_out
# A task may last as long as its function; the engine, not the client, decides about trying again.
_CONFIG = Config(
    parameter_validation=False,
    retries={"total_max_attempts": 1},
    connect_timeout=10,
    read_timeout=960,
    max_pool_connections=500,  # a task of every execution at a time
)


class _Parsed:
    """Parses a definition once; every execution gets a copy, because the engine notes its way in it.

    The engine would parse again for each execution, which took two fifths of the local AWS's time under load.
    """

    def __init__(self) -> None:
        self._programs: dict[str, bytes] = {}

    def __call__(self, definition: str) -> tuple[Any, None]:
        """Give what the engine executes; nobody here uses the syntax tree that moto gives too."""
        if definition not in self._programs:
            self._programs[definition] = pickle.dumps(_parse(definition)[0])
        return pickle.loads(self._programs[definition]), None  # noqa: S301  (made two lines above)


class StateMachines:
    """Runs the executions of all accounts."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock = threading.Lock()
        self.wait_factor = 1.0
        """By which every wait before a retry is multiplied. For tests only; 1 is as documented."""
        self.waits: list[float] = []
        """Every wait before a retry, in seconds, before it was multiplied."""

    def install(self) -> None:
        """Let moto's engine call this local AWS."""
        machines = self

        class ScaledTime:
            """Stands for the module ``time`` where the engine waits before a retry."""

            @staticmethod
            def sleep(seconds: float) -> None:
                machines.waits.append(seconds)
                time.sleep(seconds * machines.wait_factor)

        self._aws.patch(models, "stepfunctions_backends", stepfunctions_parser_backends)
        self._aws.patch(retrier_decl, "time", ScaledTime)
        self._aws.patch(StateTaskLambda, "_from_error", _lambda_error)
        self._aws.patch(StateTaskLambda, "_verify_size_quota", _answer_fits)
        self._aws.patch(ErrorEqualsDecl, "_eval_body", _error_equals)
        for module in NAMING:
            self._aws.patch(module, "CustomErrorName", named_error)
        # The history has every failure; moto would also write the whole definition to the terminal.
        self._aws.patch(
            EvalComponent, "_log_failure_event_exception", lambda component, failure_event_exception: None
        )
        self._aws.patch(AmazonStateLanguageParser, "parse", staticmethod(_Parsed()))
        self._aws.patch(json_path, "parse", lru_cache(maxsize=1024)(json_path.parse))
        self._aws.patch(StepFunctionsParserBackend, "start_execution", _start_execution)
        self._aws.patch(Execution, "stop", _stopped_at_once)
        self._aws.patch(Environment, "set_error", _unless_over(_set_error))
        self._aws.patch(Environment, "set_timed_out", _unless_over(_set_timed_out))
        for name in _CALLERS:
            self._aws.patch(importlib.import_module(name), "boto_client_for", self._client_for)

    def close(self) -> None:
        """Forget the clients. Executions that still run fail at their next call."""
        self.forget()

    def forget(self) -> None:
        """Make new clients from now on, because the credentials of the old ones are gone."""
        with self._lock:
            self._clients.clear()

    def _client_for(self, region: str, service: str, state_credentials: Any = None) -> Any:
        key = (region, service, state_credentials.role_arn)
        with self._lock:
            if key not in self._clients:
                self._check_trust(state_credentials.role_arn, region)
                credentials = service_credentials(state_credentials.role_arn, "states", region)
                session = LocalSession(self._aws.endpoint, region, credentials)
                self._clients[key] = session.client(service, config=_CONFIG)
            return self._clients[key]

    def _check_trust(self, role: str, region: str) -> None:
        """Let only a role through that trusts Step Functions for one of the state machines that have it."""
        machines = stepfunctions_parser_backends[account_of(role)][region].state_machines
        for arn in [machine.arn for machine in machines if machine.roleArn == role]:
            trusted = self._aws.authority.authorize_service(
                "states.amazonaws.com", "sts:AssumeRole", role, source_arn=arn
            )
            if not trusted.allowed:
                raise PermissionError(f"Step Functions cannot assume {role} {trusted.reason}")


def _lambda_error(task: Any, env: Any, ex: Exception) -> Any:
    """Name what Lambda itself answered as Step Functions names it; a function's own errors are moto's matter.

    https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
    """
    if not isinstance(ex, ClientError):
        return _from_error(task, env, ex)
    code = ex.response["Error"]["Code"]
    known = code in ("TooManyRequestsException", "ServiceException", "ClientExecutionTimeoutException")
    error = f"Lambda.{code if known else 'AWSLambdaException'}"
    details = LambdaFunctionFailedEventDetails(error=error, cause=ex.response["Error"]["Message"])
    return FailureEvent(
        env=env,
        error_name=CustomErrorName(error),
        event_type=HistoryEventType.LambdaFunctionFailed,
        event_details=EventDetails(lambdaFunctionFailedEventDetails=details),
    )


class _LargeAnswer(StatesErrorName):  # type: ignore[misc] # moto has no types
    """``States.DataLimitExceeded`` of a Lambda task's answer, as long as it has not left the task."""

    def __init__(self) -> None:
        super().__init__(typ=StatesErrorNameType.StatesStatesDataLimitExceeded)


def _answer_fits(task: Any, env: Any, value: Any) -> None:
    """Refuse an answer that is too large as moto does, and mark the error as that of a Lambda task."""
    try:
        _check_size(task, env, value)
    except FailureEventException as error:
        failure = error.failure_event
        marked = FailureEvent(env, _LargeAnswer(), failure.event_type, failure.event_details)
        raise FailureEventException(failure_event=marked) from error


def _error_equals(declared: Any, env: Any) -> None:
    """Compare as moto does, but ``States.ALL`` does not stand for the two errors of `_UNCAUGHT`.

    Except for a Lambda task's answer that is too large, which AWS was recorded to catch.
    https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    """
    error = env.stack[-1]
    terminal = error in [StatesErrorName(typ=kind) for kind in _UNCAUGHT]
    uncaught = terminal and not isinstance(error, _LargeAnswer)
    everything = ErrorEqualsDecl._STATE_ALL_ERROR in declared.error_names
    if uncaught and everything:
        env.stack[-1] = False
        return
    _equals(declared, env)


def named_error(error_name: str | None) -> Any:
    """Let a Fail state and an item of a Map fail with an error of Step Functions' own, too."""
    if error_name is not None and error_name.startswith("States."):
        return StatesErrorName(typ=StatesErrorNameType.from_name(error_name))
    return CustomErrorName(error_name)


def _start_execution(
    backend: Any,
    state_machine_arn: str,
    name: str | None = None,
    execution_input: str | None = None,
    *more: Any,
) -> Any:
    """Start as moto does, but make up a name where the caller gives none, and refuse input that is not JSON."""
    try:
        json.loads(execution_input or ("{}" if execution_input is None else ""))
    except ValueError as error:
        said = str(error) if execution_input else "Invalid execution input."
        text = f"Invalid State Machine Execution Input: '{said}'"
        raise JsonRESTError("InvalidExecutionInput", text) from error
    return _start(backend, state_machine_arn, name or str(uuid.uuid4()), execution_input, *more)


def _stopped_at_once(execution: Any, *args: Any, **kwargs: Any) -> None:
    """Stop without waiting for the task that is going on; with moto the execution is RUNNING until its end.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html
    """
    _stop(execution, *args, **kwargs)
    BaseExecutionWorkerCommunication(execution)._reflect_execution_status()


def _unless_over(old: Any) -> Any:
    """Let what is stopped or has timed out be neither failed nor timed out afterwards."""

    @wraps(old)
    def ending(env: Any, *args: Any, **kwargs: Any) -> None:
        with env._state_mutex:
            if not isinstance(env._program_state, ProgramStopped | ProgramTimedOut):
                old(env, *args, **kwargs)

    return ending
