"""How long a flood takes that is put off again and again, and how often it is, played without AWS."""

from __future__ import annotations

import heapq
import random
from statistics import median

from replicator.operations.intake import longest_delay


def played(events: int, slots: int, seconds: float, seed: int) -> tuple[float, int]:
    """Give the seconds until a spoke's events are replicated, and how often intake took one.

    Parameters
    ----------
    events
        All arrive at once.
    seconds
        A run takes so long, three tenths more or less.
    """
    chance = random.Random(seed)  # noqa: S311  (no secret)
    arriving = [(0.0, number, 0) for number in range(events)]
    running: list[float] = []
    end, taken = 0.0, 0
    while arriving:
        now, number, deferred = heapq.heappop(arriving)
        taken += 1
        while running and running[0] <= now:
            heapq.heappop(running)
        if len(running) < slots:
            heapq.heappush(running, now + seconds * chance.uniform(0.7, 1.3))
            end = max(end, max(running))
        else:
            longest = longest_delay(deferred)
            heapq.heappush(arriving, (now + chance.randint(longest // 2, longest), number, deferred + 1))
    return end, taken


def test_slots_do_not_stand_empty_while_a_flood_waits() -> None:
    """400 events, 25 slots, half a minute each: 8 minutes at best. With delays of up to 900 s it took 20."""
    ends, takes = zip(*(played(400, 25, 30.0, seed) for seed in range(5)), strict=True)
    assert median(ends) <= 1.5 * 400 / 25 * 30
    assert median(takes) <= 10 * 400


def test_a_flood_of_thousands_is_not_asked_after_all_the_time() -> None:
    """What intake does in vain stays below a fifth of the hundred and more a second that it can take."""
    end, taken = played(2000, 25, 30.0, seed=1)
    assert end <= 1.2 * 2000 / 25 * 30
    assert taken / end < 20


def test_delays_double_up_to_two_minutes() -> None:
    assert [longest_delay(deferred) for deferred in range(6)] == [10, 20, 40, 80, 120, 120]
    assert longest_delay(10**6) == 120
