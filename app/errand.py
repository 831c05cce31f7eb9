"""Work that one thread is asked to do by others."""

import queue
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from model.engines.devices import Device
from model.errors import CamspectorError

Work = Callable[[Device], None]


@dataclass(frozen=True)
class Errand:
    """`done` fails with the CamspectorError that the work raises; cancelled in time, nothing is done."""

    work: Work
    done: Future[None] = field(default_factory=Future)

    def run(self, device: Device) -> None:
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            self.work(device)
        except CamspectorError as error:
            self.done.set_exception(error)
        else:
            self.done.set_result(None)


class Errands:
    """In the order in which they were asked."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Errand] = queue.SimpleQueue()

    def ask(self, work: Work) -> Future[None]:
        errand = Errand(work)
        self._waiting.put(errand)
        return errand.done

    def next(self, seconds: float) -> Errand | None:
        """None: there was none for so long."""
        try:
            return self._waiting.get(timeout=seconds)
        except queue.Empty:
            return None
