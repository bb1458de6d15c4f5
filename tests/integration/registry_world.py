"""Mirroring without the copying: real operations, ledger and registries over HTTP; copies are only named."""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from local.accounts import Credentials, LocalSession
from local.sagemaker import ArnSpelling, SageMakerMiddleware, SageMakerRegistry
from replicator.aws.bus import Bus
from replicator.aws.documents import Documents
from replicator.aws.ledger import Ledger, Outcome
from replicator.aws.registry import Registry
from replicator.aws.slots import Slots
from replicator.consumers import Consumers
from replicator.errors import ErrorCode
from replicator.identifiers import ModelPackageArn
from replicator.ledger import State, SupersededError, seen_after, told
from replicator.operations.grouping import Groups
from replicator.operations.planning import Planning
from replicator.operations.registering import Registering
from replicator.steps import Action, CopyResult, RegisterRequest
from tests.unit.packages import HUB, SPOKE, a_policy
from tests.unit.places import places
from tests.unit.shapes import FRIEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from replicator.events import ReplicationDetail
    from replicator.policy import Policy
    from replicator.steps import PlanAnswer, RegisterAnswer

REGION = "us-east-1"
KEY = f"arn:aws:kms:{REGION}:{HUB}:key/k"


class CrashError(Exception):
    """The function died here."""


@dataclass
class Clock:
    """A clock that a test moves. The registries keep its time too."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 10) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class RecordingBus(Bus):
    """The hub's bus; it keeps what was published."""

    last: ReplicationDetail | None = None

    def publish(self, detail: ReplicationDetail, now: datetime) -> None:
        super().publish(detail, now)
        self.last = detail


class World:
    """A hub and a spoke on a server of their own.

    Parameters
    ----------
    token_seconds
        How long a ClientToken is honoured; None for ever.
    arn_spelling
        How both registries spell the groups in ARNs.
    """

    def __init__(
        self, token_seconds: float | None = None, arn_spelling: ArnSpelling = ArnSpelling.AS_WRITTEN
    ) -> None:
        self.clock = Clock()
        self.registry = SageMakerRegistry(
            clock=self.clock, client_token_seconds=token_seconds, arn_spelling=arn_spelling
        )
        app = SageMakerMiddleware(DomainDispatcherApplication(create_backend_app), self.registry)
        self._http = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.spoke, self.hub = self._session(SPOKE), self._session(HUB)
        self.table = f"ledger-{uuid.uuid4().hex[:8]}"
        self.hub.client("dynamodb").create_table(
            TableName=self.table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "source_arn", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "source_arn", "KeyType": "HASH"}],
        )
        spokes = f"spokes-{uuid.uuid4().hex[:8]}"
        self.hub.client("dynamodb").create_table(
            TableName=spokes,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "account", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "account", "KeyType": "HASH"}],
        )
        self.slots = Slots(self.hub, spokes)
        bucket = f"hub-{uuid.uuid4().hex[:12]}"
        self.hub.client("s3").create_bucket(Bucket=bucket)
        self.ledger = Ledger(self.hub, self.table)
        self.scientist: Any = self.spoke.client("sagemaker")
        self.person: Any = self.hub.client("sagemaker")
        self.at_spoke = Registry(self.spoke, denied=ErrorCode.SOURCE_ACCESS_DENIED)
        self.at_hub = Registry(self.hub, denied=ErrorCode.HUB_ACCESS_DENIED)
        self.documents = Documents(self.hub, bucket, HUB)
        self.bus = RecordingBus(self.hub, "default")
        self._calls_left: int | None = None
        self._after = True
        for client in (self.ledger, self.at_hub, self.documents, self.bus):
            events = client._client.meta.events
            events.register("before-call", self._before_call)
            events.register("after-call", self._after_call)

    def _session(self, account: str) -> LocalSession:
        sts = boto3.Session().client(
            "sts", endpoint_url=self.url, region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
        )
        role = f"arn:aws:iam::{account}:role/test"
        keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        found = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        return LocalSession(self.url, REGION, found)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def crash_at(self, call: int | None, *, after: bool = True) -> None:
        """Die at so many calls from now, after AWS answered or before it was asked; None for never."""
        self._calls_left, self._after = call, after

    def _count(self) -> None:
        if self._calls_left is not None:
            self._calls_left -= 1
            if self._calls_left < 0:
                self._calls_left = None
                raise CrashError

    def _before_call(self, **_: Any) -> None:
        if not self._after:
            self._count()

    def _after_call(self, **_: Any) -> None:
        if self._after:
            self._count()

    def group(self) -> str:
        """Make a group in the spoke, with a capital; its name is its own, and so is that of its mirror."""
        name = f"Group-{uuid.uuid4().hex[:12]}"
        self.scientist.create_model_package_group(ModelPackageGroupName=name)
        return name

    def describe(self, client: Any, arn: str) -> dict[str, Any]:
        answer: dict[str, Any] = client.describe_model_package(ModelPackageName=arn)
        answer.pop("ResponseMetadata", None)
        return answer

    def mirrors(self, group: str) -> list[str]:
        """List the versions of the mirror of a group."""
        name = f"{SPOKE}-{group}"
        groups = self.person.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
        if not groups:
            return []
        pages = self.person.get_paginator("list_model_packages").paginate(ModelPackageGroupName=name)
        return [each["ModelPackageArn"] for page in pages for each in page["ModelPackageSummaryList"]]


_WORLDS: dict[ArnSpelling, World] = {}


def world(spelling: ArnSpelling = ArnSpelling.AS_WRITTEN) -> World:
    """Give the server for a spelling of ARNs; it ends with the file of tests that asked for it."""
    if spelling not in _WORLDS:
        _WORLDS[spelling] = World(arn_spelling=spelling)
    return _WORLDS[spelling]


def stop_worlds() -> None:
    """End the servers that ``world`` made."""
    while _WORLDS:
        _WORLDS.popitem()[1].stop()


def the_policy(**changes: Any) -> Policy:
    return a_policy(image_accounts=frozenset({FRIEND}), **changes)


def _nothing() -> None:
    pass


@dataclass
class Runner:
    """Plays intake and the state machine for one source."""

    world: World
    arn: str
    policy: Policy

    def event(self, changed: datetime | None, status: str | None = None) -> Outcome:
        """Take in an event about a change, and of what approval status it tells."""
        now, after = self.world.clock.tick(), seen_after(changed)
        return self.world.ledger.claim(self.arn, "{}", now, after, told(status, changed)).outcome

    def run(
        self,
        attempt: int,
        *,
        crash: int | None = None,
        after: bool = True,
        meanwhile: Callable[[], None] = _nothing,
    ) -> Iterator[PlanAnswer | RegisterAnswer]:
        """Run an execution to its end, giving the answer of every step; register may die at a call."""
        world, arn = self.world, ModelPackageArn.parse(self.arn)
        for _ in range(5):
            planning = Planning(
                self.policy, world.ledger, world.slots, lambda: world.at_spoke, world.clock.tick
            )
            plan = planning.run(arn, attempt)
            yield plan
            if plan.action is Action.REFUSE:
                over = world.ledger.fail(self.arn, attempt, str(plan.code), plan.reason, world.clock.tick())
                if over:
                    return
                continue
            if plan.action is Action.NOTHING:
                if not plan.again:
                    return
                continue
            meanwhile()
            meanwhile = _nothing
            results = [CopyResult.model_validate(place) for place in places(plan.copies)]
            request = RegisterRequest(source_arn=self.arn, attempt=attempt, plan=plan, results=results)
            world.crash_at(crash, after=after)
            try:
                answer = self.registering().run(request)
            except CrashError:
                crash = None
                # Step Functions tries again, or records a failure, of which redrive makes a new event.
                with suppress(SupersededError):  # it had let go already
                    world.ledger.fail(self.arn, attempt, "UNEXPECTED", "died", world.clock.tick())
                raise
            finally:
                world.crash_at(None)
            yield answer
            if not answer.again:
                return
        raise AssertionError("it goes round for ever")

    def registering(self) -> Registering:
        world = self.world
        groups = Groups(
            policy=self.policy,
            hub=world.at_hub,
            spoke=world.at_spoke,
            consumers=Consumers(),
            follow_description=False,
            follow_tags=frozenset(),
        )
        return Registering(
            policy=self.policy,
            ledger=world.ledger,
            slots=world.slots,
            spoke=world.at_spoke,
            hub=world.at_hub,
            groups=groups,
            documents=world.documents,
            bus=world.bus,
            hub_key_arn=KEY,
            now=world.clock.tick,
        )

    def settle(
        self, changed: datetime | None = None, status: str | None = None, **crash: Any
    ) -> list[PlanAnswer | RegisterAnswer]:
        """Take in an event and run what it starts."""
        outcome = self.event(changed, status)
        entry = self.world.ledger.get(self.arn)
        assert entry is not None
        if outcome is not Outcome.CLAIMED and entry.state is not State.RUNNING:
            return []
        self.world.ledger.started(self.arn, entry.attempt, "execution")
        return list(self.run(entry.attempt, **crash))
