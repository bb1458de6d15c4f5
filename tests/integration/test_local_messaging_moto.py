"""What bare moto does where the local SQS, EventBridge, Step Functions and CloudWatch replace it.

A test that fails here says that a patch may go.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from local import metrics
from local.events import EventBridge
from local.functions import Functions
from local.queues import Queues
from local.state_machines import StateMachines
from tests.integration.conftest import ROOT

BARE = {
    "send_message": "taken",
    "send_message_batch": (
        "InvalidParameterValue: One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
    ),
    "delete_message_batch": "taken",
    "change_message_visibility_batch": "taken",
    "change_message_visibility": "ReceiptHandleIsInvalid: The input receipt handle is invalid.",
    "receive_message": False,
    "put_events": "ResourceNotFoundException: Event bus missing does not exist.",
    "describe_rule": "ResourceNotFoundException: Rule missing does not exist.",
    "remove_permission": "ResourceNotFoundException: EventBus does not have a policy.",
    "put_targets": ["taken", "taken"],
    "matches_event": False,
    "add_policy": 1,
    "filter": 1,
    "start_execution": "",
    "get_error_model": "InvalidParameterValue",
}
"""What moto answers where AWS answers something else, by the attribute that is replaced for it."""

WIRING = {
    "lambda_event_source_mappings": "moto would feed functions itself, one message at a time",
    "delete_message": "safe beside a sender, and without a search through the queue for each message",
    "send_to_targets": "replays come this way, and are delivered by the local EventBridge",
    "start_message_move_task": "moto has no move tasks",
    "list_message_move_tasks": "moto has no move tasks",
    "cancel_message_move_task": "moto has no move tasks",
    "invoke": "functions run in processes of their own",
    "stepfunctions_backends": "CloudFormation makes state machines where the engine finds them",
    "time": "waits before a retry can be shortened",
    "boto_client_for": "tasks call the local endpoint, with the role of the state machine",
    "_log_failure_event_exception": "moto writes the definition to the terminal",
    "parse": "a definition, and a path, is parsed once",
    "_from_error": "a failure of the engine itself, which needs a running local AWS: test_local_state_machines.py",
    "_verify_size_quota": "it marks an error for _eval_body",
    "_eval_body": "as before",
    "CustomErrorName": "as before",
    "stop": "as before",
    "set_error": "as before",
    "set_timed_out": "as before",
}
"""Replaced for another reason than an answer."""


@cache
def bare() -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.integration.bare_messaging"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("name", BARE)
def test_a_patch_is_needed_while_bare_moto_answers_otherwise(name: str) -> None:
    assert bare()[name] == BARE[name], f"moto changed: see whether {name} still has to be replaced"


@pytest.mark.parametrize(
    "name", ["start_message_move_task", "list_message_move_tasks", "cancel_message_move_task"]
)
def test_moto_has_no_move_tasks(name: str) -> None:
    code = f"from moto.sqs.responses import SQSResponse; print(hasattr(SQSResponse, {name!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.strip() == "False"


def test_every_patch_has_its_question_or_its_reason() -> None:
    replaced: set[str] = set()
    aws: Any = SimpleNamespace(patch=lambda owner, name, value: replaced.add(name))
    queues = Queues(aws)
    queues.install()
    queues.close()
    EventBridge(aws).install()
    StateMachines(aws).install()
    Functions(aws, 1).install()
    metrics.install(aws)
    assert replaced == BARE.keys() | WIRING.keys()
