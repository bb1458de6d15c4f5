"""SageMaker's wire protocol (JSON 1.1) in front of another WSGI application.

The protocol is the only one in ``protocols`` of the installed service model, so it is what every SDK sends.
"""

from __future__ import annotations

import io
import json
import logging
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local.sagemaker.callers import moto_caller
from local.sagemaker.validation import service_model
from local.sagemaker.values import Caller, Document, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from botocore.model import Shape

    from local.sagemaker.registry import SageMakerRegistry

_LOG = logging.getLogger(__name__)
_TARGET = "SageMaker."
_CONTENT_TYPE = "application/x-amz-json-1.1"


class SageMakerMiddleware:
    """Answers what the registry serves and passes everything else on.

    Parameters
    ----------
    app
        The application behind: moto's server.
    registry
        The registry. A reset of moto (``POST /moto-api/reset``) resets it too.
    caller
        Finds the caller of a request in its WSGI environment.
    """

    def __init__(
        self,
        app: WSGIApplication,
        registry: SageMakerRegistry,
        caller: Callable[[Mapping[str, object]], Caller] = moto_caller,
    ) -> None:
        self._app = app
        self._registry = registry
        self._caller = caller

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if environ.get("PATH_INFO") == "/moto-api/reset" and environ.get("REQUEST_METHOD") == "POST":
            self._registry.reset()
        if not target.startswith(_TARGET):
            return self._app(environ, start_response)
        operation = target.removeprefix(_TARGET)
        raw = Request(environ).get_data()
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        if not self._registry.serves(operation, body):
            environ["wsgi.input"] = io.BytesIO(raw)
            environ["CONTENT_LENGTH"] = str(len(raw))
            return self._app(environ, start_response)
        return self._answer(operation, body, environ)(environ, start_response)

    def _answer(self, operation: str, body: Any, environ: WSGIEnvironment) -> Response:
        headers = {"x-amzn-RequestId": str(uuid.uuid4())}
        try:
            answer = self._registry.handle(operation, self._caller(environ), body)
        except Exception as problem:
            error = _as_service_error(operation, problem)
            payload = json.dumps({"__type": error.code, "message": error.message})
            return Response(payload, error.status, headers, content_type=_CONTENT_TYPE)
        shape = service_model().operation_model(operation).output_shape
        payload = json.dumps(serialize(shape, answer)) if shape else ""
        return Response(payload, 200, headers, content_type=_CONTENT_TYPE)


def _as_service_error(operation: str, problem: Exception) -> ServiceError:
    if isinstance(problem, ServiceError):
        return problem
    _LOG.error("%s failed inside the local registry", operation, exc_info=problem)
    return ServiceError("InternalFailure", f"The local registry failed: {problem!r}", 500)


def serialize(shape: Shape, value: Any) -> Any:
    """Turn an answer into JSON by its shape: only members of the shape, timestamps as epoch seconds."""
    kind = shape.type_name
    if kind == "structure":
        members: Mapping[str, Shape] = shape.members  # type: ignore[attr-defined]
        found: Document = {
            name: serialize(member, value[name]) for name, member in members.items() if name in value
        }
        return found
    if kind == "list":
        return [serialize(shape.member, item) for item in value]  # type: ignore[attr-defined]
    if kind == "map":
        return {key: serialize(shape.value, item) for key, item in value.items()}  # type: ignore[attr-defined]
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    return value
