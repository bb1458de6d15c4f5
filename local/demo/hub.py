"""Looks at the hub from outside, as its operators and its deployment pipelines do."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from local.server import LocalAws

SOURCE_ARN = "replicator:source-arn"
"""Entry of a mirror's CustomerMetadataProperties that names its source."""

Detail = dict[str, Any]


@dataclass
class Hub:
    """The hub account.

    Parameters
    ----------
    namespace
        Its parameter ``Namespace``.
    """

    aws: LocalAws
    account: str
    namespace: str = "registry-replicator"
    outcomes: list[Detail] = field(default_factory=list)
    """Details of every "Model Replication State Change" so far."""
    _inbox: str = ""

    def subscribe(self) -> None:
        """Have the outcomes of all runs sent to a queue of our own, as a deployment pipeline would."""
        events, sqs, bus = self.client("events"), self.client("sqs"), self.namespace
        self._inbox = sqs.create_queue(QueueName="demo-outcomes")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._inbox, AttributeNames=["QueueArn"])
        queue = arn["Attributes"]["QueueArn"]
        pattern = {"source": ["model-registry-replicator"], "detail-type": ["Model Replication State Change"]}
        rule = events.put_rule(Name="demo-outcomes", EventBusName=bus, EventPattern=json.dumps(pattern))
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule["RuleArn"]}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=self._inbox, Attributes={"Policy": policy})
        events.put_targets(
            Rule="demo-outcomes", EventBusName=bus, Targets=[{"Id": "demo-outcomes", "Arn": queue}]
        )

    def wait_for(self, sources: Collection[str], seconds: float, news: Callable[[Detail], None]) -> set[str]:
        """Wait until a run about each of the packages has ended; give those of which none has.

        Parameters
        ----------
        sources
            ARNs in the spokes.
        news
            Called with each outcome when it arrives.
        """
        missing, deadline = set(sources), time.monotonic() + seconds
        while missing and time.monotonic() < deadline:
            for detail in self._received(wait=1):
                missing.discard(detail["SourceModelPackageArn"])
                news(detail)
        return missing

    def wait_until_quiet(self, seconds: float, news: Callable[[Detail], None]) -> bool:
        """Wait until nothing is in the intake queue and no run is under way; False when that never comes."""
        deadline, calm = time.monotonic() + seconds, 0
        while calm < 3 and time.monotonic() < deadline:
            calm = 0 if self._busy() else calm + 1
            for detail in self._received(wait=0):
                news(detail)
            time.sleep(0.2)
        return calm == 3

    def outcome(self, source: str) -> Detail:
        """Give the latest outcome about a package; empty when there is none."""
        found = [detail for detail in self.outcomes if detail["SourceModelPackageArn"] == source]
        return found[-1] if found else {}

    def first_seconds(self, source: str) -> float | None:
        """Give the seconds of the run that made a package's mirror."""
        for detail in self.outcomes:
            if detail["SourceModelPackageArn"] == source and detail["Status"] == "Mirrored":
                return float(detail["DurationSeconds"])
        return None

    def mirrors(self) -> dict[str, list[Detail]]:
        """Describe every version in the hub, by the source it names; ``""`` for those that name none."""
        sagemaker = self.client("sagemaker")
        found: dict[str, list[Detail]] = {}
        groups = sagemaker.list_model_package_groups(MaxResults=100)["ModelPackageGroupSummaryList"]
        for group in groups:
            versions = sagemaker.list_model_packages(
                ModelPackageGroupName=group["ModelPackageGroupName"], MaxResults=100
            )
            for version in versions["ModelPackageSummaryList"]:
                mirror = sagemaker.describe_model_package(ModelPackageName=version["ModelPackageArn"])
                source = mirror.get("CustomerMetadataProperties", {}).get(SOURCE_ARN, "")
                found.setdefault(source, []).append(mirror)
        return found

    def dead_letters(self) -> list[Detail]:
        """List the dead letters with the redrive function's dry run, which sends none."""
        letters: list[Detail] = self._redrive({"dry_run": True})["letters"]
        return letters

    def redrive(self, code: str) -> int:
        """Send the dead letters with a code back; give how many."""
        return int(self._redrive({"code": code})["redriven"])

    def get(self, uri: str) -> bytes:
        """Download an object of the hub."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def parts(self, uri: str) -> int:
        """Count the parts an object was uploaded in; S3 ends the ETag of a multipart upload with their number.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
        """
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        etag = self.client("s3").head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
        return int(etag.partition("-")[2] or 1)

    def open_uploads(self) -> int:
        """Count the multipart uploads that were neither completed nor aborted."""
        answer = self.client("s3").list_multipart_uploads(Bucket=self.bucket)
        return len(answer.get("Uploads", []))

    @property
    def bucket(self) -> str:
        """The hub's bucket."""
        return f"{self.namespace}-{self.account}-{self.aws.region}"

    def client(self, service: str) -> Any:
        """Give a client of somebody in the hub."""
        return self.aws.client(service, self.account)

    def _redrive(self, request: Detail) -> Detail:
        answer = self.client("lambda").invoke(
            FunctionName=f"{self.namespace}-redrive", Payload=json.dumps(request).encode()
        )
        payload: Detail = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise RuntimeError(f"the redrive function failed: {payload.get('errorMessage')}")
        return payload

    def _received(self, wait: int) -> Iterator[Detail]:
        sqs = self.client("sqs")
        answer = sqs.receive_message(QueueUrl=self._inbox, MaxNumberOfMessages=10, WaitTimeSeconds=wait)
        for message in answer.get("Messages", []):
            sqs.delete_message(QueueUrl=self._inbox, ReceiptHandle=message["ReceiptHandle"])
            detail = json.loads(message["Body"])["detail"]
            self.outcomes.append(detail)
            yield detail

    def _busy(self) -> bool:
        counts = [f"ApproximateNumberOfMessages{which}" for which in ("", "Delayed", "NotVisible")]
        sqs, machines = self.client("sqs"), self.client("stepfunctions")
        url = sqs.get_queue_url(QueueName=f"{self.namespace}-intake")["QueueUrl"]
        waiting = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        machine = f"arn:aws:states:{self.aws.region}:{self.account}:stateMachine:{self.namespace}-replicate"
        running = machines.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
        return bool(running) or any(int(waiting[name]) for name in counts)
