"""What the integration tests share: one local AWS, the shipped stacks in it, and names of their own.

The local AWS lives as long as the test session, so a test makes its own groups, buckets and queues, with
names from ``fresh``, and never resets anything.
"""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from local.landscape import HUB, ROOT, SPOKES, Landscape
from tests.integration.registry_world import stop_worlds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.server import LocalAws

__all__ = ["HUB", "ROOT", "SPOKE_A", "SPOKE_B", "Landscape"]

SPOKE_A, SPOKE_B = SPOKES.values()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs the shared local AWS last: moto's state is one for the process, and others reset it.

    By files, because a file is what one of several processes is given as a whole.
    """
    sharing = {item.path for item in items if "local_aws" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: item.path in sharing)


@pytest.fixture(scope="session", autouse=True)
def _short_waits(short_waits: None) -> None:
    """Shorten the waits of every test of this folder."""


@pytest.fixture(scope="module", autouse=True)
def _worlds_end_with_their_file() -> Iterator[None]:
    """End the servers of a file with it: a later file may reset moto's state, which is one for the process."""
    yield
    stop_worlds()


def wait_for[T](condition: Callable[[], T], *, seconds: float = 30.0, what: str = "the condition") -> T:
    """Call until the answer is true, and give it; fail with ``what`` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s still waiting for {what}")
        time.sleep(0.05)
    return answer


def receive_all(aws: LocalAws, account: str, queue_url: str) -> list[dict[str, Any]]:
    """Take every visible message out of a queue."""
    sqs = aws.client("sqs", account)
    taken: list[dict[str, Any]] = []
    while messages := sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    ).get("Messages"):
        for message in messages:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        taken += messages
    return taken


def make_role(aws: LocalAws, account: str, service: str, actions: list[str]) -> str:
    """Make a role that a service may assume and that allows actions on everything; give its ARN."""
    iam, name = aws.client("iam", account), f"test-{uuid.uuid4().hex[:12]}"
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    if actions:
        allowed = policy({"Effect": "Allow", "Action": actions, "Resource": "*"})
        iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=allowed)
    return str(arn)


def make_function(
    aws: LocalAws, account: str, code: str, *, actions: list[str] | None = None, **settings: Any
) -> str:
    """Make a function whose ``handler.py`` is the given code; give its name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("handler.py", code)
    name = f"test-{uuid.uuid4().hex[:12]}"
    aws.client("lambda", account).create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=make_role(aws, account, "lambda.amazonaws.com", actions or []),
        Handler="handler.handler",
        Code={"ZipFile": archive.getvalue()},
        **settings,
    )
    return name


def policy(*statements: dict[str, Any]) -> str:
    """Write a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
