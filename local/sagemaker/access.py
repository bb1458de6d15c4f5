"""Whether a group's resource policy lets a caller from another account do something.

Inside one account the identity policies decide alone, which is not this room's business. Across accounts the
group's policy has to allow the call as well:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-version.html (register from another account).
"""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any

from local.sagemaker.values import Caller, Document, ServiceError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

# Operators and keys that the documented policies use. A condition with any other cannot be judged here:
# then an Allow does not allow and a Deny denies.
_OPERATORS = {"StringEquals": False, "StringLike": True, "ArnEquals": True, "ArnLike": True}


def check_policy(text: str) -> None:
    """Refuse a resource policy that is not a policy document.

    What the service checks is not documented beyond the length; this is the least of it.
    """
    try:
        document = json.loads(text)
        statements = _listed(document["Statement"])
        good = bool(statements) and all("Effect" in s and "Principal" in s for s in statements)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise invalid("Invalid resource policy: it must be a JSON policy document with Statement, each with "
                      "Effect, Principal, Action and Resource.")  # fmt: skip


def require(policy: str | None, caller: Caller, action: str, resources: Iterable[str]) -> None:
    """Raise ``AccessDeniedException`` unless the policy allows the action on one of the resources."""
    resources = list(resources)
    if not allows(policy, caller, action, resources):
        raise ServiceError(
            "AccessDeniedException",
            f"User: {caller.arn} is not authorized to perform: {action} on resource: {resources[0]} "
            f"because no resource-based policy allows the {action} action",
        )


def allows(policy: str | None, caller: Caller, action: str, resources: Iterable[str]) -> bool:
    """Say whether the policy allows the caller the action on one of the resources: an explicit Deny wins."""
    if policy is None:
        return False
    effects = {
        statement["Effect"]
        for resource in resources
        for statement in _listed(json.loads(policy)["Statement"])
        if _applies(statement, caller, action, resource)
    }
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Document, caller: Caller, action: str, resource: str) -> bool:
    return (
        _names(statement.get("Principal"), caller)
        and any(_like(action.lower(), item.lower()) for item in _listed(statement.get("Action", [])))
        and any(_like(resource, item) for item in _listed(statement.get("Resource", "*")))
        and _conditions(statement, caller)
    )


def _names(principal: Any, caller: Caller) -> bool:
    listed = _listed(principal.get("AWS", []) if isinstance(principal, dict) else principal)
    own = {"*", caller.account, f"arn:{caller.partition}:iam::{caller.account}:root", caller.arn}
    return any(item in own or item == caller.role_arn for item in listed)


def _conditions(statement: Document, caller: Caller) -> bool:
    values = {
        "aws:principalaccount": caller.account,
        "aws:principalarn": caller.role_arn or caller.arn,
    }
    for operator, tests in statement.get("Condition", {}).items():
        for key, wanted in tests.items():
            value = values.get(key.lower())
            if operator not in _OPERATORS or value is None:
                return bool(statement["Effect"] == "Deny")
            if not any(_like(value, w) if _OPERATORS[operator] else value == w for w in _listed(wanted)):
                return False
    return True


def _like(text: str, pattern: str) -> bool:
    # IAM knows * and ? but no character classes.
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
