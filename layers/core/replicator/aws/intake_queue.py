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
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

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

    def send(self, bodies: Sequence[str]) -> dict[int, str]:
        """Send messages, in batches.

        Returns
        -------
        Why SQS refused a message for good, by its place in ``bodies``; the others are sent.

        Raises
        ------
        RetryableError
            When the queue does not take all the others.
        """
        refused: dict[int, str] = {}
        for start in range(0, len(bodies), _BATCH):
            batch = dict(enumerate(bodies[start : start + _BATCH], start))
            refused |= self._send_batch(batch)
        return refused

    def _send_batch(self, bodies: dict[int, str]) -> dict[int, str]:
        rest, refused, said = dict(bodies), dict[int, str](), ""
        for pause in (*_PAUSES, None):
            with in_hub(f"sending {len(rest)} messages to {self._url}"):
                answer = self._client.send_message_batch(
                    QueueUrl=self._url,
                    Entries=[{"Id": str(i), "MessageBody": body} for i, body in rest.items()],
                )
            failed = {int(each["Id"]): each for each in answer.get("Failed", [])}
            # The sender's own fault does not pass:
            # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_BatchResultErrorEntry.html
            refused |= {i: _why(each) for i, each in failed.items() if each["SenderFault"]}
            rest = {i: rest[i] for i in failed.keys() - refused.keys()}
            if not rest:
                return refused
            said = _why(failed[min(rest)])
            if pause is not None:
                self._sleep(pause)
        raise RetryableError(
            ErrorCode.SERVICE_UNAVAILABLE, f"{self._url} did not take {len(rest)} messages: {said}"
        )


def _why(entry: BatchResultErrorEntryTypeDef) -> str:
    return f"{entry['Code']}: {entry.get('Message', 'no message')}"
