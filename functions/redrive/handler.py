"""Lists dead letters and sends them back to the intake queue: all, or by code, spoke or model package."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.sessions import client_config, new_session
from replicator.observability import logger, without_secrets
from replicator.operations.redriving import Redrive, RedriveRequest
from replicator.settings import RedriveSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `RedriveAnswer` for a `RedriveRequest`, see `replicator.operations.redriving`."""
    settings = RedriveSettings.from_environment(os.environ)
    redrive = Redrive(
        sqs=new_session().client("sqs", config=client_config()),
        dead_letter_queue_url=settings.dead_letter_queue_url,
        intake_queue_url=settings.intake_queue_url,
    )
    answer = redrive.run(
        RedriveRequest.model_validate(event or {}),
        datetime.now(UTC),
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    logger.info("redriven", **answer.model_dump(mode="json", exclude={"letters"}))
    for letter in answer.letters:
        if letter.deleted:
            logger.warning("deleted", letter=letter.model_dump(mode="json"))
    return answer.model_dump(mode="json")
