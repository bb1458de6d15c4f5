"""Slots: how many runs of one spoke are in flight, so that its flood does not hold up the other spokes.

A run holds a slot from before it is claimed until after it has ended. What dies in between leaves a slot that nobody
uses, and the sweep releases it; a run without a slot is harmless. So nothing hangs on a slot but speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config
from replicator.identifiers import ModelPackageArn, version_key

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Slots:
    """One table with an item for each spoke that ever had a run; its key is ``account``.

    Parameters
    ----------
    session
        The function's own.
    table
        Name of the table.
    """

    def __init__(self, session: boto3.Session, table: str) -> None:
        self._client: DynamoDBClient = session.client("dynamodb", config=client_config())
        self._table = table

    def acquire(self, source_arn: str, limit: int) -> bool:
        """Take a slot for a version's run, unless as many as ``limit`` are taken in its spoke.

        True as well when the version holds one already.
        """
        key = version_key(source_arn)
        with in_hub(f"taking a slot for {source_arn}"):
            try:
                self._client.update_item(
                    **self._of(ModelPackageArn.parse(source_arn).account),
                    UpdateExpression="ADD running :arns",
                    ConditionExpression="attribute_not_exists(running) OR size(running) < :limit "
                    "OR contains(running, :arn)",
                    ExpressionAttributeValues={
                        ":arns": {"SS": [key]},
                        ":arn": {"S": key},
                        ":limit": {"N": str(limit)},
                    },
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def release(self, source_arn: str) -> None:
        """Give back the slot of a version, if it holds one."""
        with in_hub(f"releasing the slot of {source_arn}"):
            self._client.update_item(
                **self._of(ModelPackageArn.parse(source_arn).account),
                UpdateExpression="DELETE running :arns",
                ExpressionAttributeValues={":arns": {"SS": [version_key(source_arn)]}},
            )

    def running(self, account: str) -> frozenset[str]:
        """Return the keys (`version_key`) of the versions of a spoke that hold a slot."""
        with in_hub(f"reading the slots of {account}"):
            answer = self._client.get_item(**self._of(account), ConsistentRead=True)
        return frozenset(answer.get("Item", {}).get("running", {}).get("SS", []))

    def accounts(self) -> list[str]:
        """List every spoke that ever had a run, or asked for one."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, ProjectionExpression="account"
        )
        with in_hub(f"listing the spokes in {self._table}"):
            return sorted(item["account"]["S"] for page in pages for item in page["Items"])

    def _of(self, account: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": {"account": {"S": account}}}
