"""What AssumeRole answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.recorded.conftest import ACCOUNT
from tests.recorded.replay import Differing, replays

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recorded.replay import Replay

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
}


@replays(
    "sts/assume-role.json",
    "test_assume_role",
    differing=[
        Differing("create-role/Role/MaxSessionDuration", "the product makes roles by CloudFormation only"),
        Differing("create-role/Role/RoleLastUsed", "the product makes roles by CloudFormation only"),
        Differing(
            "assume-role/PackedPolicySize", "moto answers one without a policy too; the product reads none"
        ),
    ],
)
def test_a_role_is_assumed(replay: Replay, client: Callable[[str], Any], fresh: Callable[[str], str]) -> None:
    replay.bind("<partition>", "aws")
    name, session = replay.bind("<resource:1>", fresh("role")), replay.bind("<role-session-name:1>", "s-1")
    replay.compare("role-session-name", {"RoleSessionName": session})
    role = replay(
        "create-role",
        lambda: client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)),
    )["Role"]
    replay("assume-role", lambda: client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName=session))
