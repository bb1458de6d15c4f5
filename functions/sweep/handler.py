"""Ends what died on its way, every quarter of an hour: runs, dead letters, uploads, slots."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.bus import Bus
from replicator.aws.executions import Executions
from replicator.aws.ledger import Ledger
from replicator.aws.open_uploads import OpenUploads
from replicator.aws.sessions import client_config, new_session
from replicator.aws.slots import Slots
from replicator.counting import swept
from replicator.observability import count, logger, without_secrets
from replicator.operations.failing import Ending
from replicator.operations.sweeping import Sweep
from replicator.settings import SweepSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `replicator.operations.sweeping.SweepAnswer`. It takes nothing from the event."""
    settings = SweepSettings.from_environment(os.environ)
    session = new_session()
    ledger = Ledger(session, settings.ledger_table)
    slots = Slots(session, settings.spokes_table)
    sweep = Sweep(
        ledger=ledger,
        slots=slots,
        executions=Executions(session, settings.state_machine_arn),
        uploads=OpenUploads(session, settings.hub_bucket, settings.hub_account),
        ending=Ending(
            ledger=ledger,
            slots=slots,
            sqs=session.client("sqs", config=client_config()),
            bus=Bus(session, settings.event_bus_name),
            dead_letter_queue_url=settings.dead_letter_queue_url,
        ),
        partition=settings.state_machine_arn.split(":")[1],
        region=os.environ["AWS_REGION"],
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    answer = sweep.run(datetime.now(UTC))
    for problem in answer.problems:
        logger.error("left to the next sweep", reason=problem)
    logger.info("swept", **answer.model_dump(mode="json", exclude={"problems"}))
    count(swept(answer.running, answer.oldest_seconds, answer.gone, answer.letters, answer.uploads))
    return answer.model_dump(mode="json")
