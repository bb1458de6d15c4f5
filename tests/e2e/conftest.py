"""A hub and a spoke in the local AWS, where containers reach it, and the hub's functions in ``sam local``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from local.deploy import deploy
from local.server import LocalAws
from tests.artifacts.sam_build import ROOT
from tests.e2e.docker_engine import NoDockerError, docker_engine, host_addresses, images_removed
from tests.e2e.lambda_image.stand_in import NoImageError, architecture, ensure_image
from tests.e2e.sam_local import SamLocal
from tests.e2e.spoke_account import SpokeAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.images import OciImage
    from tests.artifacts.sam_build import Build

# The accounts and the region of the samples in events/.
HUB, SPOKE, OTHER_SPOKE, REGION = "999999999999", "111111111111", "222222222222", "us-east-1"
NAMESPACE = "registry-replicator"

# The functions are invoked one by one here; an execution that runs them as well would be in the way.
WAITING = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}


@dataclass(frozen=True)
class Stage:
    """What the tests play on."""

    aws: LocalAws
    sam: SamLocal
    spoke: SpokeAccount
    image: OciImage

    def hub(self, service: str) -> Any:
        return self.aws.client(service, HUB)

    @property
    def machine(self) -> str:
        return f"arn:aws:states:{REGION}:{HUB}:stateMachine:{NAMESPACE}-replicate"

    def queue_url(self, name: str) -> str:
        return str(self.hub("sqs").get_queue_url(QueueName=f"{NAMESPACE}-{name}")["QueueUrl"])

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Take the messages of a queue of the hub, and delete them."""
        sqs, url = self.hub("sqs"), self.queue_url(queue)
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5, MessageAttributeNames=["All"]
        )
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def ledger(self, arn: str) -> dict[str, Any]:
        table = f"{NAMESPACE}-ledger"
        item = self.hub("dynamodb").get_item(TableName=table, Key={"source_arn": {"S": arn}})["Item"]
        return {name: next(iter(value.values())) for name, value in item.items()}

    def executions(self, arn: str) -> list[dict[str, Any]]:
        """Give the inputs of the executions that were started for a package."""
        states = self.hub("stepfunctions")
        listed = states.list_executions(stateMachineArn=self.machine)["executions"]
        inputs = [states.describe_execution(executionArn=found["executionArn"])["input"] for found in listed]
        return sorted(
            (run for run in map(json.loads, inputs) if run["source_arn"] == arn),
            key=lambda run: run["attempt"],
        )


@pytest.fixture(scope="session")
def containers() -> Iterator[None]:
    """Provide Docker with the image for the functions, or skip and say what is missing."""
    try:
        with docker_engine():
            ensure_image()
            # SAM CLI puts the layer into an image of its own and leaves that behind.
            with images_removed("samcli/lambda-python"):
                yield
    except (NoDockerError, NoImageError) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stage(
    containers: None, built: Callable[[str], Build], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Deploy a hub and its spokes; what reaches the intake queue stays there, and executions only wait."""
    listen, address = host_addresses()
    with LocalAws(listen, region=REGION) as aws:
        spoke = SpokeAccount(aws, SPOKE)
        image = spoke.prepare()
        spokes = ",".join((SPOKE, OTHER_SPOKE))
        deploy(aws, HUB, ROOT / "template.yaml", {"SpokeAccounts": spokes, "Architecture": architecture()})
        deploy(aws, SPOKE, ROOT / "spoke.yaml", {"HubAccount": HUB, "PolicyBucket": "default"})
        functions = aws.client("lambda", HUB)
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        sam = SamLocal(
            aws, address, HUB, NAMESPACE, built(architecture()), tmp_path_factory.mktemp("sam-local")
        )
        stage = Stage(aws, sam, spoke, image)
        aws.client("stepfunctions", HUB).update_state_machine(
            stateMachineArn=stage.machine, definition=json.dumps(WAITING)
        )
        yield stage
