"""Ends a run that failed: notes it, puts its event into the dead-letter queue, and says so on the bus."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.bus import Bus
from replicator.aws.ledger import Ledger
from replicator.aws.sessions import client_config, new_session
from replicator.aws.slots import Slots
from replicator.counting import failed
from replicator.observability import count, logger, without_secrets
from replicator.operations.failing import Ending, Failing, FailureRequest
from replicator.settings import RecordFailureSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `FailureAnswer` for a `FailureRequest`, see `replicator.operations.failing`."""
    settings = RecordFailureSettings.from_environment(os.environ)
    request = FailureRequest.model_validate(event)
    logger.append_keys(source_arn=request.source_arn, attempt=request.attempt)
    session = new_session()
    ledger = Ledger(session, settings.ledger_table)
    ending = Ending(
        ledger=ledger,
        slots=Slots(session, settings.spokes_table),
        sqs=session.client("sqs", config=client_config()),
        bus=Bus(session, settings.event_bus_name),
        dead_letter_queue_url=settings.dead_letter_queue_url,
    )
    answer = Failing(ledger, ending).run(request, datetime.now(UTC))
    logger.error(
        "run failed", status=answer.status, code=answer.code, reason=answer.reason, again=answer.again
    )
    count(failed(answer.status, answer.code))
    return answer.model_dump(mode="json")
