"""Reads a request of a function for what it is, and makes up the answers of an AWS service in trouble."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from moto.s3.models import s3_backends

from local.faults import LoggedRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SCOPE = re.compile(r"Credential=(?P<key>[^/,]+)/\d+/[^/]+/(?P<service>[^/]+)/")
_REGISTRY = re.compile(r"/v2/(?P<repository>.+?)/(?P<kind>blobs/uploads|blobs|manifests|referrers)/")
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Request:
    """A request as it leaves a function.

    Parameters
    ----------
    url
        Path and query, quoted.
    headers
        By lower-case name.
    port
        It goes to: the registries have one for each account.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    port: int

    @property
    def path(self) -> str:
        """Unquoted."""
        return unquote(urlsplit(self.url).path)

    @cached_property
    def service(self) -> str:
        """The name it is signed for; ``registry`` for the OCI endpoint, ``storage`` for what it sends to."""
        found = _SCOPE.search(self.headers.get("authorization", ""))
        if found:
            return found["service"]
        return "registry" if self.path.startswith("/v2/") else "storage"

    @property
    def access_key(self) -> str | None:
        """Whose key it is signed with."""
        found = _SCOPE.search(self.headers.get("authorization", ""))
        return found["key"] if found else None

    @cached_property
    def name(self) -> tuple[str, str]:
        """Service and operation."""
        return self.service, self._operation()

    def _operation(self) -> str:
        if target := self.headers.get("x-amz-target"):
            return target.rpartition(".")[2]
        if self.service == "s3":
            return self._s3()
        if self.service == "sts":
            return "AssumeRole"
        if self.service == "registry":
            found = _REGISTRY.match(self.path)
            return f"{self.method} {found['kind'] if found else 'v2'}"
        return f"{self.method} blob" if self.service == "storage" else f"{self.method} {self.path}"

    def _s3(self) -> str:
        query = parse_qs(urlsplit(self.url).query, keep_blank_values=True)
        logged = LoggedRequest(self.method, self.path, query, dict(self.headers), 0)
        if logged.operation == "Uploads":
            return "CreateMultipartUpload" if self.method == "POST" else "ListMultipartUploads"
        return f"{self.method}Tagging" if logged.operation == "Tagging" else logged.operation

    @property
    def bucket(self) -> str | None:
        """The bucket in the path of a request to S3."""
        return self.path.lstrip("/").partition("/")[0] if self.service == "s3" else None

    @property
    def copied_from(self) -> str | None:
        """The bucket that a copy reads."""
        source = self.headers.get("x-amz-copy-source")
        return unquote(source).lstrip("/").partition("/")[0] if source else None

    @property
    def repository(self) -> str | None:
        """The repository in the path of a request to a registry."""
        found = _REGISTRY.match(self.path) if self.service == "registry" else None
        return found["repository"] if found else None

    def accounts_read(self, registries: Mapping[int, str], signer: Callable[[str], str]) -> set[str]:
        """Give the accounts from whose buckets, registries and API something is read.

        Parameters
        ----------
        registries
            By port, the account whose registry answers there.
        signer
            Gives the account of an access key.
        """
        found = {_owner(self.copied_from)} if self.copied_from else set()
        if self.service == "s3" and self.method in _READING:
            found.add(_owner(self.bucket or ""))
        elif self.service == "registry" and self.method in _READING:
            found.add(registries.get(self.port, f"port {self.port}"))
        elif self.access_key and self.service not in ("s3", "sts"):
            found.add(signer(self.access_key))
        return found


def _owner(bucket: str) -> str:
    known = s3_backends.bucket_accounts.get(bucket)
    return known[1] if known else f"nobody ({bucket})"


def made_up(request: Request, trouble: str) -> bytes:
    """Give the whole answer of a service in trouble: ``THROTTLED``, ``UNAVAILABLE``, ``BROKEN``, ``ERROR_IN_200``."""
    status, code = _STATUS[trouble], _CODES.get(request.service, _JSON_CODES)[trouble]
    kind, body = _body(request, code)
    if trouble == "ERROR_IN_200" and request.name == ("events", "PutEvents"):
        entry = {"ErrorCode": code, "ErrorMessage": "A fault of the test."}
        body = json.dumps({"FailedEntryCount": 1, "Entries": [entry]})
    if trouble == "THROTTLED" and request.service not in ("s3", "storage"):
        status = 429 if request.service == "registry" else 400
    head = (
        f"HTTP/1.1 {status} Fault\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        f"x-amzn-RequestId: 0\r\n\r\n"
    )
    return (head + ("" if request.method == "HEAD" else body)).encode()


def can_fail_in_200(request: Request) -> bool:
    """Tell whether AWS documents that an error may come after the status of success.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html, API_UploadPartCopy.html and
    API_CompleteMultipartUpload.html; and entries of PutEvents fail one by one:
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
    """
    return request.name in {
        ("s3", "CopyObject"),
        ("s3", "UploadPartCopy"),
        ("s3", "CompleteMultipartUpload"),
        ("events", "PutEvents"),
    }


_STATUS = {"THROTTLED": 503, "UNAVAILABLE": 503, "BROKEN": 500, "ERROR_IN_200": 200}
_JSON_CODES = {
    "THROTTLED": "ThrottlingException",
    "UNAVAILABLE": "ServiceUnavailableException",
    "BROKEN": "InternalServerError",
    "ERROR_IN_200": "InternalFailure",
}
_CODES = {
    "s3": {
        "THROTTLED": "SlowDown",
        "UNAVAILABLE": "ServiceUnavailable",
        "BROKEN": "InternalError",
        "ERROR_IN_200": "InternalError",
    },
    "sts": {"THROTTLED": "Throttling", "UNAVAILABLE": "ServiceUnavailable", "BROKEN": "InternalFailure"},
    "dynamodb": _JSON_CODES | {"THROTTLED": "ProvisionedThroughputExceededException"},
    "registry": {"THROTTLED": "TOOMANYREQUESTS", "UNAVAILABLE": "UNAVAILABLE", "BROKEN": "UNKNOWN"},
    "storage": {"THROTTLED": "SlowDown", "UNAVAILABLE": "ServiceUnavailable", "BROKEN": "InternalError"},
}


def _body(request: Request, code: str) -> tuple[str, str]:
    message = "A fault of the test."
    if request.service in ("s3", "storage"):
        return "application/xml", (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
        )
    if request.service == "sts":
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return "text/xml", f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
    if request.service == "registry":
        return "application/json", json.dumps({"errors": [{"code": code, "message": message}]})
    return "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
