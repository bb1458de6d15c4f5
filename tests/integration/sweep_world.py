"""What the sweep and intake work on, without the deployed functions: tables, queues, a bucket, a state machine."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from replicator.aws.bus import Bus
from replicator.aws.executions import Executions
from replicator.aws.ledger import Ledger, Outcome
from replicator.aws.ledger_items import UNSETTLED
from replicator.aws.open_uploads import OpenUploads
from replicator.aws.slots import Slots
from replicator.errors import ErrorCode
from replicator.identifiers import version_key
from replicator.ledger import execution_name
from replicator.operations.failing import Ending, Failing, FailureRequest
from replicator.operations.intake import Intake
from replicator.operations.sweeping import Sweep
from replicator.settings import IntakeSettings
from tests.integration.conftest import make_role

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.server import LocalAws
    from replicator.operations.sweeping import SweepAnswer

ACCOUNT, SPOKE = "333333333341", "333333333342"
NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Version:
    """A version of a spoke that nobody registered: sweep and intake do not look at it."""

    group: str
    number: int = 1

    @property
    def arn(self) -> str:
        return f"arn:aws:sagemaker:eu-west-1:{SPOKE}:model-package/{self.group}/{self.number}"

    @property
    def place(self) -> str:
        """Where its copies go."""
        return f"models/{SPOKE}/{self.group}/{self.number}/"

    def event(self, **detail: str) -> str:
        """Give the event that intake takes."""
        return json.dumps(
            {
                "source": "aws.sagemaker",
                "detail-type": "SageMaker Model Package State Change",
                "account": SPOKE,
                "region": "eu-west-1",
                "detail": {"ModelPackageArn": self.arn, "ModelApprovalStatus": "Approved", **detail},
            }
        )


class Counted:
    """Gives the seconds that are left: plenty so often, then a few."""

    def __init__(self, plenty: int) -> None:
        self.left = plenty

    def __call__(self) -> float:
        self.left -= 1
        return 100.0 if self.left >= 0 else 19.0


class SweepWorld:
    """One hub, empty.

    Parameters
    ----------
    run_seconds
        After which an execution times out.
    runs_per_spoke
        As in the template.
    """

    def __init__(self, aws: LocalAws, run_seconds: int = 600, runs_per_spoke: int = 1) -> None:
        self.aws, self.session, name = aws, aws.session(ACCOUNT), uuid.uuid4().hex[:12]
        self.dynamodb, self.sqs = self.session.client("dynamodb"), self.session.client("sqs")
        self.s3, self.states = self.session.client("s3"), self.session.client("stepfunctions")
        self.table = f"ledger-{name}"
        self._make_tables(self.table, f"spokes-{name}")
        self.bucket = f"hub-{name}"
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        self.intake_queue, self.dead_letters = (
            self.sqs.create_queue(QueueName=f"{kind}-{name}")["QueueUrl"] for kind in ("intake", "dead")
        )
        hanging = {"Type": "Wait", "Seconds": 600, "End": True}
        definition = {"StartAt": "Hang", "States": {"Hang": hanging}, "TimeoutSeconds": run_seconds}
        self.machine: str = self.states.create_state_machine(
            name=f"machine-{name}",
            definition=json.dumps(definition),
            roleArn=make_role(aws, ACCOUNT, "states.amazonaws.com", []),
        )["stateMachineArn"]
        self.ledger = Ledger(self.session, self.table)
        self.slots = Slots(self.session, f"spokes-{name}")
        self.uploads = OpenUploads(self.session, self.bucket, ACCOUNT)
        self.ending = Ending(
            self.ledger, self.slots, self.sqs, Bus(self.session, "default"), self.dead_letters
        )
        settings = IntakeSettings(
            hub_account=ACCOUNT,
            ledger_table=self.table,
            spokes_table=f"spokes-{name}",
            spoke_accounts=frozenset({SPOKE}),
            state_machine_arn=self.machine,
            intake_queue_url=self.intake_queue,
            dead_letter_queue_url=self.dead_letters,
            max_receives=6,
            runs_per_spoke=runs_per_spoke,
        )
        self.intake = Intake(settings, "eu-west-1", self.ledger, self.slots, self.sqs, self.states)
        self.failing = Failing(self.ledger, self.ending)

    def _make_tables(self, ledger: str, spokes: str) -> None:
        """Make them as the template does."""
        by_spoke = [
            {"AttributeName": UNSETTLED, "KeyType": "HASH"},
            {"AttributeName": "claimed_at", "KeyType": "RANGE"},
        ]
        index = {
            "IndexName": UNSETTLED, "KeySchema": by_spoke, "Projection": {"ProjectionType": "KEYS_ONLY"}
        }  # fmt: skip
        tables: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
            ledger: (("source_arn", UNSETTLED, "claimed_at"), {"GlobalSecondaryIndexes": [index]}),
            spokes: (("account",), {}),
        }
        for table, (attributes, more) in tables.items():
            self.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in attributes],
                KeySchema=[{"AttributeName": attributes[0], "KeyType": "HASH"}],
                **more,
            )

    def sweep(self, now: datetime = NOW, seconds_left: Callable[[], float] = lambda: 100.0) -> SweepAnswer:
        return Sweep(
            ledger=self.ledger,
            slots=self.slots,
            executions=Executions(self.session, self.machine),
            uploads=self.uploads,
            ending=self.ending,
            partition="aws",
            region="eu-west-1",
            seconds_left=seconds_left,
        ).run(now)

    def claimed(self, version: Version, minutes_ago: float = 0) -> None:
        """Claim a version that has no execution yet."""
        claim = self.ledger.claim(version.arn, version.event(), NOW - timedelta(minutes=minutes_ago), None)
        assert claim.outcome is Outcome.CLAIMED

    def running(self, version: Version) -> str:
        """Claim a version and start its execution, which hangs; give its ARN."""
        self.claimed(version)
        name = execution_name(version.arn, 1)
        execution = self.states.start_execution(stateMachineArn=self.machine, name=name)["executionArn"]
        self.ledger.started(version.arn, 1, execution)
        return str(execution)

    def fail(
        self, version: Version, message: str = "UNVERSIONED: it has no version", attempt: int = 1
    ) -> Any:
        """Record a failure of a version, which a function has raised with a message."""
        error = {"Error": "PermanentError", "Cause": json.dumps({"errorMessage": message})}
        return self.failing.run(FailureRequest(source_arn=version.arn, attempt=attempt, error=error), NOW)

    def item(self, version: Version) -> dict[str, Any]:
        """Give the ledger's item as it is, whatever its schema."""
        key = {"source_arn": {"S": version_key(version.arn)}}
        return dict(self.dynamodb.get_item(TableName=self.table, Key=key).get("Item", {}))

    def of_a_newer_release(self, version: Version, **members: Any) -> dict[str, Any]:
        """Let the item of a version have a schema, or members, that this release does not know; give it."""
        item = {**self.item(version), **(members or {"schema": {"N": "2"}})}
        self.dynamodb.put_item(TableName=self.table, Item=item)
        return item

    def letters(self) -> list[tuple[str, str]]:
        """Take the dead letters: the version and the code of each."""
        found = self.sqs.receive_message(
            QueueUrl=self.dead_letters, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        for each in found:
            self.sqs.delete_message(QueueUrl=self.dead_letters, ReceiptHandle=each["ReceiptHandle"])
        named = [{k: v["StringValue"] for k, v in each["MessageAttributes"].items()} for each in found]
        return sorted((each["source_arn"], ErrorCode(each["code"])) for each in named)

    def state(self, version: Version) -> tuple[str, str | None]:
        """Give state and code of an item."""
        entry = self.ledger.get(version.arn)
        assert entry is not None
        return str(entry.state), entry.code
