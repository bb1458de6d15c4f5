"""The whole replicator in one process: the real handlers, the shipped state machine, a local AWS over HTTP.

How to use it::

    with World() as world:                        # or the fixture ``world`` of this folder
        version = Models(world).version()         # an object of several parts, a prefix, an image
        world.begin(Strike("register sagemaker.CreateModelPackage 1", Effect.CRASH_AFTER))
        version.scientist.approve(version.arn)
        world.settle()                            # messages are given again, tasks retried, until all is quiet
        world.wire.calls                          # every request of every function, in order

Every function is called with exactly the environment and the role's credentials that it has when deployed, and IAM
is enforced. What stands for Lambda, SQS and Step Functions is `World` itself: it takes the messages from the
intake queue, without waiting for their delay, and runs the executions with `tests.faults.machine`. One
function runs at a time. A function that is struck by a crash ends as a killed process does: nothing of it
is sent any more, and its caller sees ``Runtime.ExitError``.
"""

from __future__ import annotations

import importlib
import json
import os
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

from moto.awslambda_simple.models import lambda_simple_backends
from moto.dynamodb.models import dynamodb_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.backend.execution import Execution
from samtranslator.yaml_helper import yaml_parse

from local.deploy import deploy
from local.ecr.repositories import RegistryError
from local.landscape import HUB, ROOT, SPOKES, deploy_all
from local.pollers import _record
from local.server import LocalAws
from replicator.aws import artifacts, oci_http
from replicator.aws.artifact_facts import Tuning
from replicator.identifiers import version_key
from replicator.operations import redriving
from replicator.parts import PartLimits
from tests.faults import shortcuts
from tests.faults.machine import Machine, StateError
from tests.faults.wire import Crashed, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType

    from local.landscape import Landscape
    from tests.faults.wire import Call, Strike

SPOKE_A, SPOKE_B = SPOKES.values()
KIB = 1024
SMALL = Tuning(
    streams=4,
    single_copy=24 * KIB,
    largest_single_copy=64 * KIB,
    part_size=16 * KIB,
    streamed_part_size=16 * KIB,
    streamed_memory=64 * KIB,
    margin=0.0,
    limits=PartLimits(smallest=1, largest=64 * KIB, count=10_000),
)
"""The engine of artifacts with everything smaller, so that 40 KiB are three parts."""
_MOST_ROUNDS = 60
KILLED = "Runtime.ExitError"


@dataclass
class Context:
    """What a handler gets as its second argument."""

    function_name: str
    deadline: float
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    memory_limit_in_mb: str = "1024"
    function_version: str = "$LATEST"
    log_group_name: str = ""
    log_stream_name: str = ""
    invoked_function_arn: str = ""
    left: Callable[[], float] | None = None

    def get_remaining_time_in_millis(self) -> int:
        """Give the milliseconds that are left."""
        seconds = self.left() if self.left else self.deadline - time.time()
        return max(0, int(seconds * 1000))


@dataclass
class Run:
    """An execution, and how far it came."""

    execution: Execution
    steps: Generator[str, None, Any]
    ended: bool = False

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.execution.name)


class World:
    """Hub and spokes, deployed once.

    Attributes
    ----------
    aws, landscape
        The local AWS and what is deployed in it.
    wire
        Every request of the functions.
    runs
        The executions that were started and have not ended.
    invocations
        Every call of a function: its name, and how it ended (``ok``, the error's class, or `KILLED`).
    seconds_left
        By function, what its context answers in place of its time-out.
    meanwhile
        Called before each task of an execution, with the function's name.
    """

    def __init__(self, hub_parameters: dict[str, str] | None = None) -> None:
        self._hub_parameters = hub_parameters
        self._stack = ExitStack()
        self.wire = Wire()
        self.runs: list[Run] = []
        self.invocations: list[tuple[str, str]] = []
        self.seconds_left: dict[str, Callable[[], float]] = {}
        self.meanwhile: Callable[[str], None] | None = None
        self.machines: dict[str, Machine] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self.aws: LocalAws
        self.landscape: Landscape

    def __enter__(self) -> Self:
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

    def _start(self) -> None:
        enter = self._stack.enter_context
        self.aws = enter(LocalAws())
        self.aws.queues.pause()  # before there is anything to take: messages are taken by `deliver`
        enter(shortcuts.taken())
        enter(mock.patch.object(Execution, "start", lambda execution: self._started(execution)))
        enter(mock.patch.object(artifacts, "Tuning", return_value=SMALL))
        enter(mock.patch.object(redriving, "WAIT_SECONDS", 0))
        enter(mock.patch.object(oci_http, "random", SimpleNamespace(uniform=lambda low, high: 0.0)))
        self.aws.s3_rules.smallest_part, self.aws.s3_rules.largest_copy = KIB, 64 * KIB
        self.landscape = deploy_all(self.aws, self._hub_parameters)
        enter(self.wire.watching())

    def deploy(self, hub_parameters: dict[str, str]) -> None:
        """Deploy the hub again with other parameters, and forget what was known of the functions."""
        hub = deploy(self.aws, HUB, ROOT / "template.yaml", hub_parameters)
        self.landscape = replace(self.landscape, hub=hub)
        self._environments.clear()
        self.machines.clear()

    # Functions

    @property
    def namespace(self) -> str:
        """What the names of the hub's resources begin with."""
        return self.landscape.hub.resources["IntakeFunction"].removesuffix("-intake")

    def begin(self, *strikes: Strike) -> None:
        """Begin a case: what was counted is forgotten, and the strikes are armed."""
        self.invocations.clear()
        self.wire.begin_case(*strikes)

    def invoke(self, name: str, event: Any) -> Any:
        """Call a function as Lambda does: gives its answer, or raises `StateError` with the name of its error.

        Parameters
        ----------
        name
            Without the namespace: ``copy-artifact``.
        event
            Goes through JSON, as the answer does.
        """
        function = self._function(name)
        module = importlib.import_module(f"functions.{name.replace('-', '_')}.handler")
        context = Context(
            function.function_name, time.time() + float(function.timeout), left=self.seconds_left.get(name)
        )
        ended = "ok"
        with (
            mock.patch.dict(os.environ, self.environment(name), clear=True),
            self.wire.invocation(name),
        ):
            try:
                return json.loads(json.dumps(module.handler(json.loads(json.dumps(event)), context)))
            except Crashed:
                ended = KILLED
                raise StateError(
                    KILLED, "RequestId: 0 Error: Runtime exited with error: signal: killed"
                ) from None
            except Exception as error:
                ended = type(error).__name__
                report = {"errorMessage": str(error), "errorType": ended, "stackTrace": []}
                raise StateError(ended, json.dumps(report)) from error
            finally:
                self.invocations.append((name, ended))

    def environment(self, name: str) -> dict[str, str]:
        """Give the whole environment of a deployed function, its role's credentials included."""
        if name not in self._environments:
            function = self._function(name)
            self._environments[name] = self.aws.functions.environment(function, "stream", "/var/task")
        return self._environments[name]

    def _function(self, name: str) -> Any:
        return lambda_simple_backends[HUB][self.aws.region].get_function(f"{self.namespace}-{name}")

    # Messages

    @property
    def intake_queue(self) -> Any:
        """moto's queue."""
        return sqs_backends[HUB][self.aws.region].queues[f"{self.namespace}-intake"]

    def deliver(self, most: int = 10) -> int:
        """Give a batch of messages to intake, as its event source does, and tell how many it were.

        Neither delay nor visibility time-out is waited for. What intake does not take stays in the queue; when
        that was tried often enough, it becomes a dead letter.
        """
        queue = self.intake_queue
        self.aws.queues.make_visible(HUB, queue.name)
        backend = sqs_backends[HUB][self.aws.region]
        messages = backend.receive_message(queue.name, most, 0, queue.visibility_timeout, ["All"])
        if not messages:
            return 0
        try:
            answer = self.invoke("intake", {"Records": [_record(message, queue) for message in messages]})
            kept = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        except StateError:
            kept = {message.id for message in messages}
        for message in messages:
            if message.id not in kept:
                backend.delete_message(queue.name, message.receipt_handle)
        return len(messages)

    def send(self, *bodies: str) -> None:
        """Put messages into the intake queue, as a rule of the bus does."""
        url = self.landscape.hub.resources["IntakeQueue"]
        for body in bodies:
            self.aws.client("sqs", HUB).send_message(QueueUrl=url, MessageBody=body)

    # Executions

    def _started(self, execution: Execution) -> None:
        execution.exec_status = ExecutionStatus.RUNNING
        machine = self.machine(execution.state_machine.arn)
        self.runs.append(
            Run(execution, machine.run(execution.input_data, {"Execution": {"Id": execution.exec_arn}}))
        )

    def machine(self, arn: str) -> Machine:
        """Give the shipped definition that a deployed state machine was made from."""
        if arn not in self.machines:
            template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
            named = {v: k for k, v in self.landscape.hub.resources.items()}
            uri = template["Resources"][named[arn]]["Properties"]["DefinitionUri"]
            definition = yaml_parse((ROOT / uri).read_text(encoding="utf-8"))
            self.machines[arn] = Machine(definition, self._task)
        return self.machines[arn]

    def _task(self, resource: str, event: Any) -> Any:
        logical = resource.removeprefix("${").removesuffix("Arn}")
        physical = self.landscape.hub.resources[logical]
        name = physical.removeprefix(f"{self.namespace}-")
        if self.meanwhile:
            self.meanwhile(name)
        return self.invoke(name, event)

    def step(self, run: Run) -> str | None:
        """Go on to the next task of a run, and give its name; None when the run is over.

        The first call stops before the first task.
        """
        execution = run.execution
        try:
            return next(run.steps)
        except StopIteration as done:
            execution.exec_status, execution.output = ExecutionStatus.SUCCEEDED, done.value
        except StateError as error:
            execution.exec_status = ExecutionStatus.FAILED
            execution.error, execution.cause = error.error, error.cause
        self._over(run)
        return None

    def finish(self, run: Run) -> None:
        """Run an execution to its end."""
        while self.step(run) is not None:
            pass

    def abort(self, run: Run, status: ExecutionStatus = ExecutionStatus.ABORTED) -> None:
        """End an execution from outside, between two tasks."""
        run.execution.exec_status = status
        run.steps.close()
        self._over(run)

    def _over(self, run: Run) -> None:
        run.execution.stop_date = datetime.now(UTC)
        run.ended = True
        self.runs.remove(run)

    def settle(self) -> None:
        """Deliver messages and run executions until there is nothing left of either."""
        for _ in range(_MOST_ROUNDS):
            delivered = self.deliver()
            for run in list(self.runs):
                self.finish(run)
            if not delivered and not self.runs:
                return
        raise AssertionError(f"it does not come to rest; the last calls were {self.wire.calls[-20:]}")

    def sweep(self) -> None:
        """Let the sweep run as its schedule does; nothing is too young for it."""
        self.invoke("sweep", {})
        self.settle()

    def redrive(self, **request: Any) -> Any:
        """Send dead letters back, and let everything come to rest."""
        self.aws.queues.make_visible(HUB, f"{self.namespace}-dead-letter")
        answer = self.invoke("redrive", request)
        self.settle()
        return answer

    @contextmanager
    def ledger_aside(self) -> Iterator[None]:
        """Begin with an empty ledger, and have the old one back afterwards.

        A reconciliation reads all of it, and the hundreds of items that other tests left take longer than a story.
        """
        table = dynamodb_backends[HUB][self.aws.region].tables[f"{self.namespace}-ledger"]
        others = dict(table.items)
        table.items.clear()
        try:
            yield
        finally:
            table.items.update(others)

    # What an operator sees

    @property
    def hub_bucket(self) -> str:
        """Where the artifacts of the mirrors are."""
        return self.landscape.hub.resources["HubBucket"]

    def entry(self, arn: str) -> dict[str, Any]:
        """Give the ledger's item of a version; empty when there is none."""
        answer = self.aws.client("dynamodb", HUB).get_item(
            TableName=self.landscape.hub.resources["Ledger"], Key={"source_arn": {"S": version_key(arn)}}
        )
        return {name: next(iter(value.values())) for name, value in answer.get("Item", {}).items()}

    def slots(self, account: str) -> set[str]:
        """Give the versions that hold one of a spoke's slots."""
        table = self.landscape.hub.resources.get("Spokes")
        if table is None:
            return set()
        answer = self.aws.client("dynamodb", HUB).get_item(TableName=table, Key={"account": {"S": account}})
        return set(answer.get("Item", {}).get("running", {}).get("SS", []))

    def dead_letters(self) -> list[dict[str, str]]:
        """Give every dead letter, its attributes beside ``body``; they stay where they are."""
        queue = sqs_backends[HUB][self.aws.region].queues[f"{self.namespace}-dead-letter"]
        return [
            {name: str(value.get("StringValue")) for name, value in message.message_attributes.items()}
            | {"body": message.body}
            for message in list(queue._messages)
        ]

    def forget_letters(self) -> None:
        """Empty the dead-letter queue."""
        self._empty(f"{self.namespace}-dead-letter")

    def lose_messages(self) -> None:
        """Empty the intake queue: what EventBridge never delivered."""
        self._empty(f"{self.namespace}-intake")

    def _empty(self, name: str) -> None:
        # Not by PurgeQueue, which may be called once a minute.
        queue = sqs_backends[HUB][self.aws.region].queues[name]
        with queue._messages_lock:
            queue._messages.clear()

    def hub_repositories(self, account: str) -> list[str]:
        """Give the hub's repositories of a spoke; with an empty text, all that the hub has."""
        pages = self.aws.client("ecr", HUB).get_paginator("describe_repositories").paginate()
        names = [str(each["repositoryName"]) for page in pages for each in page["repositories"]]
        return [name for name in names if name.startswith(f"{self.namespace}/{account}/" if account else "")]

    def blob(self, account: str, repository: str, digest: str) -> bytes | None:
        """Give the bytes of a layer as a registry holds them; None when it does not."""
        repositories = self.aws.images.repositories
        try:
            return repositories.blob(
                repositories.find(account, self.aws.region, repository), digest
            ).read_bytes()
        except RegistryError:
            return None

    # Who is who, for the log of requests

    def signer(self, access_key: str) -> str:
        """Give the account of an access key."""
        caller = self.aws.authority._sessions.find(access_key)
        return caller.principal.account if caller and caller.principal.account else f"nobody ({access_key})"

    def registries(self) -> dict[int, str]:
        """Give by port the account whose registry answers there."""
        servers: dict[str, Any] = self.aws.images._servers
        return {int(server.server_address[1]): account for account, server in servers.items()}

    def accounts_read(self, calls: list[Call]) -> dict[str, Call]:
        """Give the accounts from which something was read, each with one of the requests that did."""
        registries = self.registries()
        return {
            account: call for call in calls for account in call.request.accounts_read(registries, self.signer)
        }
