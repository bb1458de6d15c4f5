"""Runs the requests of a copy side by side, and stops ahead of the deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

type Job = Callable[[], Iterable[Job] | None]
"""One unit of work; it may answer with the jobs that come after it, which can be a generator."""

type Clock = Callable[[], float]
"""Seconds that are left."""

_LAST_MOMENT = 5.0
"""Seconds that are kept for answering."""


def run(jobs: Iterable[Job], streams: int, seconds_left: Clock, margin: float) -> bool:
    """Run all jobs and the jobs that come out of them, ``streams`` of them at a time.

    The jobs are taken from their iterators only when there is a free stream, so a million of them need no
    more memory than ``streams``. Jobs that come out of a job go before those that wait: what was begun is
    finished first.

    Returns
    -------
    bool
        Whether everything was done; False when less than ``margin`` seconds are left.

    Raises
    ------
    Exception
        What the first failing job raised, once those in flight have come back.
    """
    waiting: list[Iterator[Job]] = [iter(jobs)]
    flying: set[Future[Iterable[Job] | None]] = set()
    pool = ThreadPoolExecutor(max_workers=streams, thread_name_prefix="copy")
    try:
        while True:
            while len(flying) < streams and seconds_left() > margin and (job := _next(waiting)):
                flying.add(pool.submit(job))
            if not flying:
                return _next(waiting) is None
            landed, flying = wait(flying, _patience(seconds_left), FIRST_COMPLETED)
            if not landed:
                return False
            for future in landed:
                if more := future.result():
                    waiting.append(iter(more))
    except BaseException:
        wait(flying, _patience(seconds_left))
        raise
    finally:
        # A request that is still in flight at the very end is left to itself: a part is a part.
        pool.shutdown(wait=False, cancel_futures=True)


def _patience(seconds_left: Clock) -> float:
    return max(0.0, seconds_left() - _LAST_MOMENT)


def _next(waiting: list[Iterator[Job]]) -> Job | None:
    while waiting:
        job = next(waiting[-1], None)
        if job is not None:
            return job
        waiting.pop()
    return None
