"""Running jobs side by side."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from replicator.aws.artifact_pool import run
from replicator.aws.artifact_tally import Budget, Countdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from replicator.aws.artifact_pool import Job


def plenty() -> float:
    return 600.0


def test_jobs_and_the_jobs_that_come_out_of_them_all_run() -> None:
    seen: list[tuple[int, ...]] = []

    def job(*name: int) -> Iterable[Job] | None:
        seen.append(name)
        return (partial(job, *name, child) for child in range(3)) if len(name) < 3 else None

    assert run((partial(job, number) for number in range(4)), 3, plenty, 10.0)
    assert len(seen) == len(set(seen)) == 4 + 4 * 3 + 4 * 9


def test_never_more_than_the_streams_and_all_of_them_used() -> None:
    lock, flying, most = threading.Lock(), 0, 0

    def job() -> None:
        nonlocal flying, most
        with lock:
            flying += 1
            most = max(most, flying)
        time.sleep(0.01)
        with lock:
            flying -= 1

    assert run([job] * 30, 5, plenty, 10.0)
    assert most == 5


def test_jobs_are_taken_only_as_there_are_streams() -> None:
    """A million objects need no more memory than the streams do."""
    taken, done, lock = 0, 0, threading.Lock()
    ahead: list[int] = []

    def finish() -> None:
        nonlocal done
        with lock:
            done += 1

    def jobs() -> Iterator[Job]:
        nonlocal taken
        for _ in range(200):
            taken += 1
            ahead.append(taken - done)
            yield finish

    assert run(jobs(), 4, plenty, 10.0)
    assert done == 200
    assert max(ahead) <= 5


def test_what_was_begun_is_finished_before_more_is_begun() -> None:
    order: list[str] = []

    def begin(name: str) -> Iterable[Job]:
        order.append(f"begin {name}")
        return [partial(order.append, f"{name}{part}") for part in range(3)]

    run((partial(begin, name) for name in "ab"), 1, plenty, 10.0)
    assert order == ["begin a", "a0", "a1", "a2", "begin b", "b0", "b1", "b2"]


def test_none_waits_for_one_that_is_in_flight() -> None:
    """The first takes until the fifth is done, and there may be no more than five."""
    fifth, order = threading.Event(), list[int]()

    def job(number: int) -> None:
        if number == 0:
            fifth.wait(10)
        order.append(number)
        if number == 4:
            fifth.set()

    def jobs() -> Iterator[Job | None]:
        for number in range(9):
            while number - len(order) >= 5 or (number >= 5 and 0 not in order):
                yield None
            yield partial(job, number)

    assert run(jobs(), 3, plenty, 10.0)
    assert sorted(order) == list(range(9))
    assert order.index(0) == 4


def test_it_begins_nothing_when_time_is_short_and_says_that_work_is_left() -> None:
    seen: list[int] = []
    left = lambda: 100.0 if len(seen) < 5 else 20.0  # noqa: E731
    assert not run((partial(seen.append, number) for number in range(100)), 1, left, 30.0)
    assert seen == [0, 1, 2, 3, 4]


def test_done_exactly_at_the_deadline_is_done() -> None:
    seen: list[int] = []
    left = lambda: 100.0 if not seen else 20.0  # noqa: E731
    assert run([partial(seen.append, 1)], 1, left, 30.0)


def test_it_does_not_wait_for_a_request_beyond_the_last_moment() -> None:
    release = threading.Event()
    ends = time.monotonic() + 5.3
    started = time.monotonic()
    assert not run([partial(release.wait, 20)], 1, lambda: ends - time.monotonic(), 0.0)  # type: ignore[list-item]
    assert time.monotonic() - started < 3
    release.set()


def test_the_first_failure_stops_the_rest_after_what_is_in_flight() -> None:
    finished: list[int] = []

    def fail() -> None:
        raise LookupError("broken")

    def slow() -> None:
        time.sleep(0.2)
        finished.append(1)

    with pytest.raises(LookupError, match="broken"):
        run([slow, fail, *[slow] * 50], 2, plenty, 10.0)
    assert len(finished) <= 2
    assert finished


def test_a_countdown_has_one_last() -> None:
    countdown = Countdown(3)
    assert [countdown.is_last() for _ in range(3)] == [False, False, True]


def test_a_budget_is_never_overdrawn() -> None:
    budget, lock, held, most = Budget(100), threading.Lock(), 0, 0

    def job(size: int) -> None:
        nonlocal held, most
        with budget.hold(size):
            with lock:
                held += size
                most = max(most, held)
            time.sleep(0.002)
            with lock:
                held -= size

    assert run([partial(job, size) for size in (30, 40, 60, 100, 1) * 10], 8, plenty, 10.0)
    assert most <= 100
    assert held == 0
