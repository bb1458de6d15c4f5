"""Who signed a request, as moto knows it: its STS hands out the credentials that choose the account."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from moto.iam.models import get_account_id_from, iam_backends
from moto.sts.models import sts_backends

from local.sagemaker.values import Caller, ServiceError, partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCOPE = re.compile(r"Credential=(?P<key>[^/,\s]+)/\d{8}/(?P<region>[^/]+)/[^/]+/aws4_request")


def moto_caller(environ: Mapping[str, object]) -> Caller:
    """Find account, region and identity behind the Authorization header of a WSGI request.

    An access key that moto's STS and IAM did not hand out belongs to moto's default account, as with all
    other services of moto, and acts there as the root user.

    Raises
    ------
    ServiceError
        ``MissingAuthenticationTokenException`` for a request that is not signed.
    """
    found = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    if not found:
        raise ServiceError("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    key, region = found["key"], found["region"]
    account, partition = get_account_id_from(key), partition_of(region)
    for session in list(sts_backends[account][partition].assumed_roles):
        if session.access_key_id == key:
            role_id = _role_id(account, partition, session.role_arn)
            return Caller(account, region, session.arn, f"{role_id}:{session.session_name}", session.role_arn)
    for user in list(iam_backends[account][partition].users.values()):
        if user.has_access_key(key):
            return Caller(account, region, user.arn, user.id)
    return Caller(account, region, f"arn:{partition}:iam::{account}:root", account)


def _role_id(account: str, partition: str, role_arn: str) -> str:
    for role in list(iam_backends[account][partition].roles.values()):
        if role.arn == role_arn:
            return str(role.id)
    # moto lets roles be assumed that do not exist: those get an id that is at least always the same.
    return "AROA" + hashlib.sha256(role_arn.encode()).hexdigest()[:17].upper()
