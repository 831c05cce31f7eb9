"""What one thread does for others, in the order in which it was asked."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from app.errors import DeadlineError

T = TypeVar("T")


@dataclass(frozen=True)
class Job(Generic[T]):
    """`done` has what `work` returns, or raises. Cancelled in time, nothing is done."""

    work: Callable[[], T]
    done: Future[T] = field(default_factory=Future)

    def run(self) -> None:
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            result = self.work()
        except Exception as error:  # noqa: BLE001  # a bug too is told to who waits for it; the thread goes on
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class Jobs:
    """A queue that any thread may put into."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Job[Any]] = queue.SimpleQueue()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        job = Job(work)
        self._queue.put(job)
        return job.done

    def next(self, seconds: float) -> Job[Any] | None:
        """None: there was none for so long."""
        try:
            return self._queue.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None


async def done(job: Future[T], until: float, what: str) -> T:
    """What a job gives, `until` then on the event loop's clock. Raises what it raises, or DeadlineError: `what` was not
    done; where it isn't begun, it never will be."""
    try:
        async with asyncio.timeout_at(until):
            return await asyncio.wrap_future(job)
    except TimeoutError:
        raise DeadlineError(f"{what} within the deadline") from None
