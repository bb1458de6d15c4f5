"""Who a caller is and which policies there are, looked up in moto's backends.

What moto does not keep is kept here: the tags and the policy of each session.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend
from moto.ecr.models import ecr_backends
from moto.events.models import events_backends
from moto.iam.models import get_account_id_from, iam_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.sts.models import sts_backends

from local.iam.patterns import PolicyError
from local.iam.policy import Principal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PERSONA = "local-admin"
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_ROLE_ARN = re.compile(r"arn:(?P<partition>[a-z-]+):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[^/]+)")

Document = dict[str, Any]
FindPolicy = "Callable[[str], str | None]"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose access key a request is signed with."""

    principal: Principal
    tags: Mapping[str, str] = field(default_factory=dict)
    """``aws:PrincipalTag``: those of the session over those of the role."""
    transitive: tuple[str, ...] = ()
    session_policy: Document | None = None

    @property
    def persona(self) -> bool:
        """Whether it is the administrator of its account, the person at the keyboard."""
        return (self.principal.arn or "").endswith(f":role/{PERSONA}")


def role_caller(role_arn: str, session: str, **more: Any) -> Caller:
    """Make the caller that a session of a role is. Raises `ValueError` if it is not a role's ARN."""
    found = _ROLE_ARN.fullmatch(role_arn)
    if not found:
        raise ValueError(f"{role_arn!r} is not the ARN of a role")
    arn = f"arn:{found['partition']}:sts::{found['account']}:assumed-role/{found['name']}/{session}"
    tags = role_tags(role_arn) | more.pop("tags", {})
    return Caller(Principal(found["account"], role_arn, arn), tags, **more)


class Sessions:
    """The sessions whose AssumeRole was seen; others are those that moto made for its own."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}

    def remember(self, access_key: str, caller: Caller) -> None:
        """Keep what the access key of a session stands for."""
        self._callers[access_key] = caller

    def forget(self) -> None:
        """Forget every session."""
        self._callers.clear()

    def find(self, access_key: str) -> Caller | None:
        """Give the caller of an access key; None when no session has it."""
        if access_key in self._callers:
            return self._callers[access_key]
        account = get_account_id_from(access_key)
        for backend in sts_backends[account].values():
            assumed = backend.get_assumed_role_from_access_key(access_key)
            if assumed:
                return role_caller(assumed.role_arn, assumed.session_name)
        return None


def _role(arn: str) -> Any:
    """Give moto's role, or None."""
    found = _ROLE_ARN.fullmatch(arn)
    if not found:
        return None
    roles = iam_backends[found["account"]][found["partition"]].get_roles()
    return next((role for role in roles if role.arn == arn), None)


def role_exists(arn: str) -> bool:
    """Tell whether IAM has the role."""
    return _role(arn) is not None


def role_tags(arn: str) -> dict[str, str]:
    """Give the tags of a role; none when it does not exist."""
    role = _role(arn)
    return {tag["Key"]: tag["Value"] for tag in role.tags or ()} if role else {}


def trust_policy(arn: str) -> Document | None:
    """Give the policy that says who may assume a role; None when there is no such role."""
    role = _role(arn)
    return load(role.assume_role_policy_document) if role else None


def identity_policies(caller: Caller) -> tuple[Document, ...]:
    """Give the inline and attached policies of a caller's role."""
    if caller.persona:
        return (_EVERYTHING,)
    role = _role(caller.principal.arn or "")
    if role is None:
        return ()
    inline = [load(text) for text in role.policies.values()]
    return (*inline, *(_managed(policy) for policy in role.managed_policies.values()))


def limiting_policies(caller: Caller) -> tuple[Document, ...]:
    """Give the session's policy and the role's permissions boundary, where there are any."""
    limits = [caller.session_policy] if caller.session_policy else []
    role = None if caller.persona else _role(caller.principal.arn or "")
    if role is not None and role.permissions_boundary_arn:
        policies = iam_backends[role.account_id][role.partition].managed_policies
        if role.permissions_boundary_arn not in policies:
            raise PolicyError(f"the permissions boundary {role.permissions_boundary_arn} does not exist")
        limits.append(_managed(policies[role.permissions_boundary_arn]))
    return tuple(limits)


def _managed(policy: Any) -> Document:
    version = next(v for v in policy.versions if v.version_id == policy.default_version_id)
    return load(version.document)


def load(text: Any) -> Document:
    """Read a policy as moto keeps it: text, bytes, or what CloudFormation made of YAML."""
    if isinstance(text, (str, bytes)):
        return _parsed(text)
    return _parsed(json.dumps(text, default=str))  # YAML reads a bare 2012-10-17 as a date


@functools.lru_cache(maxsize=512)
def _parsed(text: str | bytes) -> Document:
    document = _without_nulls(json.loads(text))
    if not isinstance(document, dict):
        raise PolicyError(f"not a policy document: {text!r}")
    return document


def _without_nulls(value: Any) -> Any:
    """Drop what moto's CloudFormation leaves of ``AWS::NoValue``; a policy has no null of its own."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


class MotoBuckets:
    """`local.iam.s3_operations.Buckets` of moto."""

    def owner(self, bucket: str) -> str | None:
        """Give the account that owns the bucket."""
        found = s3_backends.bucket_accounts.get(bucket)
        return found[1] if found else None

    def has_tags(self, bucket: str, key: str, version: str | None) -> bool:
        """Tell whether the object is there and has tags."""
        account = self.owner(bucket)
        if account is None:
            return False
        backend = s3_backends[account]["aws"]
        found = backend.get_object(bucket, key, version_id=version)
        return bool(found and backend.tagger.get_tag_dict_for_resource(found.arn))


def _bucket_policy(arn: str) -> Any:
    bucket = arn.split(":", 5)[5].partition("/")[0]
    owner = s3_backends.bucket_accounts.get(bucket)
    return s3_backends[owner[1]][owner[0]].get_bucket(bucket).policy if owner else None


def _queue_policy(arn: str) -> Any:
    _, _, _, region, account, name = arn.split(":", 5)
    queue = sqs_backends[account][region].queues.get(name)
    return queue.policy if queue else None


def _bus_policy(arn: str) -> Any:
    _, _, _, region, account, resource = arn.split(":", 5)
    kind, _, name = resource.partition("/")
    bus = events_backends[account][region].event_buses.get(name) if kind == "event-bus" else None
    return bus.policy if bus else None


def _repository_policy(arn: str) -> Any:
    _, _, _, region, account, resource = arn.split(":", 5)
    repository = ecr_backends[account][region].repositories.get(resource.removeprefix("repository/"))
    return repository.policy if repository else None


def _function_policy(arn: str) -> Any:
    parts = arn.split(":")
    try:
        function = get_backend(parts[4], parts[3]).get_function(parts[6])
    except UnknownFunctionException:
        return None
    # moto keeps what CloudFormation gave it beside the members of a statement.
    statements = [
        {name: value for name, value in each.items() if name != "FunctionName"}
        for each in function.policy.statements
    ]
    return {"Version": "2012-10-17", "Statement": statements} if statements else None


RESOURCE_POLICIES: dict[str, Callable[[str], Any]] = {
    "ecr": _repository_policy,
    "events": _bus_policy,
    "lambda": _function_policy,
    "s3": _bucket_policy,
    "sqs": _queue_policy,
}
"""By service: from a resource's ARN to its policy, or None."""
