"""``TestState`` of Step Functions, by moto's engine, which moto has and does not serve.

Not like the real service: a state that calls something is refused, because mocks and roles of a test are not known to
the engine.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.stepfunctions.parser.api import InspectionLevel
from moto.stepfunctions.parser.asl.eval.program_state import ProgramRunning
from moto.stepfunctions.parser.backend.state_machine import TestStateMachine
from moto.stepfunctions.parser.backend.test_state.execution import TestStateExecution
from moto.stepfunctions.responses import StepFunctionResponse

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from local.server import LocalAws

RULES: tuple[Rule, ...] = (
    Rule(
        "stepfunctions-test-state",
        "TestState plays one state with an input, and answers with its status, its output and the next state.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_TestState.html",
    ),
)
_CALLING = ("Task", "Map", "Parallel")


class _Communication(TestStateExecution.TestCaseExecutionWorkerCommunication):  # type: ignore[misc]
    """Takes a state with a ``Next`` for finished; the engine waits for the state machine's end."""

    def terminated(self) -> None:
        """Keep what a state leaves, and where it leads."""
        env = self.execution.exec_worker.env
        if isinstance(env.program_state(), ProgramRunning):
            self.execution.led_to = env.next_state_name
            self.execution.output = env.states.get_input()
        else:
            super().terminated()


class _Execution(TestStateExecution):  # type: ignore[misc]
    TestCaseExecutionWorkerCommunication = _Communication
    led_to: str | None = None


def install(aws: LocalAws) -> None:
    """Serve the operation."""

    def test_state(handler: StepFunctionResponse) -> str:
        # Not by _get_param, which reads the JSON inside.
        request = json.loads(handler.body)
        definition = request["definition"]
        if json.loads(definition).get("Type") in _CALLING:
            raise JsonRESTError("NotImplemented", "the local AWS tests no state that calls something")
        answer = _played(handler.current_account, handler.region, definition, request.get("input"))
        return json.dumps({name: value for name, value in answer.items() if value is not None})

    aws.patch(StepFunctionResponse, "test_state", test_state)


def _played(account: str, region: str, definition: str, given: str | None) -> dict[str, Any]:
    name = f"TestState-{uuid.uuid4()}"
    arn = f"arn:aws:states:{region}:{account}:stateMachine:{name}"
    execution = _Execution(
        name=name,
        role_arn="",
        exec_arn=f"{arn.replace(':stateMachine:', ':execution:')}:{name}",
        account_id=account,
        region_name=region,
        state_machine=TestStateMachine(name=name, arn=arn, definition=definition, role_arn=""),
        start_date=datetime.now(UTC),
        activity_store={},
        input_data=given or "{}",
    )
    execution.start()
    if execution.led_to is not None:
        output = json.dumps(execution.output, ensure_ascii=False)
        return {"status": "SUCCEEDED", "nextState": execution.led_to, "output": output}
    return dict(execution.to_test_state_output(inspection_level=InspectionLevel.INFO))
