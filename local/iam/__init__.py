"""IAM for the local AWS: who may do what, decided as IAM decides it.

moto keeps policies without asking them: conditions, resource policies and trust policies have no effect
in it. Here they have. `IamMiddleware` stands in front of moto's WSGI application::

    app = IamMiddleware(moto_app, organization="o-example", resource_policies={"sagemaker": group_policy})
    app.authority.denials    # what was refused, as `Denial`; with enforce=False what would have been
    app.authority.forget()   # together with a reset of moto

Callers. The role ``local-admin`` of any account is that account's administrator, whether IAM has it or not:
everything in its own account, in others what their resource policies allow. Any key but those of another
role's session may assume it. Every other role must be in IAM; to assume it, its trust policy must allow the
caller. Unsigned requests are anonymous: only a bucket policy can let them in.

Inside the local AWS, where no request is made:

- `Authority.service_credentials`: a role for a service (a function's role for Lambda), if it trusts it;
- `Authority.authorize_service`: may EventBridge, by the queue's policy, send to it for this rule?
- `Authority.authorize_role`: may the role of a target, an event source or a state machine do this?
- `Authority.authorize`: may the holder of this access key? For endpoints of their own, as registries.

What is not done: signatures are not verified; ``iam:PassRole``, KMS (key policies, grants, and decryption
on behalf of S3), service control policies, S3 ACLs and access points are not asked; ``ManagedPolicyArns``
of a role in a template is dropped by moto, so what it grants is missing. An operation whose permissions are
not known here is refused to every role by name. A policy with an element, an operator or a condition key
that is not known here is answered with 501 `LocalIamUnsupported` rather than guessed at.
"""

from local.iam.authority import Authority
from local.iam.denials import Denial, Kind
from local.iam.middleware import IamMiddleware
from local.iam.policy import Access, Decision, Policies, PolicyError, Principal, evaluate

__all__ = [
    "Access",
    "Authority",
    "Decision",
    "Denial",
    "IamMiddleware",
    "Kind",
    "Policies",
    "PolicyError",
    "Principal",
    "evaluate",
]
