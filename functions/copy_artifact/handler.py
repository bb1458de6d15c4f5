"""Copies one artifact of a package into the hub's bucket, or as much of it as an invocation has time for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from replicator.aws.artifacts import copy_artifact
from replicator.aws.sessions import Sessions
from replicator.counting import copied_artifact
from replicator.observability import count, logger, without_secrets
from replicator.settings import CopyArtifactSettings
from replicator.steps import CopyRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@without_secrets
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a `replicator.steps.CopyRequest`, answer a `replicator.steps.CopyAnswer`.

    Raises
    ------
    RetryableError, PermanentError
        The state machine matches the names of these two.
    """
    settings = CopyArtifactSettings.from_environment(os.environ)
    request = CopyRequest.model_validate(event)
    logger.append_keys(source_arn=request.source_arn, uri=request.copy_.uri)
    arn = settings.package(request.source_arn, os.environ["AWS_REGION"])
    answer = copy_artifact(
        request,
        settings,
        Sessions(arn.partition, arn.region),
        seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    if answer.result:
        logger.info("copied", extra={"result": answer.result.model_dump(mode="json")})
        count(copied_artifact(answer.result))
    elif answer.progress:
        why = "stopped by what may pass" if answer.progress.stopped else "stopped ahead of the deadline"
        logger.info(why, extra={"progress": answer.progress.model_dump()})
    return answer.model_dump(mode="json", by_alias=True)
