"""Ends a run that failed: notes it, puts its event into the dead-letter queue, and says so on the bus."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from replicator.aws.bus import Bus
from replicator.aws.ledger import Ledger
from replicator.aws.sessions import client_config, new_session
from replicator.observability import logger, metrics
from replicator.operations.failing import Failing, FailureRequest
from replicator.settings import RecordFailureSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `FailureAnswer` for a `FailureRequest`, see `replicator.operations.failing`."""
    settings = RecordFailureSettings.from_environment(os.environ)
    request = FailureRequest.model_validate(event)
    logger.append_keys(source_arn=request.source_arn, attempt=request.attempt)
    session = new_session()
    failing = Failing(
        ledger=Ledger(session, settings.ledger_table),
        sqs=session.client("sqs", config=client_config()),
        bus=Bus(session, settings.event_bus_name),
        dead_letter_queue_url=settings.dead_letter_queue_url,
    )
    answer = failing.run(request, datetime.now(UTC))
    metrics.add_dimension(name="code", value=answer.code)
    metrics.add_metric("RunsFailed", MetricUnit.Count, 1)
    logger.error("run failed", code=answer.code, reason=answer.reason, again=answer.again)
    return answer.model_dump(mode="json")
