"""Many files, several at once, and their rows in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from app.inference.pipeline import Heatmap
from app.score.errors import NoVerdictError
from app.score.files import read_image
from app.score.heatmaps import write_heatmap
from app.score.inspector import Inspector
from app.score.row import Row

_AHEAD: Final = 64
"""Rows that may be done before the one that is written next: an image that takes long keeps nobody."""


@dataclass(frozen=True)
class RowMaker:
    """From a file to its row, and its heatmap's file."""

    inspector: Inspector
    executor: Executor
    """Of the threads that read and write files."""
    heatmap: Heatmap = "none"
    heatmaps: Path | None = None
    """The folder that they are written into."""
    timing: bool = False
    timed: Callable[[Mapping[str, float]], object] = lambda _: None
    """Is told what each image took, in milliseconds."""

    async def __call__(self, file: str) -> Row:
        """Raises StoppedError, or OSError where a heatmap can't be written."""
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self.executor)
        try:
            image = await in_thread(read_image, file, self.inspector.max_bytes)
            prediction = await self.inspector.inspect(image, file, self.heatmap)
        except NoVerdictError as error:
            return Row.of_error(file, error)
        if self.heatmaps and prediction.heatmap:
            await in_thread(write_heatmap, self.heatmaps, file, prediction.heatmap)
        self.timed(prediction.timing_ms.model_dump())
        return Row.of(file, prediction, timing=self.timing)


async def rows(
    files: Iterator[str], make: Callable[[str], Awaitable[Row]], jobs: int, executor: Executor
) -> AsyncGenerator[Row, None]:
    """The files' rows in their order, `jobs` files at a time. Raises what `make` raises."""
    loop, free = asyncio.get_running_loop(), asyncio.Semaphore(jobs)
    begun: deque[asyncio.Task[Row]] = deque()

    async def row(file: str) -> Row:
        try:
            return await make(file)
        finally:
            free.release()

    try:
        while (file := await loop.run_in_executor(executor, next, files, None)) is not None:
            await free.acquire()
            begun.append(asyncio.ensure_future(row(file)))
            while begun and (begun[0].done() or len(begun) > jobs + _AHEAD):
                yield await begun.popleft()
        while begun:
            yield await begun.popleft()
    finally:
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
