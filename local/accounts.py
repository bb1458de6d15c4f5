"""Whose credentials a local call is made with, and how a session finds the local endpoint.

A role in an account stands for everybody in it: moto takes the account of a request from the access
key, and the keys come from its STS. Nothing here reads the environment or the files in ``~/.aws``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.loaders import Loader
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

PERSONA = "local-admin"
"""Role in every local account that may do everything in it: the person at the keyboard."""

_PARTITION = "aws"
_ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    ],
}
_EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
_LOADER = Loader()  # the service models, read once for all sessions


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of one role."""

    access_key_id: str
    secret_access_key: str
    session_token: str

    def environment(self) -> dict[str, str]:
        """Give the variables that every AWS SDK reads them from."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


NO_FILES = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Variables that keep an SDK in a child process from a developer's own profiles and from instance roles."""


def role_arn(account: str, role: str) -> str:
    """Give the ARN of a role, or the text itself when it is one already."""
    return role if role.startswith("arn:") else f"arn:{_PARTITION}:iam::{account}:role/{role}"


def account_of(arn: str) -> str:
    """Give the account in an ARN."""
    return arn.split(":")[4]


def service_credentials(role: str, session_name: str, region: str) -> Credentials:
    """Assume a role the way an AWS service does it for itself, without a caller.

    Parameters
    ----------
    role
        ARN of the role. Lambda, Step Functions and EventBridge are trusted with the roles they were given.
    session_name
        Ends the ARN of the assumed role, as the function's name does for Lambda.
    """
    backend = sts_backends[account_of(role)][_PARTITION]
    assumed = backend.assume_role(region, session_name[:64], role, None, 43200, None)
    return Credentials(assumed.access_key_id, assumed.secret_access_key, assumed.session_token)


def ensure_persona(account: str, name: str = PERSONA) -> str:
    """Make a role that may do everything in an account unless it is there, and give its ARN."""
    backend = iam_backends[account][_PARTITION]
    if not any(role.name == name for role in backend.roles.values()):
        backend.create_role(
            role_name=name,
            assume_role_policy_document=json.dumps(_ANYBODY),
            path="/",
            permissions_boundary=None,
            description="The person who looks around in this local account.",
            tags=[],
            max_session_duration=43200,
        )
        backend.put_role_policy(name, "everything", json.dumps(_EVERYTHING))
    return role_arn(account, name)


class LocalSession(boto3.Session):
    """A session whose clients talk to the local endpoint unless they are told another one."""

    def __init__(self, endpoint: str, region: str, credentials: Credentials) -> None:
        core = botocore.session.Session(
            # (name in the config file, environment variable, default, conversion): neither file nor variable
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        core.register_component("data_loader", _LOADER)
        super().__init__(
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            region_name=region,
            botocore_session=core,
        )
        self.endpoint = endpoint

    def client(self, *args: Any, **kwargs: Any) -> Any:
        """Make a client, as boto3 does."""
        kwargs.setdefault("endpoint_url", self.endpoint)
        return super().client(*args, **kwargs)

    def resource(self, *args: Any, **kwargs: Any) -> Any:
        """Make a resource, as boto3 does."""
        kwargs.setdefault("endpoint_url", self.endpoint)
        return super().resource(*args, **kwargs)
