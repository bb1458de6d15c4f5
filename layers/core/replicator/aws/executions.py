"""The executions of the state machine: which are running, and what became of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_stepfunctions.client import SFNClient

RUNNING: Final = "RUNNING"


class Executions:
    """Those of one state machine, by their names."""

    def __init__(self, session: boto3.Session, state_machine_arn: str) -> None:
        self._client: SFNClient = session.client("stepfunctions", config=client_config())
        self._machine = state_machine_arn

    def running(self) -> frozenset[str]:
        """List those that are running. A moment later one may be over, and another begun."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._machine, statusFilter=RUNNING
        )
        with in_hub(f"listing the executions of {self._machine}"):
            return frozenset(each["name"] for page in pages for each in page["executions"])

    def status(self, name: str) -> str | None:
        """Give an execution's status, as ``RUNNING`` or ``ABORTED``; None when there is none of that name.

        90 days after their end Step Functions forgets them:
        https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
        """
        arn = self._machine.replace(":stateMachine:", ":execution:") + f":{name}"
        with in_hub(f"describing {arn}"):
            try:
                return self._client.describe_execution(executionArn=arn)["status"]
            except self._client.exceptions.ExecutionDoesNotExist:
                return None
