"""A sender plants messages: in the intake queue, in the dead-letter queue, or events of long ago once more.

The assets: a person's decision in the hub, a rejection in the spoke, and the record of what failed. What holds: a
message says only which version to look at; who it speaks for is checked, and what is mirrored is what the spoke's
registry answers.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import HUB, SPOKE_A, SPOKE_B, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.security.conftest import AWS_IMAGE, STRANGER

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.landscape import Landscape

type Event = dict[str, Any]


def arn(
    spoke: DataScientist, *, account: str = SPOKE_A, region: str | None = None, version: str = "1"
) -> str:
    region = region or spoke.aws.region
    return f"arn:aws:sagemaker:{region}:{account}:model-package/{spoke.group}/{version}"


FORGED: dict[str, tuple[Callable[[DataScientist], Event], str]] = {
    "for another spoke": (lambda spoke: spoke.event(arn(spoke, account=SPOKE_B)), "ACCOUNT_MISMATCH"),
    "for a spoke, from another": (
        lambda spoke: spoke.event(arn(spoke), account=SPOKE_B), "ACCOUNT_MISMATCH",
    ),
    "for a spoke, from the hub": (lambda spoke: spoke.event(arn(spoke), account=HUB), "ACCOUNT_MISMATCH"),
    "from a stranger": (
        lambda spoke: spoke.event(arn(spoke, account=STRANGER), account=STRANGER), "UNKNOWN_ACCOUNT",
    ),
    "from the hub": (lambda spoke: spoke.event(arn(spoke, account=HUB), account=HUB), "OWN_ACCOUNT"),
    "of another Region": (
        lambda spoke: spoke.event(arn(spoke, region="us-east-1"), region="us-east-1"), "REGION_NOT_SERVED",
    ),
    "of another Region, from this one": (
        lambda spoke: spoke.event(arn(spoke, region="us-east-1")), "REGION_NOT_SERVED",
    ),
    "of another source": (lambda spoke: spoke.event(arn(spoke), source="com.example"), "WRONG_SOURCE"),
    "of our own source": (
        lambda spoke: spoke.event(arn(spoke), source="model-registry-replicator"), "WRONG_SOURCE",
    ),
    "of another type": (
        lambda spoke: spoke.event(arn(spoke), **{"detail-type": "SageMaker Endpoint State Change"}), "WRONG_SOURCE",
    ),
    "about a group": (
        lambda spoke: spoke.event(arn(spoke).replace("model-package/", "model-package-group/")), "MALFORMED_EVENT",
    ),
    "about no version": (lambda spoke: spoke.event(arn(spoke).rpartition("/")[0]), "UNVERSIONED"),
    "about a version below zero": (lambda spoke: spoke.event(arn(spoke, version="-1")), "MALFORMED_EVENT"),
    "about a path": (lambda spoke: spoke.event(arn(spoke, version="1/../2")), "MALFORMED_EVENT"),
    "about a list": (
        lambda spoke: spoke.event(arn(spoke), detail={"ModelPackageArn": [arn(spoke)]}), "MALFORMED_EVENT",
    ),
    "without a detail": (lambda spoke: spoke.event(arn(spoke), detail=None), "MALFORMED_EVENT"),
}  # fmt: skip


@pytest.fixture(scope="module")
def hub_of_all(deployment: Landscape) -> Hub:
    return Hub(deployment.aws, deployment.hub)


@pytest.fixture(scope="module")
def spoke(deployment: Landscape) -> DataScientist:
    """Give the spoke in whose name the sender speaks."""
    return DataScientist(deployment.aws, SPOKE_A, f"planted-{os.urandom(4).hex()}")


@pytest.fixture(scope="module")
def forged(hub_of_all: Hub, spoke: DataScientist) -> dict[str, str]:
    """Send all forged events at once; give them by what they are."""
    bodies = {what: json.dumps(make(spoke)) for what, (make, _) in FORGED.items()}
    for body in bodies.values():
        hub_of_all.send(body)
    return bodies


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_event_starts_nothing(
    hub: Hub, spoke: DataScientist, forged: dict[str, str], what: str
) -> None:
    assert hub.code_of(forged[what]) == FORGED[what][1]
    assert hub.entry(arn(spoke)) == {}


@pytest.fixture(scope="module")
def rejected(hub_of_all: Hub, spoke: DataScientist) -> str:
    """Give a version that was approved, mirrored, and then rejected in the spoke."""
    found = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    spoke.approve(found)
    hub_of_all.mirror(found)
    spoke.reject(found)
    wait_for(
        lambda: hub_of_all.mirror(found)["ModelApprovalStatus"] == "Rejected",
        seconds=60,
        what="the rejection",
    )
    return found


REPLAYS: dict[str, dict[str, Any]] = {
    "as it was": {},
    "with a time to come": {"time": "2099-01-01T00:00:00Z"},
    "with a time of long ago": {"time": "1999-01-01T00:00:00Z"},
    "without a time": {"time": None},
    "with a time that is none": {"time": "soon"},
    "as if SageMaker had changed it later": {"LastModifiedTime": 4_102_444_800_000},
}


def drained(hub: Hub) -> None:
    """Wait until the intake queue is empty, and nothing of it is at work."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    url = hub.stack.resources["IntakeQueue"]

    def empty() -> bool:
        counts = hub.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return not any(int(count) for count in counts.values())

    wait_for(empty, seconds=60, what="the intake queue to be empty")


@pytest.mark.parametrize("how", REPLAYS)
def test_an_old_approval_does_not_come_back(hub: Hub, spoke: DataScientist, rejected: str, how: str) -> None:
    event = spoke.event(rejected, **{key: value for key, value in REPLAYS[how].items() if key == "time"})
    event["detail"] |= {key: value for key, value in REPLAYS[how].items() if key != "time"}
    hub.send(*[json.dumps(event)] * 3)
    drained(hub)
    assert hub.mirror(rejected)["ModelApprovalStatus"] == "Rejected"
    assert len(hub.mirrors(hub.mirror(rejected)["ModelPackageGroupName"])) == 1


PLANTED: dict[str, tuple[Callable[[DataScientist, str], str], str]] = {
    "of a stranger": (
        lambda spoke, _: json.dumps(spoke.event(arn(spoke, account=STRANGER), account=STRANGER)),
        "UNKNOWN_ACCOUNT",
    ),
    "of the hub": (lambda spoke, _: json.dumps(spoke.event(arn(spoke, account=HUB), account=HUB)), "OWN_ACCOUNT"),
    "for another spoke": (
        lambda spoke, version: json.dumps(spoke.event(version, account=SPOKE_B)), "ACCOUNT_MISMATCH",
    ),
}  # fmt: skip


def plant(hub: Hub, body: str, **attributes: str) -> str:
    """Put a message into the dead-letter queue that passes for one of the hub's; give its id."""
    values = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
    answer = hub.sqs.send_message(
        QueueUrl=hub.stack.resources["DeadLetterQueue"], MessageBody=body, MessageAttributes=values
    )
    return str(answer["MessageId"])


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_dead_letter_is_redriven_as_what_it_is(
    hub: Hub, spoke: DataScientist, rejected: str, what: str
) -> None:
    make, code = PLANTED[what]
    body = make(spoke, rejected)
    planted = plant(hub, body, code="THROTTLED", reason="Redrive it.", source_arn=rejected)
    assert hub.redrive(message_id=planted)["redriven"] == 1
    # It comes back with the code of intake, whatever its attributes said.
    assert hub.code_of(body) == code
    assert hub.mirror(rejected)["ModelApprovalStatus"] == "Rejected"


LOOKS: dict[str, Callable[[DataScientist, str], str]] = {
    "an old approval": lambda spoke, version: json.dumps(spoke.event(version)),
    # No event: redrive asks for a look at the version that the attributes name.
    "no JSON": lambda spoke, _: f"{spoke.group}: not JSON",
    "an execution's input": lambda _, version: json.dumps({"source_arn": version, "attempt": 1}),
}


@pytest.mark.parametrize("what", LOOKS)
def test_a_planted_dead_letter_is_redriven_to_a_look(
    hub: Hub, spoke: DataScientist, rejected: str, what: str
) -> None:
    planted = plant(hub, LOOKS[what](spoke, rejected), code="THROTTLED", source_arn=rejected)
    assert hub.redrive(message_id=planted)["redriven"] == 1
    drained(hub)
    assert hub.mirror(rejected)["ModelApprovalStatus"] == "Rejected"
