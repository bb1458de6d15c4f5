"""A local S3 with a hub, a spoke and a stranger, and a copy to make between them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
from botocore.config import Config
from moto.kms.models import kms_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server

from local.faults import Faults
from local.s3 import faithful_s3
from replicator.aws.artifact_facts import Tuning
from replicator.aws.artifacts import copy_artifact
from replicator.aws.sessions import Sessions
from replicator.parts import PartLimits
from replicator.settings import CopyArtifactSettings
from replicator.steps import ArtifactCopy, CopyAnswer, CopyRequest, CopyResult, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3.client import S3Client

    from local.s3 import S3Rules

REGION: Final = "eu-west-1"
HUB, SPOKE, STRANGER = "111111111111", "222222222222", "333333333333"
HUB_BUCKET, SPOKE_BUCKET, STRANGERS_BUCKET = "hub-models", "spoke-models", "strangers-models"
KEY_ARN = f"arn:aws:kms:{REGION}:{HUB}:key/11111111-2222-3333-4444-555555555555"
COPY_ROLE = f"arn:aws:iam::{HUB}:role/replicator-s3-copy"
PACKAGE = f"arn:aws:sagemaker:{REGION}:{SPOKE}:model-package/churn/3"
DESTINATION = f"models/{SPOKE}/churn/3/"
SETTINGS = CopyArtifactSettings(
    hub_account=HUB,
    hub_bucket=HUB_BUCKET,
    hub_key_arn=KEY_ARN,
    copy_role_arn=COPY_ROLE,
    spoke_role_name="replicator-read",
    spoke_accounts=frozenset({SPOKE}),
)
# Sends no checksum of its own, so that S3 adds its default.
_PLAIN = Config(request_checksum_calculation="when_required")
KIB = 1024
SMALL = Tuning(
    streams=8,
    single_copy=100 * KIB,
    largest_single_copy=300 * KIB,
    part_size=64 * KIB,
    streamed_part_size=32 * KIB,
    streamed_memory=128 * KIB,
    margin=0.0,
    limits=PartLimits(smallest=1, largest=300 * KIB, count=10_000),
)
"""The engine with everything smaller; `S3Rules` of the world are made to match."""


class _Quiet(MotoRequestHandler):  # type: ignore[misc]
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@dataclass
class World:
    """What a test can reach."""

    endpoint: str
    faults: Faults
    rules: S3Rules
    hub: S3Client
    spoke: S3Client
    stranger: S3Client
    own: boto3.Session

    def copy(
        self,
        uri: str,
        *,
        kind: Any = "object",
        etag: str | None = None,
        progress: Progress | None = None,
        seconds_left: Callable[[], float] = lambda: 600.0,
        tuning: Tuning = SMALL,
        destination: str = DESTINATION,
        longest: int = 1024,
        named: bool = True,
        base: ArtifactCopy | None = None,
        member: str | None = None,
        registered_at: str | None = None,
        runs: bool = False,
    ) -> CopyAnswer:
        """Copy, with the code under test, over HTTP."""
        wanted = ArtifactCopy(
            uri=uri,
            type=kind,
            etag=etag,
            destination=destination,
            longest=longest,
            named=named,
            base=base,
            member=member,
            registered_at=registered_at,
            runs=runs,
        )
        request = CopyRequest(source_arn=PACKAGE, copy_=wanted, progress=progress)
        sessions = Sessions("aws", REGION, self.own)
        return copy_artifact(request, SETTINGS, sessions, seconds_left, tuning)

    def copied(self, uri: str, **more: Any) -> CopyResult:
        """Copy to the end."""
        answer = self.copy(uri, **more)
        assert answer.done
        assert answer.result is not None
        return answer.result

    def open_uploads(self) -> int:
        """Count the multipart uploads that are open in the hub."""
        return len(self.hub.list_multipart_uploads(Bucket=HUB_BUCKET).get("Uploads", []))

    def bytes_at(self, uri: str) -> bytes:
        """Read from the hub's bucket."""
        key = uri.removeprefix(f"s3://{HUB_BUCKET}/")
        return self.hub.get_object(Bucket=HUB_BUCKET, Key=key)["Body"].read()

    def listed(self) -> list[str]:
        """List the hub's bucket."""
        pages = self.hub.get_paginator("list_objects_v2").paginate(Bucket=HUB_BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def copies(self, destination: str) -> dict[str, bytes]:
        """Read all that is in the hub's bucket, by the part of its key below the destination of a copy."""
        root = destination.removeprefix(f"s3://{HUB_BUCKET}/")
        return {key.removeprefix(root): self.bytes_at(f"s3://{HUB_BUCKET}/{key}") for key in self.listed()}

    def put_again(self, key: str, body: bytes) -> None:
        """Write over an object of the spoke."""
        self.put(key, body)

    def put(self, key: str, body: bytes, **more: Any) -> str:
        """Put an object into the spoke's bucket and give its location."""
        self.spoke.put_object(Bucket=SPOKE_BUCKET, Key=key, Body=body, **more)
        return f"s3://{SPOKE_BUCKET}/{key}"


@contextmanager
def serving() -> Iterator[World]:
    """Serve moto's S3 and STS on a free port, with three accounts in it."""
    faults = Faults(DomainDispatcherApplication(create_backend_app))
    listening = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    endpoint = f"http://127.0.0.1:{listening.port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    short = mock.patch("replicator.aws.lean_s3.PAUSE", 0.02)
    with faithful_s3() as rules, mock.patch.dict("os.environ", environment), short:
        thread.start()
        try:
            sessions = {account: _session(account) for account in (HUB, SPOKE, STRANGER)}
            hub, spoke, stranger = (session.client("s3", config=_PLAIN) for session in sessions.values())
            yield World(endpoint, faults, rules, hub, spoke, stranger, sessions[HUB])
        finally:
            listening.shutdown()
            thread.join()
            listening.server_close()


def make_key(account: str, key_id: str | None = None) -> str:
    """Make a KMS key in an account, unless it is there, and give its ARN."""
    backend = kms_backends[account][REGION]
    key = backend.keys.get(key_id)
    if key is None:
        key = backend.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "", None)
        key.arn = key.arn.replace(key.id, key_id or key.id)
        key.id = key_id or key.id
        backend.keys[key.id] = key
    return str(key.arn)


def emptied(world: World) -> World:
    """Give the world with three new buckets, small limits, no faults, and the key of the hub."""
    assert make_key(HUB, KEY_ARN.rpartition("/")[2]) == KEY_ARN
    for backends in s3_backends.values():  # not s3_backends.reset(): that forgets every account's credentials
        backends.reset()
    s3_backends.bucket_accounts.clear()
    world.rules.denied.clear()
    world.rules.largest_copy, world.rules.smallest_part, world.rules.longest_page = 300 * KIB, KIB, 1000
    for client, bucket in (
        (world.hub, HUB_BUCKET),
        (world.spoke, SPOKE_BUCKET),
        (world.stranger, STRANGERS_BUCKET),
    ):
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    world.faults.clear()
    return world


def _session(account: str) -> boto3.Session:
    answer = boto3.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/tester", RoleSessionName="tester"
    )
    credentials = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=REGION,
    )
