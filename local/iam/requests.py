"""From an HTTP request to the operation that is called, as far as authorization needs it.

The service and the region come from the credential scope of the signature, as in
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html; the operation
from the service models of botocore, through moto's router for the services that have paths.
Signatures themselves are not verified.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from botocore.exceptions import UnknownServiceError
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/,\s]+)/\d+/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request"
)
_SCOPE = re.compile(r"(?P<key>[^/]+)/\d+/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request")
UNKNOWN_OPERATION = "UnknownOperation"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a service's operation.

    Parameters
    ----------
    service
        The name it is signed for, for instance ``s3`` or ``states``.
    access_key
        None where the request is not signed.
    params
        Members of the operation's input. For S3: ``Bucket`` and ``Key``, the arguments of the query string
        and the headers, these in lower case.
    """

    service: str
    operation: str
    region: str
    access_key: str | None
    params: Mapping[str, Any] = field(default_factory=dict)
    source_ip: str = "127.0.0.1"

    @property
    def partition(self) -> str:
        """The partition of the region, which every ARN begins with."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def arn(self, account: str, resource: str, service: str | None = None) -> str:
        """Build the ARN of a resource in the region of the call."""
        return f"arn:{self.partition}:{service or self.service}:{self.region}:{account}:{resource}"


def read_call(environ: dict[str, Any]) -> Call:
    """Read what is called. A body that has to be looked at is put back for the next application."""
    arguments = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    query = {name: values[0] for name, values in arguments.items()}
    found = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")) or _SCOPE.fullmatch(
        query.get("X-Amz-Credential", "")
    )
    service = found["service"].lower() if found else "s3"
    operation, params = _operation(environ, service, query)
    return Call(
        service=service,
        operation=operation,
        region=(found["region"] if found else "") or "us-east-1",
        # Version 2 of the signature, which boto3 still uses for presigned URLs, names only the key.
        access_key=found["key"] if found else query.get("AWSAccessKeyId"),
        params=params,
        source_ip=environ.get("REMOTE_ADDR") or "127.0.0.1",
    )


def _operation(environ: dict[str, Any], service: str, query: dict[str, str]) -> tuple[str, Mapping[str, Any]]:
    if service == "s3":
        return _s3_operation(environ, query)
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return target.rsplit(".", 1)[-1], _json(_body(environ))
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        form = parse_qs(_body(environ).decode(), keep_blank_values=True)
        query = query | {name: values[0] for name, values in form.items()}
    if "Action" in query:
        return query["Action"], query
    return _routed(environ, service)


def _s3_operation(environ: dict[str, Any], query: dict[str, str]) -> tuple[str, Mapping[str, Any]]:
    operation, labels = _routed(environ, "s3")
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    params: dict[str, Any] = headers | query | dict(labels)
    if operation == "DeleteObjects":
        params["body"] = _body(environ)
    return operation, params


def _routed(environ: dict[str, Any], service: str) -> tuple[str, Mapping[str, Any]]:
    try:
        operation, labels = get_service_router(service).match(Request(environ))
    except (NotFound, NotImplementedError, ValueError):
        return UNKNOWN_OPERATION, {}
    except UnknownServiceError:  # nothing is known about it
        return UNKNOWN_OPERATION, {}
    return operation.name, labels


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:  # the service says what is wrong with it; CBOR is not read
        return {}
    return found if isinstance(found, dict) else {}
