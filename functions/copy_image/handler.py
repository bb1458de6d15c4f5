"""Copies one image of a model package into the hub's registry, as far as the invocation's time goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from replicator.aws.images import mirror_image
from replicator.aws.sessions import Sessions
from replicator.counting import copied_image
from replicator.observability import count, logger, without_secrets
from replicator.settings import CopyImageSettings
from replicator.steps import CopyRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SECONDS_TO_ANSWER = 10
"""Kept back at the end of an invocation."""


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer with `replicator.steps.CopyAnswer` for a `replicator.steps.CopyRequest`."""
    settings = CopyImageSettings.from_environment(os.environ)
    request = CopyRequest.model_validate(event)
    logger.append_keys(source_arn=request.source_arn, image=request.copy_.uri)
    arn = settings.package(request.source_arn, os.environ["AWS_REGION"])
    done = mirror_image(
        request,
        settings,
        Sessions(arn.partition, arn.region),
        time_left=lambda: context.get_remaining_time_in_millis() / 1000 - SECONDS_TO_ANSWER,
    )
    outcome = done.outcome
    for reason in outcome.left_behind:
        logger.warning("something that refers to the image was left behind", reason=reason)
    if outcome.stopped:
        logger.warning("the copy stopped for now", reason=outcome.stopped)
    logger.info(
        "image %s",
        "already there" if outcome.already_there else "copied" if outcome.done else "copied in part",
        digest=outcome.digest,
        bytes_copied=outcome.streamed,
        bytes_there=outcome.moved,
        bytes_in_all=outcome.total,
        referrers=outcome.referrers,
    )
    count(copied_image(outcome.streamed, whole=outcome.done and not outcome.already_there))
    return done.answer.model_dump(mode="json", by_alias=True)
