"""Puts versions on the intake queue, no faster than live approvals can stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from replicator.events import ModelPackageEvent
from replicator.identifiers import ModelPackageArn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replicator.aws.intake_queue import IntakeQueue

BACKLOG_MOST = 10
"""Messages that may wait in the intake queue while more are sent: one batch of the intake function."""

# The queue delays a message by 2 s; then intake takes it. Until then its slot is not taken yet.
_ON_ITS_WAY = 5.0
_LOOK_AGAIN = 2.0


class PauseError(Exception):
    """The invocation ends here, and the next one goes on.

    Parameters
    ----------
    wait
        Seconds until then.
    crowded
        Whether it is the runs of the spoke itself that leave no room.
    """

    def __init__(self, wait: int, *, crowded: bool = False) -> None:
        super().__init__(f"paused for {wait} s")
        self.wait = wait
        self.crowded = crowded


@dataclass(frozen=True, slots=True)
class Budget:
    """The time of one invocation. It is short of the function's own, so that people see progress."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]
    ends: float
    """By the clock."""

    @property
    def over(self) -> bool:
        """Whether nothing new is begun any more."""
        return self.clock() >= self.ends


@dataclass(slots=True)
class Feeder:
    """Feeds the intake queue.

    A spoke's versions take at most half of the runs that it may have at once, live approvals counted in; and
    nothing is sent while messages wait in the queue. Both are read before each send. They are rough: SQS counts
    approximately, and a run may begin between the look and the send.

    Parameters
    ----------
    running
        Gives how many runs a spoke has.
    runs_per_spoke
        How many it may have.
    """

    queue: IntakeQueue
    running: Callable[[str], int]
    runs_per_spoke: int
    budget: Budget
    _sent: list[tuple[float, str, int]] = field(default_factory=list)

    def room(self, account: str) -> int:
        """Wait until versions of a spoke may be sent, and say how many. Raises `PauseError` when time is up."""
        while True:
            backlog = self._has_backlog()
            room = 0 if backlog else self._room(account)
            if room:
                return room
            if self.budget.over:
                raise PauseError(15, crowded=not backlog)
            self.budget.sleep(_LOOK_AGAIN)

    def send(self, account: str, source_arns: Sequence[str]) -> dict[str, str]:
        """Ask for a look at versions of a spoke, and give the reason for each that the queue refuses for good."""
        bodies = [ModelPackageEvent.about(ModelPackageArn.parse(arn)).to_message() for arn in source_arns]
        refused = {source_arns[i]: reason for i, reason in self.queue.send(bodies).items()}
        self._sent.append((self.budget.clock(), account, len(source_arns) - len(refused)))
        return refused

    @property
    def on_its_way(self) -> bool:
        """Whether something was sent so lately that nothing tells of it yet."""
        return bool(self._recent())

    def _has_backlog(self) -> bool:
        return self.queue.backlog() > BACKLOG_MOST + sum(count for _, _, count in self._recent())

    def _room(self, account: str) -> int:
        own = sum(count for _, other, count in self._recent() if other == account)
        return max(max(self.runs_per_spoke // 2, 1) - self.running(account) - own, 0)

    def _recent(self) -> list[tuple[float, str, int]]:
        now = self.budget.clock()
        self._sent = [each for each in self._sent if now - each[0] < _ON_ITS_WAY]
        return self._sent
