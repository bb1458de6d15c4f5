"""Sends the events of the registry, as often and as late as it is set up to."""

from __future__ import annotations

import logging
import threading
from copy import deepcopy
from typing import TYPE_CHECKING

from local.sagemaker import events

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from local.sagemaker.store import Store
    from local.sagemaker.values import Document, Hooks, Package

_LOG = logging.getLogger(__name__)


class Announcer:
    """Sends state changes to the bus of the account that owns the package.

    That it is the owner's bus also when another account registered the version is inferred.
    """

    def __init__(
        self, store: Store, hooks: Hooks, clock: Callable[[], datetime], delay: float, duplicates: int
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._clock = clock
        self._delay = delay
        self._duplicates = duplicates

    def created(self, package: Package) -> None:
        """Announce a new package, and its completion when that comes later."""
        with self._store.lock:
            detail = events.state_change(package, self._clock(), [])
        self.send(package, detail)
        if self._delay and self._hooks.emit:
            timer = threading.Timer(self._delay, self._completed, [package])
            timer.daemon = True
            timer.start()

    def _completed(self, package: Package) -> None:
        with self._store.lock:
            there = self._store.packages.get(package.reference) is package
            detail = events.state_change(package, max(self._clock(), package.completed), [])
        if there:
            self.send(package, detail)

    def send(self, package: Package, detail: Document) -> None:
        """Send one state change, duplicates included. A failing bus does not undo what was done."""
        if not self._hooks.emit:
            return
        owner = package.reference
        for _ in range(1 + self._duplicates):
            try:
                self._hooks.emit(
                    owner.account,
                    owner.region,
                    events.SOURCE,
                    events.DETAIL_TYPE,
                    deepcopy(detail),
                    [owner.arn],
                )
            except Exception:
                _LOG.exception("the state change event of %s could not be sent", owner.arn)
