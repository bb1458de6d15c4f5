"""Plans a round of a run: what has to be copied, and whether anything has to be done at all."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.ledger import Ledger
from replicator.aws.registry import Registry
from replicator.aws.sessions import Reads, Sessions
from replicator.aws.slots import Slots
from replicator.errors import ErrorCode
from replicator.observability import logger, without_secrets
from replicator.operations.planning import Planning
from replicator.settings import PlanSettings
from replicator.steps import RunInput

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `replicator.steps.PlanAnswer` for a `replicator.steps.RunInput`."""
    settings = PlanSettings.from_environment(os.environ)
    run = RunInput.model_validate(event)
    logger.append_keys(source_arn=run.source_arn, attempt=run.attempt)
    arn = settings.package(run.source_arn, os.environ["AWS_REGION"])
    sessions = Sessions(arn.partition, arn.region)
    planning = Planning(
        policy=settings.policy(arn.partition, arn.region),
        ledger=Ledger(sessions.own, settings.ledger_table),
        slots=Slots(sessions.own, settings.spokes_table),
        spoke=lambda: Registry(
            sessions.spoke(arn.account, settings.spoke_role_name, Reads.VERSION),
            denied=ErrorCode.SOURCE_ACCESS_DENIED,
        ),
        now=lambda: datetime.now(UTC),
    )
    answer = planning.run(arn, run.attempt)
    logger.info("planned %s", answer.action, reason=answer.reason, copies=len(answer.copies))
    return answer.model_dump(mode="json")
