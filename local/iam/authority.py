"""Who may do what: callers, policies and requests brought together, and the answers that are no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from moto.sts.models import sts_backends

from local.evidence import Evidence, Rule
from local.iam.denials import Denial, Kind
from local.iam.directory import (
    PERSONA,
    RESOURCE_POLICIES,
    Caller,
    MotoBuckets,
    Sessions,
    identity_policies,
    limiting_policies,
    load,
    role_caller,
    role_exists,
    trust_policy,
)
from local.iam.operations import accesses, account_of, session_tags, transitive_keys
from local.iam.policy import Access, Decision, Policies, PolicyError, Principal, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.iam.requests import Call


RULES: tuple[Rule, ...] = (
    Rule(
        "iam-evaluation",
        "A call is allowed when a policy allows it and none denies it; across accounts both sides have to allow it.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html",
    ),
    Rule(
        "iam-session-policies",
        "A session has what both its role and the policy of the session allow.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session",
    ),
    Rule(
        "iam-transitive-tags",
        "Transitive session tags stay in a chain of roles, and a caller cannot set them anew.",
        Evidence.DOCUMENTED,
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html",
    ),
)


class Authority:
    """Decides, and keeps what it refused in `denials`.

    Parameters
    ----------
    enforce
        False lets everything through, and still writes to `denials` what would have been refused.
    resource_policies
        By service: a callable from a resource's ARN to its policy, or None. Over those that read moto's
        buckets, queues, event buses, repositories and functions.
    organization
        The id of the organization, for ``aws:PrincipalOrgID`` and ``aws:ResourceOrgID``.

    Attributes
    ----------
    outside
        The accounts that do not belong to it; every other one does.
    """

    def __init__(
        self,
        *,
        enforce: bool = True,
        resource_policies: Mapping[str, Callable[[str], Any]] | None = None,
        organization: str | None = None,
    ) -> None:
        self.enforce = enforce
        self.denials: list[Denial] = []
        self._sessions = Sessions()
        self._buckets = MotoBuckets()
        self._resource_policies = {**RESOURCE_POLICIES, **(resource_policies or {})}
        self._organization = organization
        self.outside: set[str] = set()

    def forget(self) -> None:
        """Forget the sessions and the denials, as when moto is reset."""
        self._sessions.forget()
        self.denials.clear()

    # What other parts of the local AWS ask

    def authorize(
        self, access_key: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> Decision:
        """Decide for the holder of an access key, for an endpoint of its own such as a registry's."""
        caller = self._sessions.find(access_key)
        if caller is None:
            return Decision(False, f"because the access key {access_key} is not one of a session")
        return self._settle(caller, Access(action, resource, self._owner(resource), context or {}))

    def authorize_role(
        self, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> Decision:
        """Decide for a role that a service uses: a rule's target, an event source, a state machine."""
        caller = role_caller(role_arn, "service")
        return self._settle(caller, Access(action, resource, self._owner(resource), context or {}))

    def authorize_service(
        self,
        service: str,
        action: str,
        resource: str,
        *,
        source_arn: str | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Decision:
        """Decide for a service that acts by itself, by the resource's policy alone.

        Parameters
        ----------
        service
            Its principal, for instance ``events.amazonaws.com``.
        source_arn
            The resource on whose behalf: ``aws:SourceArn``; its account is ``aws:SourceAccount``.
        """
        keys = {"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": service}
        if source_arn:
            keys |= {"aws:SourceArn": source_arn, "aws:SourceAccount": account_of(source_arn) or ""}
        access = Access(action, resource, self._owner(resource), {**keys, **(context or {})})
        return self._settle(Caller(Principal(service=service)), access)

    def service_credentials(
        self,
        role_arn: str,
        service: str,
        *,
        session: str = "service",
        source_arn: str | None = None,
        region: str = "us-east-1",
    ) -> dict[str, str]:
        """Assume a role for a service, as Lambda does for a function; the role has to trust the service.

        Parameters
        ----------
        session
            Name of the session; Lambda takes the function's.
        source_arn
            The rule or the state machine on whose behalf, for trust policies that ask for
            ``aws:SourceArn`` or ``aws:SourceAccount``.

        Returns
        -------
        ``AccessKeyId``, ``SecretAccessKey`` and ``SessionToken``.

        Raises
        ------
        PermissionError
            When the role does not exist or its trust policy does not let the service in.
        """
        decision = self.authorize_service(service, "sts:AssumeRole", role_arn, source_arn=source_arn)
        if not decision.allowed:
            raise PermissionError(f"{service} cannot assume {role_arn} {decision.reason}")
        caller = role_caller(role_arn, session[:64])
        backend = sts_backends[caller.principal.account]["aws"]
        made = backend.assume_role(region, session[:64], role_arn, None, 43200, None)
        self._sessions.remember(made.access_key_id, caller)
        return {
            "AccessKeyId": made.access_key_id,
            "SecretAccessKey": made.secret_access_key,
            "SessionToken": made.session_token,
        }

    # Deciding

    def caller(self, call: Call) -> Caller | None:
        """Give who calls; None for an access key that nobody has."""
        if call.access_key is None:
            return Caller(Principal())
        return self._sessions.find(call.access_key)

    def refuse(self, call: Call, caller: Caller | None) -> Denial | None:
        """Give, and keep, why a call is refused; None lets it through."""
        return self._kept(self._refusal(call, caller))

    def refuse_listing(self, call: Call, caller: Caller, bucket: str) -> Denial | None:
        """Give, and keep, why a caller may not know which objects are in a bucket; None if it may."""
        owner = self._buckets.owner(bucket)
        if owner is None:
            return None
        arn = f"arn:{call.partition}:s3:::{bucket}"
        return self._kept(
            self._judge(caller, Access("s3:ListBucket", arn, owner, {"s3:ResourceAccount": owner}), call)
        )

    def remember(self, call: Call, caller: Caller | None, access_key: str) -> None:
        """Keep what moto does not keep of a session that AssumeRole made: its tags and its policy."""
        inherited = {key: caller.tags[key] for key in caller.transitive} if caller else {}
        policy = call.params.get("Policy")
        session = role_caller(
            call.params["RoleArn"],
            call.params.get("RoleSessionName", ""),
            tags=session_tags(call) | inherited,
            transitive=(*inherited, *transitive_keys(call)),
            session_policy=load(policy) if policy else None,
        )
        self._sessions.remember(access_key, session)

    def _kept(self, denial: Denial | None) -> Denial | None:
        if denial is None:
            return None
        self.denials.append(denial)
        return denial if self.enforce else None

    def _refusal(self, call: Call, caller: Caller | None) -> Denial | None:
        name = f"{call.service}:{call.operation}"
        to_persona = name == "sts:AssumeRole" and call.params.get("RoleArn", "").endswith(f":role/{PERSONA}")
        if to_persona and (caller is None or caller.persona):
            return None  # how the person at the keyboard signs in, with whatever keys
        if caller is None:
            reason = (
                f"The security token included in the request is invalid: {call.access_key} is nobody's key."
            )
            return Denial(Kind.UNKNOWN_KEY, str(call.access_key), name, "*", reason)
        principal = caller.principal
        if to_persona:
            return _denied(principal, name, call.params["RoleArn"], f"because {PERSONA} is for people only")
        if principal.arn and not caller.persona and not role_exists(principal.arn):
            reason = f"because the role {principal.arn} does not exist: create it, or deploy its stack"
            return _denied(principal, name, "*", reason)
        try:
            needed, known = self._needed(call, principal.account or "")
        except PolicyError as error:
            return Denial(
                Kind.UNSUPPORTED, str(principal), name, "*", f"The local AWS refuses {name}: {error}"
            )
        if not known and not caller.persona:
            reason = (
                f"because the local AWS does not know which permissions {name} needs: add it to local/iam"
            )
            return _denied(principal, name, "*", reason)
        return next((d for access in needed if (d := self._judge(caller, access, call))), None)

    def _needed(self, call: Call, own: str) -> tuple[list[Access], bool]:
        try:
            return accesses(call, own, self._buckets)
        except (KeyError, TypeError, AttributeError, ValueError, ParseError):
            return [], False  # a malformed request: moto says so to who may see it

    def _judge(self, caller: Caller, access: Access, call: Call | None = None) -> Denial | None:
        context = self._context(caller, access, call)
        try:
            policies = self._policies(caller, access)
            asked = Access(access.action, access.resource, access.account, context)
            decision = evaluate(caller.principal, asked, policies)
        except PolicyError as error:
            reason = (
                f"The local AWS cannot tell whether {access.action} on {access.resource} is allowed: {error}"
            )
            return Denial(Kind.UNSUPPORTED, str(caller.principal), access.action, access.resource, reason)
        if decision.allowed:
            return None
        return _denied(caller.principal, access.action, access.resource, decision.reason)

    def _settle(self, caller: Caller, access: Access) -> Decision:
        """Decide for a part of the local AWS, and keep the denial."""
        denial = self._kept(self._judge(caller, access))
        return Decision(denial is None, denial.reason if denial else "")

    def _policies(self, caller: Caller, access: Access) -> Policies:
        service = access.action.partition(":")[0]
        trust = service == "sts"
        resource = None
        if trust:
            resource = trust_policy(access.resource)
        elif access.resource != "*":
            find = self._resource_policies.get(service)
            text = find(access.resource) if find else None
            resource = load(text) if text else None
        return Policies(
            identity=identity_policies(caller),
            resource=resource,
            limits=limiting_policies(caller),
            resource_must_allow=trust,
            resource_kind="role trust" if trust else "resource-based",
        )

    def _context(self, caller: Caller, access: Access, call: Call | None) -> dict[str, str | tuple[str, ...]]:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        principal = caller.principal
        values: dict[str, str | None] = {
            "aws:SecureTransport": "true",  # loopback stands for TLS
            "aws:ResourceAccount": access.account,
            "aws:PrincipalAccount": principal.account,
            "aws:PrincipalArn": principal.arn,
            "aws:PrincipalIsAWSService": "false",
            "aws:RequestedRegion": call.region if call else None,
            "aws:SourceIp": call.source_ip if call else None,
            "aws:PrincipalOrgID": self.organization_of(principal.account),
            "aws:ResourceOrgID": self.organization_of(access.account),
            "aws:PrincipalType": "AssumedRole" if principal.session_arn else None,
        }
        tags = {f"aws:PrincipalTag/{key}": value for key, value in caller.tags.items()}
        known = {key: value for key, value in values.items() if value is not None}
        return {**known, **tags, **access.context}

    def organization_of(self, account: str | None) -> str | None:
        """Give the organization of an account; None for one outside, and for what has no account."""
        return self._organization if account and account not in self.outside else None

    def _owner(self, resource: str) -> str | None:
        if resource.startswith("arn:") and resource.split(":")[2] == "s3":
            return self._buckets.owner(resource.split(":", 5)[5].partition("/")[0])
        return account_of(resource)


def _denied(principal: Principal, action: str, resource: str, reason: str) -> Denial:
    return Denial(Kind.DENIED, str(principal), action, resource, reason)
