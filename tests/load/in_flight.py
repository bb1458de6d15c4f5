"""How many runs each spoke has at a time, looked at again and again while they run.

The ledger is the measure: an item is RUNNING from before its execution starts until its last step is over. It is
read in the local AWS's own memory, because a Scan over HTTP would take longer than many a run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from moto.dynamodb.models import dynamodb_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.accounts import account_of

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

LEDGER = "registry-replicator-ledger"


class InFlight:
    """Looks while the ``with`` block runs.

    Attributes
    ----------
    peaks
        The most RUNNING items at a time, by spoke.
    most
        The most of all spokes together.
    looks
        How often it looked.
    """

    def __init__(self, hub: str, region: str, every: float = 0.05) -> None:
        self._hub, self._region, self._every = hub, region, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="in-flight", daemon=True)
        self.peaks: Counter[str] = Counter()
        self.most = 0
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def items(self) -> dict[str, str]:
        """Give the state of each version in the ledger; one that is counted but not claimed is missing."""
        table = dynamodb_backends[self._hub][self._region].tables[LEDGER]
        found: dict[str, str] = {}
        for item in list(table.items.values()):
            state: Any = item.attrs.get("state")
            if state is not None:
                found[item.hash_key.value] = state.value
        return found

    def states(self, versions: AbstractSet[str]) -> Counter[str]:
        """Count the states of some versions."""
        return Counter(state for arn, state in self.items().items() if arn in versions)

    def executions(self) -> int:
        """Count the executions that have not ended."""
        backend = stepfunctions_parser_backends[self._hub][self._region]
        return sum(
            execution.exec_status == "RUNNING"
            for machine in backend.state_machines
            for execution in list(machine.executions)
        )

    def _runs(self) -> set[tuple[str, Any]]:
        """Give the version and attempt of each run."""
        table = dynamodb_backends[self._hub][self._region].tables[LEDGER]
        attributes = [(item.hash_key.value, item.attrs) for item in list(table.items.values())]
        return {
            (arn, attrs["attempt"].value)
            for arn, attrs in attributes
            if "attempt" in attrs and "state" in attrs and attrs["state"].value == "RUNNING"
        }

    def _look(self) -> None:
        before = self._runs()
        while not self._over.is_set():
            # A look takes a while, and may see a run that ends and the one that takes its slot. What two looks in
            # turn both saw was running at the moment between them.
            now = self._runs()
            running = Counter(account_of(arn) for arn, _ in before & now)
            before = now
            self.most = max(self.most, running.total())
            self.peaks |= running
            self.looks += 1
            time.sleep(self._every)
