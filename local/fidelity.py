"""Puts the corrections of single services around moto's WSGI application, in their order.

A request passes `Faults` (an error inside becomes the answer that AWS gives), `IamMiddleware` (may the caller
do that), the services that correct moto, and then moto.
"""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket

from local import kms
from local.ecr import LocalRegistry
from local.ecr import install as install_ecr
from local.iam import IamMiddleware
from local.lookups import Lookups
from local.s3 import faithful_s3
from local.sagemaker import Hooks, SageMakerMiddleware, SageMakerRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack

    from local.ecr.tokens import Caller
    from local.server import LocalAws


def wrap(aws: LocalAws, app: Any, stack: ExitStack, *, enforce_iam: bool) -> Any:
    """Give the application that is served; what has to be undone at the end goes on the stack."""

    def emit(
        account: str, region: str, source: str, kind: str, detail: dict[str, Any], about: list[str]
    ) -> None:
        aws.events.emit(account, region, source, kind, detail, about)

    lookups = Lookups(aws)
    aws.aws_images = lookups.aws_images
    aws.registry = SageMakerRegistry(
        Hooks(emit=emit, resolve_image=lookups.resolve_image, exists=lookups.exists),
        arn_spelling=aws.arn_spelling,
    )
    # IAM has decided before. moto would deny by every Deny of a bucket's policy, whatever its conditions.
    aws.patch(FakeBucket, "get_permission", lambda bucket, action, resource: PermissionResult.PERMITTED)
    aws.s3_rules = stack.enter_context(faithful_s3())
    kms.install(aws.patch)
    app = SageMakerMiddleware(app, aws.registry)
    iam = IamMiddleware(
        app,
        enforce=enforce_iam,
        organization=aws.organization,
        resource_policies={"sagemaker": aws.registry.policy_of},
    )
    aws.authority = iam.authority
    aws.images = _images(aws, stack)
    return Faults(iam, aws)


def _images(aws: LocalAws, stack: ExitStack) -> LocalRegistry:
    """Serve the registries of all accounts, one port each, by the decisions of IAM."""

    def authorize(caller: Caller, action: str, arn: str) -> bool:
        return aws.authority.authorize(caller.access_key, action, arn).allowed

    registry = LocalRegistry(aws.root / "images", authorize)
    registry.start(aws.host)
    stack.callback(registry.stop)
    install_ecr(registry, aws.patch)
    return registry


class Faults:
    """Answers what nobody caught, or what moto does not implement, as an AWS service answers its own faults.

    moto's pages for people would make an SDK say that it cannot parse the answer.
    """

    def __init__(self, app: Any, aws: LocalAws) -> None:
        self._app = app
        self._aws = aws

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        try:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        except Exception as error:
            with (self._aws.root / "faults.log").open("a", encoding="utf-8") as log:
                log.write(
                    f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO')}\n{traceback.format_exc()}\n"
                )
            missing = isinstance(error, NotImplementedError)
            code = "NotImplemented" if missing else "InternalFailure"
            return self._answer(environ, start_response, code, f"{type(error).__name__}: {error}")

    def _answer(
        self, environ: dict[str, Any], start_response: Any, code: str, message: str
    ) -> Iterable[bytes]:
        message = f"The local AWS failed: {message}. Its faults.log has the whole story."
        xml = "/s3/" in environ.get("HTTP_AUTHORIZATION", "") or environ.get("CONTENT_TYPE", "").startswith(
            "application/x-www-form-urlencoded"
        )
        if xml:
            kind, text = "text/xml", _xml(code, message, s3="/s3/" in environ.get("HTTP_AUTHORIZATION", ""))
        else:
            kind, text = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
        headers = [("Content-Type", kind), ("x-amzn-ErrorType", code)]
        start_response(
            "501 Not Implemented" if code == "NotImplemented" else "500 Internal Server Error", headers
        )
        return [text.encode()]


def _xml(code: str, message: str, *, s3: bool) -> str:
    escaped = message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    inner = f"<Error><Code>{code}</Code><Message>{escaped}</Message></Error>"
    return inner if s3 else f"<ErrorResponse>{inner}<RequestId>local</RequestId></ErrorResponse>"
