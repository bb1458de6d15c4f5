"""Many approvals at once from many spokes: who floods, what is watched meanwhile, and how all of it ended."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.landscape import HUB, deploy_all
from replicator.ledger import execution_name
from tests.integration.conftest import wait_for
from tests.integration.data_scientist import DataScientist
from tests.integration.operator_of_hub import Hub
from tests.load.in_flight import InFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from local.server import LocalAws

    Say = Callable[[str], None]

GROUP = "churn"
NEVER = datetime.max.replace(tzinfo=UTC)
MISSING, NO_ROLE = "SOURCE_OBJECT_MISSING", "SOURCE_ACCESS_DENIED"


@dataclass(frozen=True)
class Scale:
    """How large the flood is.

    Parameters
    ----------
    versions
        Approvals, all spokes together.
    flood
        How many of them one spoke sends.
    limit
        ``RunsPerSpoke`` of the hub.
    missing_every
        The artifact of every so manieth version is gone when the hub looks for it.
    """

    versions: int = 1000
    spokes: int = 20
    flood: int = 400
    limit: int = 25
    missing_every: int = 50

    @property
    def accounts(self) -> list[str]:
        """Ids of the spokes: the first floods, the last but one has lost its read role, the last is quiet."""
        return [f"{100_000_000_000 + number}" for number in range(1, self.spokes + 1)]

    @property
    def shares(self) -> dict[str, int]:
        """Give how many versions each spoke approves."""
        first, *others, last = self.accounts
        each, more = divmod(self.versions - self.flood - 1, len(others))
        even = {account: each + (number < more) for number, account in enumerate(others)}
        return {first: self.flood, **even, last: 1}


@dataclass
class Version:
    """One version in a spoke, and what is to become of it."""

    arn: str
    scientist: DataScientist
    artifact: str
    expected: str | None = None
    """Code of its failure; None when it is to be mirrored."""
    approved: datetime = NEVER


@dataclass
class Flood:
    """The deployed accounts, their versions, and what was seen."""

    aws: LocalAws
    scale: Scale
    hub: Hub
    spokes: dict[str, DataScientist]
    images: dict[str, str]
    """Digest by account."""
    versions: list[Version] = field(default_factory=list)
    in_flight: InFlight = field(default_factory=lambda: InFlight(HUB, "eu-west-1"))
    began: datetime = NEVER
    """When the first message could be taken."""

    @property
    def quiet(self) -> str:
        """The account that approves a single version."""
        return self.scale.accounts[-1]

    def register(self, account: str, name: str) -> Version:
        """Register a version with an artifact of its own and the image of the spoke."""
        scientist = self.spokes[account]
        artifact = scientist.put(f"{name}.tar.gz", f"weights of {name} in {account}".encode() * 40)
        arn = scientist.register({"Image": scientist.image, "ModelDataUrl": artifact})
        return Version(arn, scientist, artifact)

    def prepare(self) -> None:
        """Register everything, then break what is to fail."""
        for account, share in self.scale.shares.items():
            self.versions += [self.register(account, f"model-{number}") for number in range(share)]
        for number, version in enumerate(self.versions, 1):
            if number % self.scale.missing_every == 0:
                # SageMaker looks at the artifacts when a version is registered, so it gets lost after that.
                version.scientist.remove(version.artifact.rpartition("/")[2])
                version.expected = MISSING
        broken = self.scale.accounts[-2]
        remove_read_role(self.aws, broken)
        for version in self.versions:
            if version.scientist.account == broken:
                version.expected = NO_ROLE

    def approve(self, version: Version) -> None:
        """Approve a version and note when."""
        version.approved = datetime.now(UTC)
        version.scientist.approve(version.arn)

    def alone(self, times: int = 3) -> float:
        """Give the seconds from approval to mirror in an idle system with warm functions (median)."""
        taken = []
        for number in range(times + 1):
            version = self.register(self.quiet, f"alone-{number}")
            self.approve(version)
            self.hub.mirror(version.arn)
            taken.append(self.seconds([version])[0])
        return statistics.median(taken[1:])

    def release(self) -> None:
        """Approve everything at once: the queue is full before the first message is taken.

        The quiet spoke's approval comes last, behind all others.
        """
        self.aws.queues.pause()
        *flood, single = self.versions
        for version in flood:
            self.approve(version)
        self.began = datetime.now(UTC)
        self.aws.queues.resume()
        self.approve(single)

    def watch(
        self,
        say: Say = lambda text: None,
        *,
        every: float = 5.0,
        seconds: float = 3600.0,
        impatient: bool = False,
    ) -> None:
        """Wait until every version has come to its end; watch how many runs there are in the meantime.

        Parameters
        ----------
        say
            Gets a line of progress at each look.
        every, seconds
            Between two looks, and until it gives up.
        impatient
            Do at each look what waiting for the delays of the events that were put off does.
        """
        began = time.monotonic()
        wanted = {version.arn for version in self.versions}
        with self.in_flight:
            while True:
                states = self.in_flight.states(wanted)
                ended = states["IDLE"] + states["FAILED"]
                passed = time.monotonic() - began
                say(
                    f"{passed:6.0f} s  {states['IDLE']:5} mirrored  {states['FAILED']:4} failed  "
                    f"{states['RUNNING']:4} running  {len(wanted) - ended - states['RUNNING']:5} waiting"
                )
                if ended == len(wanted):
                    return
                if passed > seconds:
                    raise TimeoutError(f"after {seconds:.0f} s: {dict(states)} of {len(wanted)} versions")
                if impatient:
                    self.aws.queues.end_delays(HUB, self.hub.stack.resources["IntakeQueue"])
                time.sleep(every)

    def executions(self) -> dict[str, dict[str, Any]]:
        """Give every execution by its name, as an operator lists them."""
        pages = self.hub.client("stepfunctions").get_paginator("list_executions")
        machine = self.hub.stack.resources["Replicate"]
        return {
            found["name"]: found
            for page in pages.paginate(stateMachineArn=machine, maxResults=1000)
            for found in page["executions"]
        }

    def seconds(self, versions: Iterable[Version]) -> list[float]:
        """Give the seconds from the approval of versions to the end of their first executions."""
        named = {execution_name(version.arn, 1): version.approved for version in versions}

        def over() -> dict[str, dict[str, Any]] | None:
            known = self.executions()
            # The ledger is at rest a moment before the execution is over.
            return known if all("stopDate" in known.get(name, {}) for name in named) else None

        known = wait_for(over, what="the executions to end") or {}
        return [(known[name]["stopDate"] - approved).total_seconds() for name, approved in named.items()]

    def started_after(self, version: Version, others: Iterable[Version]) -> int:
        """Count the versions whose runs were started after that of another one."""
        known = self.executions()
        first = known[execution_name(version.arn, 1)]["startDate"]
        return sum(known[execution_name(other.arn, 1)]["startDate"] > first for other in others)

    def of(self, account: str) -> list[Version]:
        """Give the versions of a spoke."""
        return [version for version in self.versions if version.scientist.account == account]


def remove_read_role(aws: LocalAws, account: str) -> None:
    """Delete the role with which the hub reads a spoke, as somebody there might by mistake."""
    iam = aws.client("iam", account)
    role = f"registry-replicator-{aws.region}-read"
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=role)


def deploy(aws: LocalAws, scale: Scale) -> Flood:
    """Deploy the hub and all spokes from the shipped templates, each spoke with its image."""
    accounts = {f"spoke-{account[-2:]}": account for account in scale.accounts}
    landscape = deploy_all(aws, {"RunsPerSpoke": str(scale.limit)}, accounts=accounts)
    spokes = {account: DataScientist(aws, account, GROUP) for account in scale.accounts}
    images = {account: scientist.push().digest for account, scientist in spokes.items()}
    return Flood(aws, scale, Hub(aws, landscape.hub), spokes, images)
