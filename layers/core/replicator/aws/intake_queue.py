"""The intake queue, as its senders see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config
from replicator.errors import ErrorCode, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import boto3
    from mypy_boto3_sqs.client import SQSClient

# SendMessageBatch: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_BATCH = 10
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


class IntakeQueue:
    """One queue.

    Parameters
    ----------
    session
        The function's own.
    sleep
        Waits before what the queue did not take is sent again.
    """

    def __init__(self, session: boto3.Session, url: str, sleep: Callable[[float], None]) -> None:
        self._client: SQSClient = session.client("sqs", config=client_config())
        self._url = url
        self._sleep = sleep

    def backlog(self) -> int:
        """Say how many messages wait to be taken. About so many: SQS counts roughly.

        Those that are delayed wait for something else: for a run of their own spoke to end, which holds up no other.
        """
        with in_hub(f"counting the messages in {self._url}"):
            answer = self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessages"]
            )
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])

    def send(self, bodies: Sequence[str]) -> None:
        """Send messages, in batches. Raises `RetryableError` when the queue does not take them all."""
        for start in range(0, len(bodies), _BATCH):
            self._send_batch(bodies[start : start + _BATCH])

    def _send_batch(self, bodies: Sequence[str]) -> None:
        rest = dict(enumerate(bodies))
        said = None
        for pause in (*_PAUSES, None):
            with in_hub(f"sending {len(rest)} messages to {self._url}"):
                answer = self._client.send_message_batch(
                    QueueUrl=self._url,
                    Entries=[{"Id": str(i), "MessageBody": body} for i, body in rest.items()],
                )
            failed = answer.get("Failed", [])
            if not failed:
                return
            rest = {int(each["Id"]): rest[int(each["Id"])] for each in failed}
            said = f"{failed[0].get('Code')}: {failed[0].get('Message')}"
            if pause is not None:
                self._sleep(pause)
        raise RetryableError(
            ErrorCode.SERVICE_UNAVAILABLE, f"{self._url} did not take {len(rest)} messages: {said}"
        )
