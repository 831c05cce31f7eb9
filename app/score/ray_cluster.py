"""A Ray cluster's workers, and which of them makes which row."""

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from app.score.cli import default_jobs
from app.score.errors import NoVerdictError, StoppedError, UsageError
from app.score.files import read_image, shown
from app.score.journal import Run
from app.score.ray_worker import RayWorker, Work
from app.score.row import Row
from model.engines.devices import DeviceChoice
from model.errors import CamspectorError

log = logging.getLogger(__name__)

_CPUS: Final = 8
"""Of one worker at most: beyond that its images would wait for one Python."""
_ATTEMPTS: Final = 5
"""Workers that may die while they have one file."""
_RESTARTS: Final = 20
"""Of one worker: one that dies of its machine isn't started for ever."""
_CODE: Final = str(Path(__file__).parents[2])


@dataclass(frozen=True)
class Share:
    """A worker's share of a machine."""

    node: str
    machine: str
    cpus: int
    gpus: int


@dataclass(eq=False)
class _Worker:
    """One process, as long as it lives."""

    actor: Any
    machine: str
    jobs: int
    alive: bool = True


class RayCluster:
    """Makes rows, each by one worker. A row comes once or not at all, and one that didn't come is made again."""

    def __init__(self, timing: bool, timed: Callable[[Mapping[str, float]], object]) -> None:
        self.run: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        """What the rows depend on, known when the first worker is ready."""
        self._timing = timing
        self._timed = timed
        self._free: asyncio.Queue[_Worker | None] = asyncio.Queue()
        """Each worker as often as it can be given a file; None: no row can be made any more."""
        self._failure: Exception = StoppedError("no machine of the Ray cluster has a worker any more")
        self._left = 0
        self._joining: set[asyncio.Task[None]] = set()

    def add(self, actor: Any, machine: str, jobs: int) -> None:
        self._left += 1
        self._begin(_Worker(actor, machine, jobs))

    async def row(self, file: str) -> Row:
        """Raises StoppedError."""
        from ray.exceptions import RayError, RayTaskError

        reason = ""
        for _ in range(_ATTEMPTS):
            worker = await self._next()
            try:
                row: Row = await worker.actor.row.remote(file, self.run.result())
            except RayTaskError as error:
                raise StoppedError(_said(error, worker.machine)) from None
            except RayError as error:
                reason = f"its worker on {worker.machine} has died: {_first_line(error)}"
                self._lost(worker)
                continue
            self._free.put_nowait(worker)
            if row.error != "unreadable-file" or not await asyncio.to_thread(_is_readable, file):
                return self._told(row)
            reason = f"{worker.machine} can't read it, though it can be read here"
        raise StoppedError(f"{shown(file)}: {reason}")

    async def _next(self) -> _Worker:
        while True:
            worker = await self._free.get()
            if worker is None:
                self._free.put_nowait(None)  # for the next one who waits
                raise self._failure
            if worker.alive:
                return worker

    def _told(self, row: Row) -> Row:
        if row.timing_ms:
            self._timed(row.timing_ms)
        return row if self._timing else structs.replace(row, timing_ms=None)

    def _begin(self, worker: _Worker) -> None:
        task = asyncio.create_task(self._join(worker))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, worker: _Worker) -> None:
        """Give it files when it is ready, after as many restarts as it may have."""
        from ray.exceptions import RayError, RayTaskError

        try:
            run: Run = await worker.actor.ready.options(max_task_retries=-1).remote()
        except RayTaskError as error:
            said = _said(error, worker.machine)
            self._fail(StoppedError(said) if self.run.done() else UsageError(said))
        except RayError:
            self._left -= 1
            if not self._left:
                self._fail(self._failure)
        else:
            if not self.run.done():
                self.run.set_result(run)
            for _ in range(worker.jobs):
                self._free.put_nowait(worker)

    def _lost(self, worker: _Worker) -> None:
        """The process has died; what stands for it in the queue is nobody's."""
        if worker.alive:
            worker.alive = False
            self._begin(_Worker(worker.actor, worker.machine, worker.jobs))

    def _fail(self, error: Exception) -> None:
        self._failure = error
        if not self.run.done():
            self.run.set_exception(error)
        self._free.put_nowait(None)


@asynccontextmanager
async def ray_cluster(
    address: str, work: Work, jobs: int | None, timing: bool, timed: Callable[[Mapping[str, float]], object]
) -> AsyncIterator[tuple[RayCluster, Run, int]]:
    """Workers on every machine, what their rows depend on, and how many files they work on at once.

    `address`: of the cluster; empty: RAY_ADDRESS, this machine's, or one that is started for this run. `jobs`: of each
    worker. Raises UsageError or StoppedError.
    """
    ray = _ray()
    try:
        ray.init(
            address or None,
            runtime_env={"env_vars": {"PYTHONPATH": _CODE}},
            include_dashboard=None if address else False,
            configure_logging=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"--ray {address}: {_first_line(error)}") from None
    try:
        device, shares = shares_of(ray.nodes(), work.settings.device)
        if not shares:
            raise UsageError("--ray: no machine of the cluster has " + ("a GPU" if device == "cuda" else "CPUs"))
        of_all = replace(work, settings=work.settings.model_copy(update={"device": device}))
        cluster, total = RayCluster(timing, timed), 0
        for share in shares:
            at_once = jobs or default_jobs(share.cpus)
            cluster.add(_actor(ray, share).remote(of_all, share.cpus, at_once), share.machine, at_once)
            total += at_once
        yield cluster, await cluster.run, total
    finally:
        ray.shutdown()


def shares_of(nodes: Sequence[Mapping[str, Any]], device: DeviceChoice) -> tuple[DeviceChoice, list[Share]]:
    """Which device all workers have, and where they are: one for each GPU, or for so many CPUs of each machine.

    GPUs where there are any, unless the CPU is asked for: CPUs beside them would answer otherwise.
    """
    there = {node["NodeID"]: node for node in nodes if node["Alive"]}
    has = {
        name: (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for name, node in there.items()
    }
    cuda = device == "cuda" or (device == "auto" and any(gpus for _, gpus in has.values()))
    shares = []
    for name, (cpus, gpus) in has.items():
        count = gpus if cuda else math.ceil(cpus / _CPUS)
        shares += [Share(name, there[name]["NodeManagerAddress"], cpus // count, int(cuda)) for _ in range(count)]
    return "cuda" if cuda else "cpu", shares


def _ray() -> Any:
    """Ray, which tells nobody that it is used. Raises UsageError where it isn't installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise UsageError(f"--ray needs the packages of camspector[ray]: {error}") from None
    return ray


def _actor(ray: Any, share: Share) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(share.node, soft=False)
    return ray.remote(RayWorker).options(
        num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=_RESTARTS, scheduling_strategy=there
    )


def _said(error: Any, machine: str) -> str:
    """What a worker's error says; of one that nobody expects the log has the rest."""
    if isinstance(error.cause, CamspectorError | OSError):
        return f"{machine}: {error.cause}"
    log.error("%s", error)
    return f"{machine}: a bug: {error.cause!r}"


def _is_readable(file: str) -> bool:
    try:
        read_image(file, 0)
    except NoVerdictError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
