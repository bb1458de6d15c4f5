"""The intake queue's sender, against SQS as it answers batches with a bad entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.aws.intake_queue import IntakeQueue
from tests.integration.conftest import HUB, receive_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws


def test_a_message_that_sqs_refuses_for_good_is_told_and_not_sent_again(
    local_aws: LocalAws, fresh: Callable[[str], str]
) -> None:
    url = local_aws.client("sqs", HUB).create_queue(QueueName=fresh("intake"))["QueueUrl"]
    pauses: list[float] = []
    bodies = [f"good {number}" for number in range(12)]
    bodies[3] = bodies[11] = "bad \x00"
    refused = IntakeQueue(local_aws.session(HUB), url, pauses.append).send(bodies)
    assert sorted(refused) == [3, 11]
    assert all(why.startswith("InvalidMessageContents: ") for why in refused.values())
    assert pauses == []
    sent = sorted(message["Body"] for message in receive_all(local_aws, HUB, url))
    assert sent == sorted(body for body in bodies if body.startswith("good"))
