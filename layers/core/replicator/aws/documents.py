"""The full provenance of each mirror, as JSON in the hub's bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from replicator.aws.failures import in_hub
from replicator.aws.sessions import client_config

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3


class Documents:
    """JSON objects in the hub's bucket.

    Parameters
    ----------
    session
        The function's own.
    bucket, owner
        The hub's bucket, and the hub's account, which must own it.
    """

    def __init__(self, session: boto3.Session, bucket: str, owner: str) -> None:
        self._client = session.client("s3", config=client_config())
        self._bucket = bucket
        self._owner = owner

    def location(self, key: str) -> str:
        """Give the S3 location of a document."""
        return f"s3://{self._bucket}/{key}"

    def get(self, key: str) -> dict[str, Any] | None:
        """Read a document; None when there is none."""
        with in_hub(f"reading {self.location(key)}"):
            try:
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=key, ExpectedBucketOwner=self._owner
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                    return None
                raise
            found = json.loads(answer["Body"].read())
        return found if isinstance(found, dict) else None

    def put(self, key: str, document: Mapping[str, Any]) -> None:
        """Write a document."""
        with in_hub(f"writing {self.location(key)}"):
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=json.dumps(document, indent=2, default=str).encode(),
                ContentType="application/json",
                ExpectedBucketOwner=self._owner,
            )
