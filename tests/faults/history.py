"""What happens to a few versions, and what must be true of each: the model of the random stories."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from local.landscape import HUB
from replicator.aws.ledger import Ledger
from replicator.aws.slots import Slots
from replicator.operations.intake import Intake
from replicator.settings import IntakeSettings
from tests.faults.guarantees import Broken, Operator, check
from tests.faults.machine import StateError
from tests.faults.wire import Effect, Strike
from tests.faults.world import KIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.clock import Clock
    from tests.faults.models import Models, Version
    from tests.faults.wire import Call
    from tests.faults.world import World

APPROVAL, DESCRIPTION = "ModelApprovalStatus", "ApprovalDescription"
MOST_QUIET_ROUNDS = 10


def after(others: int) -> Callable[[Call], bool]:
    """Choose one request: the one after so many others, whatever they are."""
    left = count(others, -1)
    return lambda call: next(left) == 0


@dataclass
class Told:
    """A version, and what was done to it."""

    version: Version
    status: str = "PendingManualApproval"
    revision: int = 0
    replaced: bool = False
    """Whether it was made to point to another object."""
    rejected: bool = False
    """Whether it ever was rejected."""
    deleted: bool = False
    held: dict[str, str] = field(default_factory=dict)
    """What a person set in the hub and nothing may overwrite."""
    observed: list[int] = field(default_factory=list)
    """The revisions that the mirror showed."""


class History:
    """A world in which things happen.

    Attributes
    ----------
    versions
        All of this history.
    bodies
        The messages that ever were in the intake queue.
    """

    def __init__(self, world: World, clock: Clock, models: Models) -> None:
        self.world, self.clock, self.models = world, clock, models
        self.versions: list[Told] = []
        self.bodies: list[str] = []
        self.lost = False
        world.begin()
        world.forget_letters()

    # In the spoke

    def register(self, location: str) -> None:
        """Register a version of a new group; ``location`` is ``object``, ``parts`` or ``prefix``."""
        data: dict[str, Any] = {"ModelDataUrl": self._location(location)}
        if location == "prefix":
            source = {"S3DataType": "S3Prefix", "S3Uri": data["ModelDataUrl"], "CompressionType": "None"}
            data = {"ModelDataSource": {"S3DataSource": source}}
        version = self.models.version(
            {"Image": self.models.stock.image, **data}, CustomerMetadataProperties={"revision": "0"}
        )
        self.versions.append(Told(version))
        self._note_messages()

    def _location(self, kind: str) -> str:
        if kind == "object":
            return self.models.stock.put(f"objects/{os.urandom(4).hex()}", os.urandom(KIB))
        return {"parts": self.models.model, "prefix": self.models.folder}[kind]

    def decide(self, told: Told, status: str) -> None:
        """Approve or reject, with a revision and a reason of its own."""
        told.status = status
        members = {APPROVAL: status, DESCRIPTION: f"revision {told.revision + 1}"}
        if status == "Rejected":
            told.rejected = True
            # It overrules a person's approval, and takes its reason along.
            told.held.pop(APPROVAL, None)
            told.held.pop(DESCRIPTION, None)
        self.edit(told, **members)

    def edit(self, told: Told, **members: Any) -> None:
        """Change something of a version; the revision in its metadata grows."""
        told.revision += 1
        told.version.scientist.update(
            told.version.arn, CustomerMetadataProperties={"revision": str(told.revision)}, **members
        )
        self._note_messages()

    def replace_model(self, told: Told) -> None:
        """Let a version point to another object."""
        told.replaced = True
        container = {"Image": self.models.stock.image, "ModelDataUrl": self._location("object")}
        specification = {
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        }
        self.edit(told, InferenceSpecification=specification)

    def delete(self, told: Told) -> None:
        """Delete a version in the spoke."""
        told.deleted = True
        if told.rejected:
            # Nobody can read any more that a rejection was taken back; should that event come too late, it holds.
            told.held.pop(APPROVAL, None)
            told.held.pop(DESCRIPTION, None)
        told.version.scientist.client("sagemaker").delete_model_package(ModelPackageName=told.version.arn)
        self._note_messages()

    # In the hub

    def mirror(self, told: Told) -> dict[str, Any] | None:
        """Give the mirror, of which there is one at most; and note the revision that it shows."""
        found = Operator(self.world, told.version).mirrors
        if len(found) > 1:
            raise Broken(f"guarantee 2: {told.version.arn} has {len(found)} mirrors")
        if not found:
            return None
        shown = int(found[0].get("CustomerMetadataProperties", {}).get("revision", 0))
        if told.observed and shown < told.observed[-1]:
            raise Broken(f"guarantee 8: {told.version.arn} went back from {told.observed[-1]} to {shown}")
        told.observed.append(shown)
        return found[0]

    def edit_mirror(self, told: Told, member: str) -> None:
        """Let a person decide in the hub: on the approval, its description, or an entry of the metadata."""
        mirror = self.mirror(told)
        if mirror is None or mirror[APPROVAL] == "Rejected" or told.status == "Rejected":
            return
        if told.deleted and told.rejected:
            return
        value = "Approved" if member == APPROVAL else f"by a person at {told.revision}"
        change = {member: value} if member != "person" else {"CustomerMetadataProperties": {"person": value}}
        self.world.aws.client("sagemaker", HUB).update_model_package(
            ModelPackageArn=mirror["ModelPackageArn"], **change
        )
        told.held[member] = value

    # On the way

    @property
    def queue(self) -> list[Any]:
        """The messages of the intake queue, as moto has them."""
        messages: list[Any] = self.world.intake_queue._messages
        return messages

    def _note_messages(self) -> None:
        known = set(self.bodies)
        self.bodies += [message.body for message in self.queue if message.body not in known]

    def lose(self, number: int) -> None:
        """Lose a message; only reconcile can make good for it."""
        if self.queue:
            self.queue.pop(number % len(self.queue))
            self.lost = True

    def duplicate(self, number: int) -> None:
        """Send a message once more, however old it is."""
        if self.bodies:
            self.world.send(self.bodies[number % len(self.bodies)])

    def reorder(self, number: int) -> None:
        """Let the messages of the queue arrive in another order."""
        if self.queue:
            at = number % len(self.queue)
            self.queue[:] = self.queue[at:][::-1] + self.queue[:at]

    # In the functions

    def strike(self, others: int, effect: Effect) -> None:
        """Strike one of the requests that are to come."""
        self.world.wire.strikes.append(Strike("", effect, where=after(others)))

    def interrupt(self, told: Told, call: str | int) -> None:
        """Let a version change, and intake hear of it, in the middle of a function.

        Parameters
        ----------
        call
            Of the function, as `Strike` names it; or the number of requests before it, from now on.
        """

        def meanwhile(_: Call) -> None:
            if not told.deleted:
                self.edit(told)
                self._take_in_beside()

        self.world.wire.strikes.append(
            Strike(call, Effect.NOTHING, hook=meanwhile)
            if isinstance(call, str)
            else Strike("", Effect.NOTHING, where=after(call), hook=meanwhile)
        )

    def _take_in_beside(self) -> None:
        """Take in all messages while another function is at work: the world runs one function at a time."""
        session, environment = self.world.aws.session(HUB), self.world.environment("intake")
        settings = IntakeSettings.from_environment(environment)
        intake = Intake(
            settings,
            self.world.aws.region,
            Ledger(session, settings.ledger_table),
            Slots(session, settings.spokes_table),
            session.client("sqs"),
            session.client("stepfunctions"),
        )
        while self.queue:
            intake.take(self.queue.pop(0).body, self.clock.now())

    def deliver(self, most: int) -> None:
        """Give messages to intake."""
        self.world.deliver(most)
        self._look()

    def step(self, number: int, *, to_the_end: bool) -> None:
        """Let one of the runs go on."""
        if self.world.runs:
            run = self.world.runs[number % len(self.world.runs)]
            self.world.finish(run) if to_the_end else self.world.step(run)
            self._look()

    def settle(self) -> None:
        """Let everything that is on its way come through."""
        self.world.settle()
        self._look()

    def abort(self, number: int) -> None:
        """End a run from outside."""
        if self.world.runs:
            self.world.abort(self.world.runs[number % len(self.world.runs)])

    def repair(self, name: str) -> None:
        """Let ``sweep``, ``redrive`` or ``reconcile`` run; one that dies is run again another time."""
        with suppress(StateError):
            if name == "redrive":
                self.world.aws.queues.make_visible(HUB, f"{self.world.namespace}-dead-letter")
            if name == "reconcile":
                self._reconcile()
            else:
                self.world.invoke(name, {})
        self._look()

    def _reconcile(self) -> None:
        """Reconcile the groups of this history: others in the spoke belong to other tests."""
        for told in self.versions:
            scientist = told.version.scientist
            answer = {"done": False, "next": {"accounts": [scientist.account], "group": scientist.group}}
            while not answer["done"]:
                answer = self.world.invoke("reconcile", answer["next"])

    def _look(self) -> None:
        self._note_messages()
        for told in self.versions:
            self.mirror(told)

    # At the end

    def come_to_rest(self, *repairs: str) -> None:
        """Deliver and repair, with nothing struck any more, until nothing changes."""
        self.world.wire.strikes.clear()
        before = None
        for _ in range(MOST_QUIET_ROUNDS):
            self.world.settle()
            for name in repairs:
                self.clock.tick(hours=3)
                self.repair(name)
                self.world.settle()
            now = list(self._state())
            if now == before:
                return
            before = now
        raise AssertionError(f"it does not come to rest: {before}, then {now}")

    def _state(self) -> Iterator[Any]:
        yield sorted({(each.get("source_arn"), each.get("code")) for each in self.world.dead_letters()})
        for told in self.versions:
            entry = self.world.entry(told.version.arn)
            yield {name: entry.get(name) for name in ("state", "code", "hub_arn", "fingerprint", "unsettled")}

    def check(self) -> None:
        """Check the guarantees at rest: only for what was lost on the way they need reconcile."""
        if not self.lost:
            self.come_to_rest("sweep", "redrive")
            self._check()
        self.come_to_rest("sweep", "redrive", "reconcile")
        self._check()

    def _check(self) -> None:
        """Check the eight guarantees for every version, and what is known of this history beyond them."""
        for told in self.versions:
            mirror = self.mirror(told)
            rejected = told.deleted and told.status == "Rejected" and not self.lost
            seen = Operator(
                self.world, told.version, frozenset(told.held), rejected=rejected, replaced=told.replaced
            )
            check(seen, self.world.wire.calls, told.observed)
            if mirror is not None:
                shown = {**mirror.get("CustomerMetadataProperties", {}), **mirror}
                kept = {member: shown.get(member) for member in told.held}
                if kept != told.held:
                    raise Broken(f"guarantee 4: a person set {told.held}, and the mirror shows {kept}")
            if not told.deleted and seen.letters:
                raise Broken(f"guarantee 1: nothing is wrong, and there are dead letters: {seen.letters}")
            if not told.deleted and told.status == "Approved" and mirror is None:
                raise Broken(f"guarantee 1: {told.version.arn} is approved and has no mirror")
