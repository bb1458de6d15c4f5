"""The hub's event bus, on which the end of every run is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config
from replicator.errors import ErrorCode, RetryableError
from replicator.events import OWN_DETAIL_TYPE, OWN_SOURCE

if TYPE_CHECKING:
    from datetime import datetime

    import boto3

    from replicator.events import ReplicationDetail


class Bus:
    """One event bus of the hub."""

    def __init__(self, session: boto3.Session, name: str) -> None:
        self._client = session.client("events", config=client_config())
        self._name = name

    def publish(self, detail: ReplicationDetail, now: datetime) -> None:
        """Publish "Model Replication State Change". Raises `RetryableError` when the bus does not take it."""
        with in_hub(f"publishing the end of {detail.source_arn} on {self._name}"):
            answer = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": OWN_SOURCE,
                        "DetailType": OWN_DETAIL_TYPE,
                        "Time": now,
                        "Resources": [arn for arn in (detail.source_arn, detail.hub_arn) if arn],
                        "Detail": detail.to_detail(),
                    }
                ]
            )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise RetryableError(
                ErrorCode.SERVICE_UNAVAILABLE,
                f"the event about {detail.source_arn} was not taken: {entry.get('ErrorMessage')}",
            )
