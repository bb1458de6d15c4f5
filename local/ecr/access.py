"""Whether another account gets into a repository: its policy, read as far as a registry needs.

Only what an account may do in another's repository is decided here. Identity policies are the room of
`local.iam`: give `LocalRegistry` its decision as ``authorize`` and it is asked for every request.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html
"""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any

from local.evidence import Evidence, Rule

if TYPE_CHECKING:
    from local.ecr.tokens import Caller

RULES: tuple[Rule, ...] = (
    Rule(
        "ecr-repository-policy",
        "Another account gets into a repository by its policy only; a Deny wins.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policies.html",
    ),
)


def policy_allows(policy: str | None, caller: Caller, action: str) -> bool:
    """Say whether a repository's policy lets a caller from another account do something.

    A statement with a condition allows nothing: conditions are not understood here.
    """
    matching = [
        statement
        for statement in _listed(json.loads(policy or "{}").get("Statement"))
        if _is_for(statement, caller) and _is_about(statement, action)
    ]
    denied = any(statement.get("Effect") == "Deny" for statement in matching)
    allowed = any(
        statement.get("Effect") == "Allow" and not statement.get("Condition") for statement in matching
    )
    return allowed and not denied


def _is_for(statement: dict[str, Any], caller: Caller) -> bool:
    principal = statement.get("Principal")
    if principal == "*":
        return True
    named = _listed(principal.get("AWS")) if isinstance(principal, dict) else []
    own = {"*", caller.account, f"arn:aws:iam::{caller.account}:root", caller.role_arn}
    return any(name in own for name in named)


def _is_about(statement: dict[str, Any], action: str) -> bool:
    patterns = _listed(statement.get("Action"))
    return any(fnmatch.fnmatchcase(action.lower(), str(pattern).lower()) for pattern in patterns)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
