"""Writes the mirror into the hub's registry, after everything it points to was copied."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.bus import Bus
from replicator.aws.documents import Documents
from replicator.aws.ledger import Ledger
from replicator.aws.registry import Registry
from replicator.aws.sessions import Reads, Sessions
from replicator.aws.slots import Slots
from replicator.counting import registered
from replicator.errors import ErrorCode
from replicator.observability import count, logger, without_secrets
from replicator.operations.grouping import Groups
from replicator.operations.registering import Registering
from replicator.settings import RegisterSettings
from replicator.steps import RegisterRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `replicator.steps.RegisterAnswer` for a `replicator.steps.RegisterRequest`."""
    settings = RegisterSettings.from_environment(os.environ)
    request = RegisterRequest.model_validate(event)
    logger.append_keys(source_arn=request.source_arn, attempt=request.attempt)
    arn = settings.package(request.source_arn, os.environ["AWS_REGION"])
    sessions = Sessions(arn.partition, arn.region)
    policy = settings.policy(arn.partition, arn.region)
    hub = Registry(sessions.own, denied=ErrorCode.HUB_ACCESS_DENIED)
    spoke = Registry(
        sessions.spoke(arn.account, settings.spoke_role_name, Reads.VERSION),
        denied=ErrorCode.SOURCE_ACCESS_DENIED,
    )
    registering = Registering(
        policy=policy,
        ledger=Ledger(sessions.own, settings.ledger_table),
        slots=Slots(sessions.own, settings.spokes_table),
        spoke=spoke,
        hub=hub,
        groups=Groups(
            policy=policy,
            hub=hub,
            spoke=spoke,
            consumers=settings.consumers,
            follow_description=settings.follow_group_description,
            follow_tags=settings.follow_group_tags,
        ),
        documents=Documents(sessions.own, settings.hub_bucket, settings.hub_account),
        bus=Bus(sessions.own, settings.event_bus_name),
        hub_key_arn=settings.hub_key_arn,
        now=lambda: datetime.now(UTC),
    )
    answer = registering.run(request)
    logger.info("registered", status=answer.status, hub_arn=answer.hub_arn, again=answer.again)
    count(registered(request.plan.action, answer))
    return answer.model_dump(mode="json")
