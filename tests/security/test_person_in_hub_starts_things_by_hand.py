"""A person who may start executions, or invoke functions, in the hub gives them forged input.

The assets: what a mirror is made of, and what the hub reads. What holds: an execution acts for an attempt that intake
has noted in the ledger, and for no other; what it copies, the plan says, from the spoke's own answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import HUB, SPOKE_A, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.security.conftest import AWS_IMAGE, STRANGER

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.landscape import Landscape

type Input = dict[str, Any]


@pytest.fixture(scope="module")
def mirrored(deployment: Landscape) -> str:
    """Give a version that was mirrored and changed nothing since."""
    spoke = DataScientist(deployment.aws, SPOKE_A, "by-hand")
    found = spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})
    spoke.approve(found)
    Hub(deployment.aws, deployment.hub).mirror(found)
    return found


@pytest.fixture
def pending(spoke: DataScientist) -> str:
    """Give a version that nobody approved, so that no event about it ever came."""
    return spoke.register({"Image": AWS_IMAGE, "ModelDataUrl": spoke.put("model.tar.gz")})


@pytest.fixture
def strangers(deployment: Landscape, fresh: Callable[[str], str]) -> str:
    """Give an approved version of a stranger, who lets the hub read it with a role of the expected name."""
    stranger = DataScientist(deployment.aws, STRANGER, fresh("bait"))
    name = f"registry-replicator-{deployment.aws.region}-read"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    everything = {"Effect": "Allow", "Action": ["sagemaker:*", "s3:*"], "Resource": "*"}
    iam = stranger.client("iam")
    if name not in {role["RoleName"] for role in iam.list_roles()["Roles"]}:
        iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        iam.put_role_policy(RoleName=name, PolicyName="read", PolicyDocument=document)
    found = stranger.register({"Image": AWS_IMAGE, "ModelDataUrl": stranger.put("model.tar.gz")})
    stranger.approve(found)
    return found


INPUTS: dict[str, tuple[str, Callable[[str], Input]]] = {
    "a version that no event came for": ("pending", lambda arn: {"source_arn": arn, "attempt": 1}),
    "no attempt": ("pending", lambda arn: {"source_arn": arn, "attempt": 0}),
    "a version of a stranger": ("strangers", lambda arn: {"source_arn": arn, "attempt": 1}),
    "an attempt that is over": ("mirrored", lambda arn: {"source_arn": arn, "attempt": 1}),
    "an attempt to come": ("mirrored", lambda arn: {"source_arn": arn, "attempt": 99}),
    "a plan of its own": (
        "pending",
        lambda arn: {
            "source_arn": arn,
            "attempt": 1,
            "plan": {"action": "MIRROR", "reason": "", "wanted": 0, "copies": []},
        },
    ),
    "results of its own": (
        "mirrored",
        lambda arn: {
            "source_arn": arn,
            "attempt": 1,
            "results": [{"kind": "artifact", "uri": "s3://a/b", "destination": "s3://evil/b"}],
        },
    ),
}


@pytest.mark.parametrize("what", INPUTS)
def test_an_execution_with_forged_input_mirrors_nothing(
    hub: Hub, request: pytest.FixtureRequest, what: str
) -> None:
    whose, make = INPUTS[what]
    arn = request.getfixturevalue(whose)
    before, states = hub.entry(arn), hub.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=hub.stack.outputs["StateMachineArn"], input=json.dumps(make(arn))
    )["executionArn"]
    wait_for(
        lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING",
        seconds=60,
        what="the execution to end",
    )
    assert hub.entry(arn) == before


def test_register_invoked_by_hand_writes_nothing(hub: Hub, mirrored: str) -> None:
    before = hub.mirror(mirrored)
    request = {
        "source_arn": mirrored,
        "attempt": int(hub.entry(mirrored)["attempt"]),
        "plan": {
            "action": "UPDATE",
            "reason": "",
            "wanted": 1,
            "fingerprint": hub.entry(mirrored)["fingerprint"],
        },
        "results": [
            {
                "kind": "artifact",
                "uri": f"s3://sagemaker-{hub.aws.region}-{SPOKE_A}/by-hand/model.tar.gz",
                "destination": "s3://evil/model.tar.gz",
                "bytes": 1,
                "verified": "ETag",
                "method": "streamed",
            }
        ],
    }
    answer = hub.client("lambda").invoke(
        FunctionName=f"{hub.namespace}-register", Payload=json.dumps(request).encode()
    )
    assert json.loads(answer["Payload"].read())["status"] == "Superseded"
    after = hub.mirror(mirrored)
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert after == before
