"""Runs the requests of a copy side by side, and stops ahead of the deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue

type Job = Callable[[], Iterable[Job] | None]
"""One unit of work; it may answer with the jobs that come after it, which can be a generator."""

type Clock = Callable[[], float]
"""Seconds that are left."""

_LAST_MOMENT = 5.0
"""Seconds that are kept for answering."""


def run(jobs: Iterable[Job | None], streams: int, seconds_left: Clock, margin: float) -> bool:
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
    waiting: list[Iterator[Job | None]] = [iter(jobs)]
    # Not `futures.wait`: that looks at every future in flight each time one of them lands.
    landed: SimpleQueue[Future[Iterable[Job] | None]] = SimpleQueue()
    flying = 0
    pool = ThreadPoolExecutor(max_workers=streams, thread_name_prefix="copy")
    try:
        while True:
            while flying < streams and seconds_left() > margin and (job := _next(waiting)):
                pool.submit(job).add_done_callback(landed.put)
                flying += 1
            if not flying:
                return _next(waiting) is None and not waiting
            future = landed.get(timeout=_patience(seconds_left))
            flying -= 1
            if more := future.result():
                waiting.append(iter(more))
    except Empty:
        return False
    except BaseException:
        with suppress(Empty):
            for _ in range(flying):
                landed.get(timeout=_patience(seconds_left))
        raise
    finally:
        # A request that is still in flight at the very end is left to itself: a part is a part.
        pool.shutdown(wait=False, cancel_futures=True)


def _patience(seconds_left: Clock) -> float:
    return max(0.0, seconds_left() - _LAST_MOMENT)


def _next(waiting: list[Iterator[Job | None]]) -> Job | None:
    """Take the next job. None: there is none, or (with something left in ``waiting``) none yet."""
    while waiting:
        for job in waiting[-1]:
            return job
        waiting.pop()
    return None
