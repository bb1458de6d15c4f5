"""Whether the policy on a bus, queue or function lets an AWS service or another account in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.accounts import account_of
from local.iam.policy import Access, Policies, Principal, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


def permits(
    policy: Mapping[str, Any], principal: Principal, action: str, resource: str, context: Mapping[str, str]
) -> bool:
    """Evaluate a resource's policy alone: the principal's own policies are taken to allow it."""
    access = Access(action=action, resource=resource, account=account_of(resource), context=dict(context))
    policies = Policies(identity=(_ANYTHING,), resource=policy, resource_must_allow=True)
    return evaluate(principal, access, policies).allowed


def service_may(
    policy: Mapping[str, Any] | None, service: str, action: str, resource: str, source_arn: str
) -> bool:
    """Tell whether a policy lets an AWS service act on a resource for one of our own resources.

    Parameters
    ----------
    service
        For instance ``events.amazonaws.com``.
    source_arn
        What the service acts for, a rule for instance: ``aws:SourceArn``.
    """
    context = {
        "aws:SourceArn": source_arn,
        "aws:SourceAccount": account_of(source_arn),
        "aws:PrincipalServiceName": service,
        "aws:PrincipalIsAWSService": "true",
        "aws:SecureTransport": "true",
    }
    return permits(policy or {}, Principal(service=service), action, resource, context)
