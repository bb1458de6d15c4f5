"""A person who may start executions, or invoke functions, in the hub gives them forged input.

The assets: what a mirror is made of, and what the hub reads. What holds: an execution acts for an attempt that intake
has noted in the ledger, and for no other; what it copies, the plan says, from the spoke's own answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from replicator.errors import ErrorCode, PermanentError
from replicator.identifiers import ModelPackageArn
from replicator.operations.planning import Planning
from replicator.steps import CopyResult, RegisterRequest
from tests.integration.conftest import HUB, SPOKE_A, wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.integration.registry_world import REGION, Runner, World, the_policy
from tests.security.conftest import AWS_IMAGE, STRANGER
from tests.unit.packages import HUB as WORLDS_HUB
from tests.unit.packages import SPOKE

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


REGISTRY = f"{WORLDS_HUB}.dkr.ecr.{REGION}.amazonaws.com"
DIGEST = "@sha256:" + "ab" * 32
OURS = f"registry-replicator/{SPOKE}/scorer{DIGEST}"
ELSEWHERE = {
    "a bucket of somebody else": "s3://evil/model.tar.gz",
    "another spoke's prefix": "s3://hub-bucket/models/222222222222/{group}/1/model.tar.gz",
    "another group's prefix": f"s3://hub-bucket/models/{SPOKE}/other/1/model.tar.gz",
    "another version's prefix": f"s3://hub-bucket/models/{SPOKE}/{{group}}/12/model.tar.gz",
    "outside of all prefixes": "s3://hub-bucket/provenance/x.json",
    "a bucket that begins like the hub's": f"s3://hub-bucket-x/models/{SPOKE}/{{group}}/1/model.tar.gz",
    "another spoke's repository": f"{REGISTRY}/registry-replicator/222222222222/scorer{DIGEST}",
    "a repository that begins like its own": f"{REGISTRY}/registry-replicator/{SPOKE}1/scorer{DIGEST}",
    "a repository of the hub's own": f"{REGISTRY}/scorer{DIGEST}",
    "the registry of another account": f"222222222222.dkr.ecr.{REGION}.amazonaws.com/{OURS}",
    "the registry of another Region": f"{WORLDS_HUB}.dkr.ecr.eu-west-1.amazonaws.com/{OURS}",
}


@pytest.mark.parametrize("where", ELSEWHERE)
def test_register_is_not_told_where_the_copies_are_while_an_execution_runs(where: str) -> None:
    """With the plan of that very execution: then nothing but the places says that it was not the state machine."""
    world = World()
    group, location = world.group(), f"s3://models-of-{SPOKE}/model.tar.gz"
    image = f"{SPOKE}.dkr.ecr.{REGION}.amazonaws.com/team/scorer@sha256:{'cd' * 32}"
    arn = world.scientist.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": location, "ModelDataETag": "e1"}],
            "SupportedContentTypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    runner = Runner(world, arn, the_policy())
    destination = ELSEWHERE[where].format(group=group)

    def attack() -> None:
        entry = world.ledger.get(arn)
        assert entry is not None
        planning = Planning(
            runner.policy, world.ledger, world.slots, lambda: world.at_spoke, world.clock.tick
        )
        plan = planning.run(ModelPackageArn.parse(arn), entry.attempt)
        results = [
            CopyResult(
                kind="image" if "ecr" in destination else "artifact",
                uri=image if "ecr" in destination else location,
                destination=destination,
                bytes=1,
                verified="digest",
                method="server-side",
            )
        ]
        request = RegisterRequest(source_arn=arn, attempt=entry.attempt, plan=plan, results=results)
        with pytest.raises(PermanentError) as error:
            runner.registering().run(request)
        assert error.value.code is ErrorCode.HUB_REFUSED
        assert destination in error.value.message

    try:
        runner.settle(meanwhile=attack)
        entry = world.ledger.get(arn)
        assert entry is not None
        assert entry.hub_arn is not None
        assert destination not in json.dumps(world.describe(world.person, entry.hub_arn), default=str)
    finally:
        world.stop()
