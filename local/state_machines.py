"""Step Functions: moto's engine, calling the local services with the credentials of the state machine's role.

The engine runs each execution in a thread of its own, so executions run side by side and ``StartExecution``
returns at once. Corrected here: CloudFormation puts state machines where the engine finds them, and tasks
call the local endpoint with the state machine's role, or with the role in their ``Credentials``.

Not like the real service: JSONata, ``startExecution.sync:2``, redrive and express executions do not work.
"""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING, Any

import moto.stepfunctions.models as models
from botocore.config import Config
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.accounts import LocalSession, account_of, service_credentials

if TYPE_CHECKING:
    from local.server import LocalAws

_EXEC = "moto.stepfunctions.parser.asl.component.state.exec"
_CALLERS = (
    f"{_EXEC}.state_task.lambda_eval_utils",
    *(
        f"{_EXEC}.state_task.service.state_task_service_{service}"
        for service in ("aws_sdk", "dynamodb", "events", "sfn", "sns", "sqs", "unsupported")
    ),
)
# A task may last as long as its function; the engine, not the client, decides about trying again.
_CONFIG = Config(
    parameter_validation=False, retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=960
)


class StateMachines:
    """Runs the executions of all accounts."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock = threading.Lock()
        self.wait_factor = 1.0
        """By which every wait before a retry is multiplied. For tests only; 1 is as documented."""

    def install(self) -> None:
        """Let moto's engine call this local AWS."""
        machines = self

        class ScaledTime:
            """Stands for the module ``time`` where the engine waits before a retry."""

            @staticmethod
            def sleep(seconds: float) -> None:
                time.sleep(seconds * machines.wait_factor)

        self._aws.patch(models, "stepfunctions_backends", stepfunctions_parser_backends)
        self._aws.patch(retrier_decl, "time", ScaledTime)
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
