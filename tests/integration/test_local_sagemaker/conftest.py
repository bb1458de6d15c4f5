"""A registry in front of moto's own server, reached over HTTP with boto3."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from local.sagemaker import Hooks, SageMakerMiddleware, SageMakerRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sagemaker import SageMakerClient

SPOKE = "111111111111"
HUB = "999999999999"
REGION = "eu-central-1"
ROLE = "data-scientist"


@cache
def _session() -> boto3.Session:
    # One session loads the service model of SageMaker once.
    return boto3.Session()


@dataclass
class Server:
    """What a test holds: the address, the registry, and the events that it sent."""

    url: str
    registry: SageMakerRegistry
    events: list[tuple[str, str, str, str, dict[str, Any], list[str]]] = field(default_factory=list)

    def client(self, account: str = SPOKE, region: str = REGION) -> SageMakerClient:
        """A SageMaker client with credentials of a role in the account, and no retries."""
        keys = self.assume(account)
        config = Config(retries={"total_max_attempts": 1})
        return _session().client(
            "sagemaker", endpoint_url=self.url, region_name=region, config=config,
            aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )  # fmt: skip

    def assume(self, account: str) -> Any:
        """Credentials of a role in the account."""
        sts = _session().client(
            "sts", endpoint_url=self.url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
        )
        role = f"arn:aws:iam::{account}:role/{ROLE}"
        return sts.assume_role(RoleArn=role, RoleSessionName="anna")["Credentials"]

    def details(self) -> list[dict[str, Any]]:
        """The details of the events sent so far."""
        return [event[4] for event in self.events]


class Serving:
    """Starts servers and stops them."""

    def __init__(self) -> None:
        self._running: list[Any] = []

    def start(self, *, hooks: dict[str, Any] | None = None, **settings: Any) -> Server:
        server = Server("", None)  # type: ignore[arg-type]
        given = {"emit": lambda *event: server.events.append(event)} | (hooks or {})
        server.registry = SageMakerRegistry(Hooks(**given), **settings)
        app = SageMakerMiddleware(DomainDispatcherApplication(create_backend_app), server.registry)
        http = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        self._running.append(http)
        server.url = f"http://127.0.0.1:{http.server_port}"
        return server

    def stop(self) -> None:
        for http in self._running:
            http.shutdown()
            http.server_close()


@pytest.fixture
def serving() -> Iterator[Serving]:
    """For tests that need a registry with settings of their own."""
    it = Serving()
    yield it
    it.stop()


@pytest.fixture
def server(serving: Serving) -> Server:
    """A registry with nothing in it."""
    return serving.start()


@pytest.fixture
def client(server: Server) -> SageMakerClient:
    """A client in the spoke, which has the group ``churn``."""
    it = server.client()
    it.create_model_package_group(ModelPackageGroupName="churn")
    return it


def specification(**container: Any) -> Any:
    """An inference specification of one container."""
    image = f"{SPOKE}.dkr.ecr.{REGION}.amazonaws.com/churn:1"
    return {
        "Containers": [{"Image": image, "ModelDataUrl": "s3://models/churn/model.tar.gz"} | container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }


def register(client: SageMakerClient, group: str = "churn", **members: Any) -> str:
    """Register a version and return its ARN."""
    request = {"InferenceSpecification": specification()} | members
    arn: str = client.create_model_package(ModelPackageGroupName=group, **request)["ModelPackageArn"]
    return arn


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    """The code and the message with which a call is refused, with status 400."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 60) -> None:
        self.now += timedelta(seconds=seconds)
