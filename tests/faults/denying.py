"""Takes single permissions away from the roles of the deployed stacks, and tells which there are."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from samtranslator.yaml_helper import yaml_parse

from local.landscape import HUB, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World

_NAME = "taken-away-by-a-test"


@dataclass(frozen=True, order=True, slots=True)
class Permission:
    """An action that a role of a template may do.

    Parameters
    ----------
    role
        Its logical id.
    """

    role: str
    action: str

    def __str__(self) -> str:
        return f"{self.role} {self.action}"


def permissions(template: str) -> set[Permission]:
    """Give every permission that the roles of a template have in policies of their own."""
    resources = yaml_parse((ROOT / template).read_text(encoding="utf-8"))["Resources"]
    return {
        Permission(name, action)
        for name, resource in resources.items()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        for action in _actions(statement)
    }


def _actions(statement: dict[str, Any]) -> list[str]:
    if "Fn::If" in statement:
        return [action for each in statement["Fn::If"][1:] for action in _actions(each)]
    actions = statement.get("Action", [])
    # One that is given only under a condition is "Fn::If" with itself and nothing.
    return [
        each["Fn::If"][1] if isinstance(each, dict) else each
        for each in (actions if isinstance(actions, list) else [actions])
    ]


@contextmanager
def denied(world: World, permission: Permission, account: str, resource: str = "*") -> Iterator[None]:
    """Deny a role of an account's stack one action while the block runs."""
    stacks = {stack.account: stack for stack in (world.landscape.hub, *world.landscape.spokes.values())}
    role, iam = stacks[account].resources[permission.role], world.aws.client("iam", account)
    statement = {"Effect": "Deny", "Action": permission.action, "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    name = f"{_NAME}-{permission.action.replace(':', '-')}"
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=name)


def account_of(template: str, spoke: str) -> str:
    """Give the account whose stack a template is."""
    return HUB if template == "template.yaml" else spoke
