"""WSGI middleware that lets a request through to moto only where the policies allow it."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from local.iam.authority import Authority
from local.iam.denials import Denial, answer
from local.iam.requests import Call, read_call
from local.iam.s3_operations import looked_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local.iam.directory import Caller

_ACCESS_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")


class IamMiddleware:
    """Enforces IAM in front of moto's application.

    Parameters
    ----------
    app
        The application whose requests are authorized.
    enforce, resource_policies, organization
        As for `Authority`, which is made of them.
    public_paths
        Beginnings of paths that nobody has to sign for.

    Attributes
    ----------
    authority
        What decides: for the parts of the local AWS that act without a request, and for tests its `denials`.
    """

    def __init__(
        self,
        app: Any,
        *,
        enforce: bool = True,
        resource_policies: Mapping[str, Callable[[str], Any]] | None = None,
        organization: str | None = None,
        public_paths: tuple[str, ...] = ("/moto-api", "/favicon.ico"),
    ) -> None:
        self._app = app
        self._public_paths = public_paths
        self.authority = Authority(
            enforce=enforce, resource_policies=resource_policies, organization=organization
        )

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(self._public_paths):
            if path == "/moto-api/reset":
                self.authority.forget()
            return self._pass(environ, start_response)
        environ.pop("HTTP_X_MOTO_ACCOUNT_ID", None)  # it would override the account of the access key
        call = read_call(environ)
        caller = self.authority.caller(call)
        denial = self.authority.refuse(call, caller)
        if denial:
            return _refuse(call, denial, environ, start_response)
        if call.service == "sts" and call.operation == "AssumeRole":
            return self._assume_role(call, caller, environ, start_response)
        if caller and (read := looked_up(call)):
            return self._look_up(call, caller, read[0], environ, start_response)
        return self._pass(environ, start_response)

    def _pass(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body: Iterable[bytes] = self._app(environ, start_response)
        return body

    def _assume_role(
        self, call: Call, caller: Caller | None, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        body = b"".join(self._pass(environ, start_response))
        made = _ACCESS_KEY.search(body)
        if made:
            self.authority.remember(call, caller, made[1].decode())
        return [body]

    def _look_up(
        self, call: Call, caller: Caller, bucket: str, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Answer 403 instead of 404 for a missing object to who may not list the bucket."""
        started: list[tuple[Any, ...]] = []
        chunks = iter(self._pass(environ, lambda *args: started.append(args)))
        first = list(itertools.islice(chunks, 1))  # an application may start its answer only now
        if started[0][0].startswith("404"):
            denial = self.authority.refuse_listing(call, caller, bucket)
            if denial:
                return _refuse(call, denial, environ, start_response)
        start_response(*started[0])
        return itertools.chain(first, chunks)


def _refuse(call: Call, denial: Denial, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    # Whatever of the body was not read, werkzeug's server takes in before it closes the connection.
    status, headers, body = answer(call, denial, environ["REQUEST_METHOD"])
    start_response(status, headers)
    return [body]
