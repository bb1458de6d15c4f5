"""A small AWS of a hub and two spokes: moto with the local registry endpoints."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from functions.copy_image.handler import handler
from local.ecr import LocalRegistry, install
from local.images import OciImage, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_ecr import ECRClient

HUB, SPOKE, OTHER = "999988887777", "111122223333", "444455556666"
REGION = "eu-west-1"
NAMESPACE = "registry-replicator"
KEY = f"arn:aws:kms:{REGION}:{HUB}:key/0a0a0a0a-1111-2222-3333-444444444444"
PACKAGE = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/scorer/3"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@dataclass
class World:
    """What a test does in it."""

    url: str
    registry: LocalRegistry
    environment: Callable[[dict[str, str]], None]
    _credentials: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    _clients: dict[str, ECRClient] = field(default_factory=dict)

    def credentials(self, account: str, role: str = "somebody") -> dict[str, str]:
        """Give the credentials of a role, in the names that an environment has for them."""
        if (account, role) not in self._credentials:
            sts = boto3.client(
                "sts",
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id="a",
                aws_secret_access_key="s",
            )
            made = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/{role}", RoleSessionName="test")
            self._credentials[account, role] = {
                "AWS_ACCESS_KEY_ID": made["Credentials"]["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": made["Credentials"]["SecretAccessKey"],
                "AWS_SESSION_TOKEN": made["Credentials"]["SessionToken"],
            }
        return self._credentials[account, role]

    def ecr(self, account: str) -> ECRClient:
        """Give a client of somebody in an account."""
        if account not in self._clients:
            keys = self.credentials(account)
            self._clients[account] = boto3.client(
                "ecr",
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                aws_session_token=keys["AWS_SESSION_TOKEN"],
            )
        return self._clients[account]

    def login(self, account: str, *, of: str | None = None) -> tuple[str, str]:
        """Give URL and Authorization for an account's registry, with that or another's credentials."""
        answer = self.ecr(of or account).get_authorization_token(registryIds=[account])
        data = answer["authorizationData"][0]
        return data["proxyEndpoint"], f"Basic {data['authorizationToken']}"

    def push(self, image: OciImage, repository: str, tag: str | None = "1.0", account: str = SPOKE) -> str:
        ecr = self.ecr(account)
        if repository not in {each["repositoryName"] for each in ecr.describe_repositories()["repositories"]}:
            ecr.create_repository(repositoryName=repository)
        return push(image, *self.login(account), repository, tag)

    def copy(
        self,
        repository: str = "team/scorer",
        *,
        tag: str = "1.0",
        digest: str | None = None,
        account: str = SPOKE,
        progress: dict[str, int] | None = None,
        milliseconds: Callable[[], float] = lambda: 900_000,
        neighbours: tuple[str, ...] = (),
        **changes: str,
    ) -> dict[str, Any]:
        """Invoke the function as the state machine does, as the hub's role."""
        self.environment(
            self.credentials(HUB, f"{NAMESPACE}-{REGION}-copy-image")
            | {
                "AWS_ENDPOINT_URL": self.url,
                "HUB_ACCOUNT": HUB,
                "AWS_REGION": REGION,
                "HUB_KEY_ARN": KEY,
                "ECR_COPY_ROLE_ARN": f"arn:aws:iam::{HUB}:role/{NAMESPACE}-{REGION}-ecr-copy",
                "NAMESPACE": NAMESPACE,
                "SPOKE_ACCOUNTS": changes.get("spoke_accounts", ""),
                "SPOKE_ROLE_NAME": f"{NAMESPACE}-{REGION}-read",
                "IMAGE_ACCOUNTS": changes.get("image_accounts", ""),
                "CONSUMER_ACCOUNTS": changes.get("consumer_accounts", ""),
                "CONSUMER_ORGANIZATION": "",
                "POWERTOOLS_TRACE_DISABLED": "1",
            }
        )
        event = {
            "source_arn": PACKAGE,
            "copy": {
                "kind": "image",
                "uri": f"{account}.dkr.ecr.{REGION}.amazonaws.com/{repository}:{tag}",
                "digest": digest,
                "repository": changes.get("destination", f"{NAMESPACE}/{SPOKE}/{repository}"),
                "neighbours": list(neighbours),
            },
            "progress": progress,
        }
        context: Any = SimpleNamespace(
            function_name="copy-image",
            memory_limit_in_mb=2048,
            invoked_function_arn=f"arn:aws:lambda:{REGION}:{HUB}:function:copy-image",
            aws_request_id="1-2-3",
            get_remaining_time_in_millis=milliseconds,
        )
        answer: dict[str, Any] = handler(event, context)
        return answer

    def hub_images(self, repository: str = "team/scorer") -> dict[str, list[str]]:
        """Give the tags of what is in the hub's repository, by digest."""
        details = self.ecr(HUB).describe_images(repositoryName=f"{NAMESPACE}/{SPOKE}/{repository}")
        return {image["imageDigest"]: image.get("imageTags", []) for image in details["imageDetails"]}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Start it, and stop it in the end."""
    registry = LocalRegistry(tmp_path / "registry")
    install(registry, monkeypatch.setattr)
    registry.start()
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()

    def environment(variables: dict[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    try:
        yield World(f"http://127.0.0.1:{server.port}", registry, environment)
    finally:
        server.shutdown()
        server.server_close()
        registry.stop()
        get_backend("moto_api")["global"].reset()
