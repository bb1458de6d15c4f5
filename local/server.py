"""The local AWS itself: one HTTP port for every service, account and region.

``with LocalAws() as aws:`` starts it. moto keeps its state in the process, so there is one at a time.

Order of what a request passes: `iam` (may the caller do that), then the services that correct moto, then
moto. Each of them is a WSGI middleware or patches moto while the server runs; `LocalAws.patch` takes
every patch back at the end.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

from moto.backends import get_backend
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from local import events, functions, metrics, queues, resources, state_machines, state_tests, tables
from local.accounts import (
    NO_FILES,
    PERSONA,
    Credentials,
    LocalSession,
    ensure_persona,
    role_arn,
    service_credentials,
)
from local.fidelity import wrap
from local.sagemaker.values import ArnSpelling

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from local.aws_images import AwsImages
    from local.ecr import LocalRegistry
    from local.iam import Authority
    from local.s3 import S3Rules
    from local.sagemaker import SageMakerRegistry

_one_at_a_time = threading.Lock()


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc]
    """Serves a request without a line about it on the terminal."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the demo's own output is what a person wants to read."""


class LocalAws:
    """A running local AWS.

    Parameters
    ----------
    host, port
        Where it listens. Port 0 takes a free one. For containers, listen on ``0.0.0.0`` and give them the
        address of the docker bridge.
    region
        The region that sessions and the deployed functions use.
    root
        Folder for logs and unpacked code; a temporary one by default.
    organization
        Id of the AWS Organization that the local accounts belong to, but for those in ``authority.outside``.
    workers
        Processes per function that may run at the same time.
    enforce_iam
        Whether a call that the policies do not allow is refused; else it is only noted in
        ``authority.denials``.
    arn_spelling
        How ARNs of SageMaker spell the names of groups.

    Attributes
    ----------
    authority
        Decides on permissions and keeps what it refused.
    registry
        SageMaker's model registry.
    images
        The registries' endpoints of Amazon ECR.
    aws_images
        The images of AWS's own registries; tests move their tags.
    s3_rules
        The limits of S3, which tests may lower.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        region: str = "eu-west-1",
        root: Path | None = None,
        organization: str = "o-localorg01",
        workers: int = 4,
        enforce_iam: bool = True,
        arn_spelling: ArnSpelling = ArnSpelling.AS_WRITTEN,
    ) -> None:
        self.arn_spelling = arn_spelling
        self.host = host
        self.region = region
        self.organization = organization
        self._port = port
        self._stack = ExitStack()
        self._server: BaseWSGIServer | None = None
        self._sessions: dict[tuple[str, str], LocalSession] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._lock = threading.RLock()
        self._root = root
        self._enforce_iam = enforce_iam
        self.authority: Authority
        self.registry: SageMakerRegistry
        self.s3_rules: S3Rules
        self.images: LocalRegistry
        self.aws_images: AwsImages
        self.events = events.EventBridge(self)
        self.queues = queues.Queues(self)
        self.functions = functions.Functions(self, limit=workers)
        self.state_machines = state_machines.StateMachines(self)

    def __enter__(self) -> Self:
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError("a local AWS is running in this process already: moto's state is shared")
        self._stack.callback(_one_at_a_time.release)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._sessions.clear()
        self._clients.clear()

    def _start(self) -> None:
        if self._root is None:
            self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="local-aws-")))
        for service, setting in (
            ("lambda", {"use_docker": False}),
            ("stepfunctions", {"execute_state_machine": True}),
        ):
            self._stack.enter_context(mock.patch.dict(default_user_config, {service: setting}))
        self._wipe()
        self._stack.callback(self._wipe)
        app = wrap(
            self, DomainDispatcherApplication(create_backend_app), self._stack, enforce_iam=self._enforce_iam
        )
        self._server = make_server(self.host, self._port, app, threaded=True, request_handler=_QuietHandler)
        self._stack.callback(self._server.server_close)
        resources.install(self)
        metrics.install(self)
        tables.install(self)
        state_tests.install(self)
        for part in (self.events, self.functions, self.queues, self.state_machines):
            part.install()
            self._stack.callback(part.close)
        thread = threading.Thread(target=self._server.serve_forever, name="local-aws", daemon=True)
        thread.start()
        self._stack.callback(self._server.shutdown)

    @staticmethod
    def _wipe() -> None:
        get_backend("moto_api")["global"].reset()

    def patch(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute of moto, or add one, until this local AWS ends."""
        self._stack.enter_context(mock.patch.object(owner, name, value, create=True))

    @property
    def root(self) -> Path:
        """Folder for logs and unpacked code."""
        if self._root is None:
            raise RuntimeError("the local AWS is not running")
        return self._root

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the local AWS is not running")
        return int(self._server.port)

    @property
    def endpoint(self) -> str:
        """The URL for ``AWS_ENDPOINT_URL`` on this machine."""
        return self.endpoint_at("127.0.0.1" if self.host == "0.0.0.0" else self.host)  # noqa: S104 - compared

    def endpoint_at(self, address: str) -> str:
        """Give the URL under which somebody else reaches it, a container for instance."""
        return f"http://{address}:{self.port}"

    def credentials(self, account: str, role: str = PERSONA) -> Credentials:
        """Give credentials of a role in an account; the default is the person at the keyboard.

        The role is assumed as a service would, so that its trust policy is not asked.
        """
        if role == PERSONA:
            ensure_persona(account)
        return service_credentials(role_arn(account, role), "local", self.region)

    def session(self, account: str, role: str = PERSONA) -> LocalSession:
        """Give a session of a role in an account whose clients talk to this local AWS."""
        with self._lock:
            key = (account, role)
            if key not in self._sessions:
                self._sessions[key] = LocalSession(
                    self.endpoint, self.region, self.credentials(account, role)
                )
            return self._sessions[key]

    def client(self, service: str, account: str, role: str = PERSONA) -> Any:
        """Give a client of a role in an account. Clients are kept: threads may share them."""
        with self._lock:
            key = (service, account, role)
            if key not in self._clients:
                self._clients[key] = self.session(account, role).client(service)
            return self._clients[key]

    def environment(self, account: str, role: str = PERSONA) -> dict[str, str]:
        """Give the variables with which any SDK or CLI process uses this local AWS and nothing else."""
        return {
            **self.credentials(account, role).environment(),
            **NO_FILES,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def emit(
        self,
        account: str,
        source: str,
        detail_type: str,
        detail: dict[str, Any],
        resources: Sequence[str] = (),
    ) -> str:
        """Put an event of an AWS service on an account's default bus, and give its id."""
        return self.events.emit(account, self.region, source, detail_type, detail, resources)

    def make_visible(self, account: str, queue: str) -> int:
        """Do for a test what waiting for the visibility timeout does; see `queues.Queues.make_visible`."""
        return self.queues.make_visible(account, queue)

    def reset(self) -> None:
        """Forget everything: resources, credentials, running functions and executions."""
        self.queues.pause()
        self.functions.forget()
        self.state_machines.forget()
        with self._lock:
            self._sessions.clear()
            self._clients.clear()
            self._wipe()
            self.registry.reset()
            self.authority.forget()
        self.queues.resume()
