"""What an operator of a hub looks at, with plain boto3: the ledger, the mirrors, the dead-letter queue."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from local.accounts import PERSONA
from replicator.identifiers import S3Uri, version_key
from tests.integration.conftest import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.deploy import Stack
    from local.server import LocalAws


class Hub:
    """What an operator of a hub looks at.

    Parameters
    ----------
    stack
        Of the hub.
    namespace
        It was deployed with.
    """

    def __init__(self, aws: LocalAws, stack: Stack, namespace: str = "registry-replicator") -> None:
        self.aws, self.stack, self.namespace = aws, stack, namespace
        self.account = stack.account
        self.sqs = self.client("sqs")
        self.sagemaker = self.client("sagemaker")

    def client(self, service: str, role: str = PERSONA) -> Any:
        return self.aws.client(service, self.account, role)

    @contextmanager
    def in_haste(self, *functions: str) -> Iterator[None]:
        """Let the SDK in some functions try as often as ever, but sooner: in new processes, for a while."""

        def start_anew(wait_factor: float) -> None:
            self.aws.functions.wait_factor = wait_factor
            for name in functions:
                self.aws.functions.kill(self.account, f"{self.namespace}-{name}")

        start_anew(0.02)
        try:
            yield
        finally:
            start_anew(1.0)

    def entry(self, arn: str) -> dict[str, Any]:
        item = self.client("dynamodb").get_item(
            TableName=f"{self.namespace}-ledger", Key={"source_arn": {"S": version_key(arn)}}
        )
        return {name: next(iter(value.values())) for name, value in item.get("Item", {}).items()}

    def settled(self, arn: str) -> dict[str, Any]:
        def quiet() -> dict[str, Any] | None:
            entry = self.entry(arn)
            return entry if entry.get("state") in {"IDLE", "FAILED"} else None

        return wait_for(quiet, seconds=60, what=f"the run of {arn} to end") or {}

    def mirror(self, arn: str) -> dict[str, Any]:
        """Wait until the run is over and give the mirror."""
        entry = self.settled(arn)
        assert entry["state"] == "IDLE", entry
        return dict(self.sagemaker.describe_model_package(ModelPackageName=entry["hub_arn"]))

    def mirrors(self, group: str) -> list[str]:
        pages = self.sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        return [s["ModelPackageArn"] for page in pages for s in page["ModelPackageSummaryList"]]

    def read(self, location: str) -> bytes:
        uri = S3Uri.parse(location)
        body = self.client("s3").get_object(Bucket=uri.bucket, Key=uri.key)["Body"]
        return bytes(body.read())

    def letters(self) -> list[dict[str, Any]]:
        """Give every dead letter; all stay in the queue."""
        url, found = self.stack.resources["DeadLetterQueue"], []
        while messages := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=60, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += messages
        for message in found:
            self.sqs.change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return found

    def dead_letter(self, arn: str) -> dict[str, Any]:
        """Wait for the dead letter of a version, and give it; it stays in the queue."""

        def find() -> dict[str, Any] | None:
            for message in self.letters():
                attributes = message.get("MessageAttributes", {})
                if attributes.get("source_arn", {}).get("StringValue") == arn or arn in message["Body"]:
                    return {k: v["StringValue"] for k, v in attributes.items()} | {"body": message["Body"]}
            return None

        return wait_for(find, seconds=60, what=f"the dead letter of {arn}") or {}

    def send(self, *bodies: str) -> None:
        url = self.stack.resources["IntakeQueue"]
        entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)]
        answer = self.sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert not answer.get("Failed"), answer

    def redrive(self, **request: Any) -> dict[str, Any]:
        answer = self.client("lambda").invoke(
            FunctionName=f"{self.namespace}-redrive", Payload=json.dumps(request).encode()
        )
        found: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        return found

    def code_of(self, body: str) -> str | None:
        """Wait for the dead letter with a body, and give its code."""

        def find() -> str | None:
            for message in self.letters():
                if message["Body"] == body:
                    return str(message["MessageAttributes"]["code"]["StringValue"])
            return None

        return wait_for(find, what=f"the dead letter {body[:60]}")
