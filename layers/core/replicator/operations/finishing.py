"""Lets go of a version whose run is over: its item first, and then the slot of its spoke."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from replicator.aws.ledger import Ledger
    from replicator.aws.slots import Slots


def finish(
    ledger: Ledger,
    slots: Slots,
    source_arn: str,
    attempt: int,
    now: datetime,
    read_at: str | None = None,
) -> bool:
    """Finish an attempt; False when an event came meanwhile and a further round is due. Raises `SupersededError`.

    Parameters
    ----------
    read_at
        As `Ledger.finish` has it.
    """
    over = ledger.finish(source_arn, attempt, now, read_at)
    if over:
        slots.release(source_arn)
    return over
