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
        """Send messages, in batches, and say which of them the queue refuses for good.

        Returns
        -------
        The reason, by index, of each message that would be refused again, because it is the message that is at fault.

        Raises
        ------
        RetryableError
            When the queue does not take one for another reason, however often it is sent.
        """
        refused: dict[int, str] = {}
        for start in range(0, len(bodies), _BATCH):
            rest = {start + i: body for i, body in enumerate(bodies[start : start + _BATCH])}
            refused |= self._send_batch(rest)
        return refused

    def _send_batch(self, rest: dict[int, str]) -> dict[int, str]:
        """Send at most ten messages. SQS takes those that it can, and answers 200 for the batch in any case."""
        refused: dict[int, str] = {}
        said = None
        for pause in (*_PAUSES, None):
            with in_hub(f"sending {len(rest)} messages to {self._url}"):
                answer = self._client.send_message_batch(
                    QueueUrl=self._url,
                    Entries=[{"Id": str(i), "MessageBody": body} for i, body in rest.items()],
                )
            failed = answer.get("Failed", [])
            refused |= {int(each["Id"]): refusal(each) for each in failed if each["SenderFault"]}
            again = [each for each in failed if not each["SenderFault"]]
            if not again:
                return refused
            rest = {int(each["Id"]): rest[int(each["Id"])] for each in again}
            said = refusal(again[0])
            if pause is not None:
                self._sleep(pause)
        raise RetryableError(
            ErrorCode.SERVICE_UNAVAILABLE, f"{self._url} did not take {len(rest)} messages: {said}"
        )


def refusal(entry: BatchResultErrorEntryTypeDef) -> str:
    """Say why SQS did not take an entry of a batch: its code and its words."""
    return f"{entry['Code']}: {entry.get('Message', 'SQS gave no reason')}"
