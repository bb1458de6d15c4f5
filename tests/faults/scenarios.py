"""What happens to a version in the fault tests, up to the moment from which its requests are struck."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.guarantees import Broken, Operator, check, no_going_back, nothing_lost
from tests.faults.world import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.models import Models, Version
    from tests.faults.wire import Call, Strike
    from tests.faults.world import World

NO_LETTERS: frozenset[str] = frozenset()
"""No dead letter may come of it."""


@dataclass
class Case:
    """A version that something is about to happen to.

    Parameters
    ----------
    act
        Makes it happen in the spoke.
    observed
        The revision that the mirror showed, each time somebody looked.
    """

    world: World
    version: Version
    act: Callable[[], None]
    observed: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def play(self, *strikes: Strike) -> Operator:
        """Let it happen under strikes, until all is quiet."""
        self.look()
        self.world.begin(*strikes)
        self.act()
        self.world.settle()
        self.calls += self.world.wire.calls
        self.look()
        return Operator(self.world, self.version)

    def check(self) -> None:
        """Check the guarantees; then let a stale event come, and check that nothing goes back."""
        seen = Operator(self.world, self.version)
        # An upload whose answer was lost, a slot of a run that died just before it gave it back: for the sweep.
        if seen.open_uploads or seen.holds_slot:
            self.world.begin()
            self.world.sweep()
        check(seen, self.calls, self.observed)
        before = seen.mirrors
        stale = self.version.scientist.event(self.version.arn)
        self.world.begin()
        self.world.send(json.dumps(stale))
        self.world.settle()
        self.look()
        no_going_back(self.observed)
        nothing_lost(seen)
        if seen.mirrors != before:
            raise Broken(f"guarantee 8: a stale event changed the mirror {before} to {seen.mirrors}")

    def look(self) -> None:
        """Note the revision that the mirror shows."""
        for mirror in Operator(self.world, self.version).mirrors:
            self.observed.append(int(mirror.get("CustomerMetadataProperties", {}).get("revision", 0)))


class Scenarios:
    """Makes cases. A version that came through one case well is used for the next one of its kind."""

    def __init__(self, models: Models) -> None:
        self.models, self.world = models, models.world
        self._revision = 0
        self._mirrored: Version | None = None
        self._requests: dict[tuple[str, bool], list[Call]] = {}

    def make(self, name: str, *, whole: bool = True) -> Case:
        """Make the case of a name: ``first``, ``update`` or ``rejection``.

        Parameters
        ----------
        whole
            Of a first mirror, whether the image has to be copied too.
        """
        return {"first": lambda: self.first(whole=whole), "update": self.update, "rejection": self.rejection}[
            name
        ]()

    def first(self, *, whole: bool = True) -> Case:
        """Approve a version with an object of three parts, a prefix and an image."""
        if whole:
            self.models.forget_copies()
        version = self.models.version(CustomerMetadataProperties={"revision": "1"})
        return Case(self.world, version, lambda: version.scientist.approve(version.arn))

    def update(self) -> Case:
        """Change the description, the metadata and the specification of a version that is mirrored."""
        version, revision = self._approved(), self._next()

        def act() -> None:
            model = self.models.stock.put(f"models/{revision}", os.urandom(KIB))
            version.scientist.update(
                version.arn,
                ApprovalDescription=f"revision {revision}",
                CustomerMetadataProperties={"revision": str(revision)},
                InferenceSpecification={
                    "Containers": [{"Image": self.models.stock.image, "ModelDataUrl": model}],
                    "SupportedContentTypes": ["text/csv"],
                    "SupportedResponseMIMETypes": ["text/csv"],
                },
            )

        return Case(self.world, version, act)

    def rejection(self) -> Case:
        """Reject a version that is mirrored."""
        version, revision = self._approved(), self._next()
        members: dict[str, Any] = {
            "ApprovalDescription": f"not good: {revision}",
            "CustomerMetadataProperties": {"revision": str(revision)},
        }
        return Case(self.world, version, lambda: version.scientist.reject(version.arn, **members))

    def requests(self, name: str, *, whole: bool = True) -> list[Call]:
        """Give the requests of a case that nothing happens to, found out once."""
        if (name, whole) not in self._requests:
            case = self.make(name, whole=whole)
            case.play()
            case.check()
            self._requests[name, whole] = case.calls
        return self._requests[name, whole]

    def problem(
        self, name: str, *strikes: Strike, whole: bool = True, letters: frozenset[str] = NO_LETTERS
    ) -> str:
        """Play a case under strikes, and give what is wrong afterwards; nothing when all is as it shall be.

        Parameters
        ----------
        letters
            The codes with which it may become a dead letter, that a redrive then mends. Without any, none may.
        """
        case = self.make(name, whole=whole)
        try:
            seen = case.play(*strikes)
            if not strikes[0].struck:
                return "it was not struck"
            self._mend(case, seen, letters)
            case.check()
        except Exception as error:
            self._clear()
            return f"{type(error).__name__}: {error}"
        return ""

    def _mend(self, case: Case, seen: Operator, letters: frozenset[str]) -> None:
        found = seen.letters
        for letter in found:
            if letter.get("code") not in letters:
                raise AssertionError(f"a dead letter: {letter}")
        if letters and not found:
            raise AssertionError("there is no dead letter")
        if found:
            nothing_lost(seen)
            self.world.begin()
            self.world.redrive(source_arn=case.version.arn)
            case.calls += self.world.wire.calls

    def _clear(self) -> None:
        """Leave nothing of a case that did not come through, and take a new version for the next one."""
        self._mirrored = None
        self.world.begin()
        for run in list(self.world.runs):
            self.world.abort(run)
        self.world.forget_letters()
        self.world.lose_messages()

    def _next(self) -> int:
        self._revision += 1
        return self._revision

    def _approved(self) -> Version:
        version = self._mirrored
        if version is None:
            image = {"Image": self.models.stock.image}
            version = self._mirrored = self.models.version(
                image, CustomerMetadataProperties={"revision": str(self._next())}
            )
        if version.scientist.describe(version.arn)["ModelApprovalStatus"] != "Approved":
            self.world.begin()
            version.scientist.approve(version.arn)
            self.world.settle()
            check(Operator(self.world, version), self.world.wire.calls)
        return version
