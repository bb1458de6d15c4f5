"""Lets go of a version whose run is over: its item first, and then the slot of its spoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.aws.ledger import Ledger
    from replicator.aws.slots import Slots


def finish(ledger: Ledger, slots: Slots, source_arn: str, attempt: int, now: datetime) -> bool:
    """Finish an attempt; False when an event came meanwhile and a further round is due. Raises `SupersededError`."""
    over = ledger.finish(source_arn, attempt, now)
    if over:
        slots.release(source_arn)
    return over
