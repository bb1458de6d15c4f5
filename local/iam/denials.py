"""How each protocol says no.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html (the sentence)
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html#operation-error-serialization
https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#operation-error-serialization
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from local.iam.requests import Call


class Kind(Enum):
    """Why a request is refused: (S3's code, the query protocol's code, the JSON protocols' code, status)."""

    DENIED = ("AccessDenied", "AccessDenied", "AccessDeniedException", 403)
    UNKNOWN_KEY = ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", 403)
    UNSUPPORTED = ("NotImplemented", "LocalIamUnsupported", "LocalIamUnsupported", 501)
    """Nothing of AWS: a policy holds what the local AWS does not evaluate."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A request, or a step inside the local AWS, that the policies do not allow."""

    kind: Kind
    principal: str
    action: str
    resource: str
    reason: str

    @property
    def message(self) -> str:
        """The sentence that AWS writes."""
        if self.kind is not Kind.DENIED:
            return self.reason
        return (
            f"User: {self.principal} is not authorized to perform: {self.action} "
            f"on resource: {self.resource} {self.reason}"
        )


def answer(call: Call, denial: Denial, method: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Give status, headers and body of the answer to a request that is refused."""
    request = str(uuid.uuid4())
    s3_code, query_code, json_code, status = denial.kind.value
    if call.service == "s3":
        body = _s3(s3_code, denial.message, request)
        headers = [("Content-Type", "application/xml"), ("x-amz-request-id", request)]
    elif call.service in ("sts", "iam", "cloudformation") or "Action" in call.params:
        body = _query(query_code, denial.message, request)
        headers = [("Content-Type", "text/xml"), ("x-amzn-RequestId", request)]
    elif call.service == "lambda":  # REST-JSON: the error's name is a header
        body = json.dumps({"Message": denial.message}).encode()
        headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", json_code)]
    else:
        status = 400 if status == 403 else status
        content = {"__type": json_code, "message": denial.message, "Message": denial.message}
        body = json.dumps(content).encode()
        headers = [("Content-Type", "application/x-amz-json-1.0"), ("x-amzn-RequestId", request)]
        if call.service == "sqs":  # it answers with the codes of its query protocol
            headers.append(("x-amzn-query-error", f"{query_code};Sender"))
    headers.append(("Content-Length", "0" if method == "HEAD" else str(len(body))))
    return f"{status} Forbidden" if status == 403 else f"{status} Refused", headers, _body(method, body)


def _body(method: str, body: bytes) -> bytes:
    return b"" if method == "HEAD" else body


def _s3(code: str, message: str, request: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<RequestId>{request}</RequestId><HostId>local</HostId></Error>"
    ).encode()


def _query(code: str, message: str, request: str) -> bytes:
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{request}</RequestId></ErrorResponse>"
    ).encode()
