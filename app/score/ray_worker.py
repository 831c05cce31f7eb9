"""One process on a machine of a Ray cluster: an engine with its codec processes, which reads the files by itself."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from app.inference.pipeline import Heatmap
from app.score.errors import StoppedError, UsageError
from app.score.files import check_paths
from app.score.journal import Run
from app.score.local import Choice, local_inspector, run_of
from app.score.row import Row
from app.score.run import RowMaker
from app.settings import Settings
from model.cpus import agree_to


@dataclass(frozen=True)
class Work:
    """What all workers of a run do."""

    settings: Settings
    choice: Choice
    heatmap: Heatmap
    heatmaps: Path | None
    paths: Sequence[str]
    folder: str
    """The current one of the command: names mean the same files here, and rows have the same words."""


class RayWorker:
    """An actor; Ray makes it anew where its process has died, which opens the version again."""

    def __init__(self, work: Work, cpus: int, jobs: int) -> None:
        """`cpus`: its share of the machine. `jobs`: files it is given at once at most."""
        self._work, self._cpus, self._jobs = work, cpus, jobs
        self._opening: asyncio.Task[tuple[RowMaker, Run]] | None = None
        self._until_it_ends = AsyncExitStack()
        """Holds what would be closed with the last one that knows it."""

    async def ready(self) -> Run:
        """What its rows depend on. Raises UsageError where files aren't there, or what loading a version raises."""
        return (await self._opened())[1]

    async def row(self, file: str, run: Run) -> Row:
        """With its timing. Raises StoppedError where this process would answer otherwise than the run's others, or as
        `RowMaker` does."""
        make, own = await self._opened()
        if own != run:
            raise StoppedError(
                f"it would answer by {own.serving}, others by {run.serving}: name --device and --variant"
            )
        return await make(file)

    async def _opened(self) -> tuple[RowMaker, Run]:
        self._opening = self._opening or asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> tuple[RowMaker, Run]:
        work = self._work
        agree_to(self._cpus)
        try:
            os.chdir(work.folder)
        except OSError as error:
            raise UsageError(f"the folder {work.folder} can't be entered: {error.strerror}") from None
        await asyncio.to_thread(check_paths, work.paths)
        inspector = await self._until_it_ends.enter_async_context(local_inspector(work.settings, work.choice))
        executor = ThreadPoolExecutor(self._jobs, thread_name_prefix="files")
        return RowMaker(inspector, executor, work.heatmap, work.heatmaps, timing=True), run_of(inspector.loaded)
