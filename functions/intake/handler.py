"""Takes "SageMaker Model Package State Change" events from the intake queue."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from replicator.aws.ledger import Ledger
from replicator.aws.sessions import client_config, new_session
from replicator.aws.slots import Slots
from replicator.counting import taken
from replicator.observability import count, logger, without_secrets
from replicator.operations.intake import DEFERRED, Intake
from replicator.settings import IntakeSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


def _take(record: SQSRecord, intake: Intake) -> None:
    attributes = record.get("messageAttributes") or {}
    deferred = int(attributes.get(DEFERRED, {}).get("stringValue", 0))
    receives = int((record.get("attributes") or {}).get("ApproximateReceiveCount", 1))
    last = receives >= intake.settings.max_receives
    became = intake.take(record.body, datetime.now(UTC), deferred, last=last)
    logger.info(
        "event %s", became.outcome, source_arn=became.source_arn, code=became.code, reason=became.reason
    )
    count(taken(became.outcome, became.code))


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Take a batch of messages in; those that have to come again are named in the answer."""
    settings = IntakeSettings.from_environment(os.environ)
    session = new_session()
    intake = Intake(
        settings=settings,
        region=os.environ["AWS_REGION"],
        ledger=Ledger(session, settings.ledger_table),
        slots=Slots(session, settings.spokes_table),
        sqs=session.client("sqs", config=client_config()),
        states=session.client("stepfunctions", config=client_config()),
    )
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(
        event=event, record_handler=partial(_take, intake=intake), processor=processor, context=context
    )
