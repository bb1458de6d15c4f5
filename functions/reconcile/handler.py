"""Compares the spokes' registries, the ledger and the mirrors, and asks for runs where something is wrong."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from replicator.aws.intake_queue import IntakeQueue
from replicator.aws.ledger_pages import LedgerPages
from replicator.aws.registry import Registry
from replicator.aws.sessions import Reads, Sessions, new_session
from replicator.aws.slots import Slots
from replicator.counting import reconciled
from replicator.errors import ErrorCode
from replicator.observability import count, logger, without_secrets
from replicator.operations.comparing import Comparing
from replicator.operations.feeding import Budget, Feeder
from replicator.operations.reconciling import Reconciling
from replicator.reconciliation import FINDINGS_MOST, ReconcileRequest, selected_accounts
from replicator.settings import ReconcileSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from replicator.reconciliation import ReconcileAnswer

SECONDS_MOST = 60.0
"""Of work in one invocation, so that the execution shows how far it is."""
SECONDS_TO_ANSWER = 60.0
"""Kept back at the end of an invocation: a page is finished once it is begun."""


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `ReconcileAnswer` for a `ReconcileRequest`, see `replicator.reconciliation`."""
    settings = ReconcileSettings.from_environment(os.environ)
    request = ReconcileRequest.model_validate(event)
    seconds_left = context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_ANSWER
    budget = Budget(time.monotonic, time.sleep, time.monotonic() + min(SECONDS_MOST, seconds_left))
    answer = _reconcile(request, settings, budget)
    for finding in answer.findings:
        logger.info("found", **finding.model_dump(mode="json"), dry_run=request.dry_run)
    logger.info("reconciled", done=answer.done, wait=answer.wait, totals=answer.totals.model_dump())
    count(reconciled(request, answer))
    shown = answer.findings if request.dry_run else answer.findings[:FINDINGS_MOST]
    return answer.model_copy(update={"findings": shown}).model_dump(mode="json")


def _reconcile(request: ReconcileRequest, settings: ReconcileSettings, budget: Budget) -> ReconcileAnswer:
    own, region = new_session(), os.environ["AWS_REGION"]
    sessions = Sessions(own.get_partition_for_region(region), region, own)
    policy = settings.policy(sessions.partition, sessions.region)
    slots = Slots(sessions.own, settings.spokes_table)
    seen = [] if settings.spoke_accounts or request.accounts else slots.accounts()
    ledger = LedgerPages(sessions.own, settings.ledger_table, time.sleep)
    reconciling = Reconciling(
        policy=policy,
        ledger=ledger,
        spoke=lambda account: Registry(
            sessions.spoke(account, settings.spoke_role_name, Reads.REGISTRY),
            denied=ErrorCode.SOURCE_ACCESS_DENIED,
        ),
        comparing=Comparing(
            ledger=ledger,
            hub=Registry(sessions.own, denied=ErrorCode.HUB_ACCESS_DENIED),
            mirrored=policy.hub_approval_status == "Mirrored",
            budget=budget,
            now=lambda: datetime.now(UTC),
        ),
        feeder=Feeder(
            queue=IntakeQueue(sessions.own, settings.intake_queue_url, time.sleep),
            running=lambda account: len(slots.running(account)),
            runs_per_spoke=settings.runs_per_spoke,
            budget=budget,
        ),
        budget=budget,
    )
    accounts = selected_accounts(request.accounts, settings.spoke_accounts, seen, settings.hub_account)
    return reconciling.run(request, accounts)
