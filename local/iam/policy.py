"""Whether policies allow one access. Pure: policies, principal and request in, decision out.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html (the reasons)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from local.iam.conditions import holds
from local.iam.patterns import PolicyError, matches_arn, pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Access", "Decision", "Policies", "PolicyError", "Principal", "evaluate"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Parameters
    ----------
    account
        The principal's account; None for an AWS service and for an anonymous caller.
    arn
        Of the role, the user or the account's root.
    session_arn
        ``arn:aws:sts::<account>:assumed-role/<role>/<session>`` of a role's session.
    service
        For instance ``events.amazonaws.com`` where an AWS service asks for itself.
    """

    account: str | None = None
    arn: str | None = None
    session_arn: str | None = None
    service: str | None = None

    def __str__(self) -> str:
        return self.session_arn or self.arn or self.service or "anonymous"


@dataclass(frozen=True, slots=True)
class Access:
    """One action on one resource; a request may need several."""

    action: str
    resource: str
    account: str | None = None
    """The account that owns the resource; None for actions on no resource, which is ``*``."""
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that apply to an access."""

    identity: tuple[Mapping[str, Any], ...] = ()
    resource: Mapping[str, Any] | None = None
    limits: tuple[Mapping[str, Any], ...] = ()
    """The session policy and the permissions boundary: each must allow too."""
    resource_must_allow: bool = False
    """For role trust policies, which have to allow even a principal of their own account."""
    resource_kind: str = "resource-based"
    """What the reason calls the resource's policy."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether it is allowed; ``reason`` is the end of AWS's sentence where it is not."""

    allowed: bool
    reason: str = ""


class _Grant(IntEnum):
    """How far a resource's policy goes for a principal of the same account."""

    NONE = 0
    DELEGATED = 1  # to the account: its identity policies decide
    PRINCIPAL = 2  # to the role, or to everyone: limited by session policy and boundary
    SESSION = 3  # to the very session: not even limited by those


def evaluate(principal: Principal, access: Access, policies: Policies) -> Decision:
    """Decide on one access.

    An explicit deny anywhere wins. Inside one account the identity's or the resource's policy must allow,
    across accounts both. Raises `PolicyError` where a policy holds what is not evaluated here.
    """
    identity = [_effect(document, access) for document in policies.identity]
    limits = [_effect(document, access) for document in policies.limits]
    denied, grant = _resource_effect(policies.resource, principal, access)
    if "Deny" in identity:
        return Decision(False, "with an explicit deny in an identity-based policy")
    if denied:
        return Decision(False, f"with an explicit deny in a {policies.resource_kind} policy")
    if "Deny" in limits:
        return Decision(False, "with an explicit deny in a session policy or permissions boundary")
    limited = not all(effect == "Allow" for effect in limits)
    if grant is _Grant.SESSION and _same_account(principal, access):
        return Decision(True)
    if limited:
        reason = f"because no session policy or permissions boundary allows the {access.action} action"
        return Decision(False, reason)
    return _combine(principal, access, policies, "Allow" in identity, grant)


def _combine(
    principal: Principal, access: Access, policies: Policies, by_identity: bool, grant: _Grant
) -> Decision:
    no_resource = Decision(
        False, f"because no {policies.resource_kind} policy allows the {access.action} action"
    )
    no_identity = Decision(False, f"because no identity-based policy allows the {access.action} action")
    if principal.account is None:  # a service or an anonymous caller: it has no identity policies
        return Decision(True) if grant > _Grant.DELEGATED else no_resource
    if not _same_account(principal, access):
        if not grant:
            return no_resource
        return Decision(True) if by_identity else no_identity
    if grant >= _Grant.PRINCIPAL:
        return Decision(True)
    if policies.resource_must_allow and not grant:
        return no_resource
    return Decision(True) if by_identity else no_identity


def _same_account(principal: Principal, access: Access) -> bool:
    return access.account is None or principal.account == access.account


def _effect(document: Mapping[str, Any], access: Access) -> str:
    """Give ``Deny``, ``Allow`` or the empty text for a policy without principals."""
    for statement in _statements(document):
        if not _checked(statement).keys() & {"Resource", "NotResource"} or "Principal" in statement:
            raise PolicyError(f"an identity's statement has a Resource and no Principal: {statement}")
    effects = {s["Effect"] for s in _statements(document) if _applies(s, document, access)}
    return "Deny" if "Deny" in effects else "Allow" if effects else ""


def _resource_effect(
    document: Mapping[str, Any] | None, principal: Principal, access: Access
) -> tuple[bool, _Grant]:
    denied, best = False, _Grant.NONE
    for statement in _statements(document or {}):
        grant = _grants_to(_checked(statement), principal)
        if grant and _applies(statement, document or {}, access):
            denied |= statement["Effect"] == "Deny"
            best = max(best, grant)
    return denied, best


_ELEMENTS = frozenset(
    {"Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


def _checked(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = statement.keys() - _ELEMENTS
    if unknown:
        raise PolicyError(f"{', '.join(sorted(unknown))} is not evaluated by the local AWS: {statement}")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"a statement's Effect is Allow or Deny: {statement}")
    if ("Action" in statement) == ("NotAction" in statement):
        raise PolicyError(f"a statement has either Action or NotAction: {statement}")
    return statement


def _applies(statement: Mapping[str, Any], document: Mapping[str, Any], access: Access) -> bool:
    """Tell whether action, resource and condition fit. Trust policies have no Resource: it is the role."""
    variables = document.get("Version") == "2012-10-17"
    if "Action" in statement:
        fits = _action_in(statement["Action"], access.action)
    else:
        fits = not _action_in(statement["NotAction"], access.action)
    if "Resource" in statement:
        fits = fits and _resource_in(statement["Resource"], access, variables)
    elif "NotResource" in statement:
        fits = fits and not _resource_in(statement["NotResource"], access, variables)
    return fits and holds(statement.get("Condition", {}), access.context, variables=variables)


def _action_in(actions: Any, action: str) -> bool:
    for text in _listed(actions):
        if text != "*" and ":" not in text:
            raise PolicyError(f"{text!r} is not an action: <service>:<action>")
        compiled = pattern(text, {}, variables=False, ignore_case=True)
        if compiled and compiled.fullmatch(action):
            return True
    return False


def _resource_in(resources: Any, access: Access, variables: bool) -> bool:
    return any(
        matches_arn(text, access.resource, access.context, variables=variables) for text in _listed(resources)
    )


_ACCOUNT = re.compile(r"\d{12}|arn:[a-z-]+:iam::(?P<account>\d{12}):root")
_NAMED = re.compile(r"arn:[a-z-]+:(?:iam::\d{12}:(?:role|user)|sts::\d{12}:assumed-role)/[^*?]+")


def _grants_to(statement: Mapping[str, Any], principal: Principal) -> _Grant:
    """Tell whether, and how closely, a statement's Principal names the principal."""
    named = statement.get("Principal")
    if named is None:
        raise PolicyError(f"a statement of a resource's policy needs a Principal: {statement}")
    if named == "*":
        return _Grant.PRINCIPAL
    if not isinstance(named, dict) or named.keys() - {"AWS", "Service"}:
        raise PolicyError(f"Principal is '*' or has AWS and Service, others are not evaluated: {named}")
    if principal.service is not None and principal.service in _listed(named.get("Service", [])):
        return _Grant.PRINCIPAL
    grants = [_grant(str(text), principal) for text in _listed(named.get("AWS", []))]
    return max(grants, default=_Grant.NONE)


def _grant(text: str, principal: Principal) -> _Grant:
    if text == "*":
        return _Grant.PRINCIPAL
    if whole := _ACCOUNT.fullmatch(text):
        account = whole["account"] or text
        return _Grant.DELEGATED if account == principal.account else _Grant.NONE
    if not _NAMED.fullmatch(text):
        raise PolicyError(f"{text!r} is not a principal: an account, or the ARN of a role, user or session")
    if text == principal.session_arn:
        return _Grant.SESSION
    return _Grant.PRINCIPAL if text == principal.arn else _Grant.NONE


def _statements(document: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    statements = _listed(document.get("Statement", []))
    if not all(isinstance(statement, dict) for statement in statements):
        raise PolicyError(f"a statement is an object with Effect, Action and Resource: {statements}")
    return statements


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
