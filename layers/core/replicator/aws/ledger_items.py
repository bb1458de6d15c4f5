"""Items of the ledger in Amazon DynamoDB. Every write is conditional, and spares an item of a newer release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config
from replicator.errors import PermanentError
from replicator.identifiers import version_key
from replicator.ledger import SCHEMA, Entry, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import boto3
    from mypy_boto3_dynamodb.client import DynamoDBClient

UNSETTLED = "unsettled"
"""The attribute, and the sparse index of the items that have it."""


class LedgerItems:
    """One table. Its key ``source_arn`` is the `version_key` of the ARN, so that two spellings name one item.

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

    def get(self, source_arn: str) -> Entry | None:
        """Read an item, consistently."""
        with in_hub(f"reading the ledger's item of {source_arn}"):
            answer = self._client.get_item(
                TableName=self._table, Key={"source_arn": {"S": version_key(source_arn)}}, ConsistentRead=True
            )
        return entry_of(answer["Item"]) if "Item" in answer else None

    def update(
        self, source_arn: str, expression: str, condition: str, values: Mapping[str, Any]
    ) -> tuple[Entry | None, Entry | None]:
        """Write under a condition; give the new item, or None and the item for which it does not hold.

        Parameters
        ----------
        expression, condition
            Update and condition expressions, in which ``#state`` stands for the state.
        values
            By their placeholders.

        Raises
        ------
        PermanentError
            ``LEDGER_VERSION`` for an item of a newer release.
        """
        serialize = TypeSerializer().serialize
        try:
            with in_hub(f"writing the ledger's item of {source_arn}"):
                answer = self._client.update_item(
                    TableName=self._table,
                    Key={"source_arn": {"S": version_key(source_arn)}},
                    UpdateExpression=expression,
                    # Whatever the item holds, one of a newer release is left alone.
                    ConditionExpression=f"(attribute_not_exists(#schema) OR #schema <= :schema) AND ({condition})",
                    ExpressionAttributeValues={
                        key: serialize(str(v) if isinstance(v, State) else v)
                        for key, v in {**values, ":schema": SCHEMA}.items()
                    },
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    ExpressionAttributeNames={"#state": "state", "#schema": "schema"},  # reserved words
                )
        except PermanentError as error:
            refused = error.__cause__
            if not isinstance(refused, ClientError) or not _unmet(refused):
                raise
            old: Mapping[str, Any] | None = refused.response.get("Item")  # type: ignore[assignment]
            return None, entry_of(old) if old else None
        return entry_of(answer["Attributes"]), None

    def unsettled(self) -> Iterator[str]:
        """List the items that are running, or failed with something left to do, page by page.

        The index follows the table a moment later, so each is to be read before anything is made of it.
        """
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, IndexName=UNSETTLED, ProjectionExpression="source_arn"
        )
        with in_hub(f"listing the unsettled items of {self._table}"):
            for page in pages:
                yield from (item["source_arn"]["S"] for item in page["Items"])


def entry_of(item: Mapping[str, Any]) -> Entry:
    """Read an item as DynamoDB gives it. Raises `PermanentError` for one of a newer release."""
    deserialize = TypeDeserializer().deserialize
    return Entry.from_item({name: deserialize(value) for name, value in item.items()})


def _unmet(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"
