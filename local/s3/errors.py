"""What Amazon S3 answers when it refuses a request."""

from __future__ import annotations

from typing import Any

from moto.s3.exceptions import S3ClientError

from local.s3.xml import document


class S3Error(S3ClientError):  # type: ignore[misc] # moto has no types
    """A refusal of S3.

    Parameters
    ----------
    code, message
        What ``<Error>`` says.
    status
        The HTTP status.
    members
        What stands beside code and message: ``Key="a"``.

    Attributes
    ----------
    headers
        Further headers of the answer.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: str) -> None:
        super().__init__(code, message)
        self.status = status
        self.members = members
        self.headers: dict[str, str] = {}

    def answer(self, method: str) -> tuple[int, dict[str, str], bytes]:
        """Return the answer: status, headers and body, which a HEAD request does not have."""
        about = {"Code": self.code, "Message": self.message, **self.members}
        body = document("Error", {**about, "RequestId": "0", "HostId": "local"}, namespace=False)
        headers = {"Content-Type": "application/xml", **self.headers}
        return self.status, headers, b"" if method == "HEAD" else body


def access_denied() -> S3Error:
    """Return the refusal for a caller without permission."""
    return S3Error("AccessDenied", "Access Denied", 403)


def invalid_request(message: str) -> S3Error:
    """Return the refusal for a request that contradicts itself or the state of its resource."""
    return S3Error("InvalidRequest", message)


def invalid_argument(message: str, name: str, value: str | None = None) -> S3Error:
    """Return the refusal for a parameter; its value is named unless it is a secret."""
    error = S3Error("InvalidArgument", message, ArgumentName=name)
    if value is not None:
        error.members["ArgumentValue"] = value
    return error


def no_such_key(key: str) -> S3Error:
    """Return the refusal for an object that is not there."""
    return S3Error("NoSuchKey", "The specified key does not exist.", 404, Key=key)


def no_such_version(key: str, version: str) -> S3Error:
    """Return the refusal for a version that is not there."""
    return S3Error("NoSuchVersion", "The specified version does not exist.", 404, Key=key, VersionId=version)


def no_such_bucket(name: str) -> S3Error:
    """Return the refusal for a bucket that is not there."""
    return S3Error("NoSuchBucket", "The specified bucket does not exist", 404, BucketName=name)


def no_such_upload(upload_id: str) -> S3Error:
    """Return the refusal for a multipart upload that was never begun, aborted or completed."""
    message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted "
        "or completed."
    )
    return S3Error("NoSuchUpload", message, 404, UploadId=upload_id)


def precondition_failed(condition: str) -> S3Error:
    """Return the refusal for a condition that does not hold."""
    message = "At least one of the pre-conditions you specified did not hold"
    return S3Error("PreconditionFailed", message, 412, Condition=condition)


def answering_errors(old: Any) -> Any:
    """Wrap moto's serialization of an answer, so that an `S3Error` is written as S3 writes it."""

    def serialized(self: Any, action_result: Any) -> Any:
        if isinstance(action_result.result, S3Error):
            return action_result.result.answer(self.request.method)
        return old(self, action_result)

    return serialized
