"""`score`: from the arguments to the table."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs

from app.inference.pipeline import Heatmap
from app.score.cli import inspector_settings
from app.score.errors import UsageError
from app.score.files import STDIN, check_paths, files
from app.score.inspector import Inspector
from app.score.journal import Journal, Run
from app.score.local import choose, local_inspector, run_of
from app.score.progress import Progress, Total
from app.score.remote import remote_inspector
from app.score.row import Row
from app.score.run import RowMaker, rows
from app.score.summary import Summary
from app.score.tables import writer_for


def score(arguments: argparse.Namespace) -> int:
    """Returns the exit status. Raises UsageError and what loading a version raises, where nothing was done;
    StoppedError or OSError, where a run that was begun can be resumed."""
    check_paths(arguments.paths)
    write = writer_for(arguments.out)
    if arguments.resume and arguments.out.exists() and not Journal.path_of(arguments.out).exists():
        sys.stdout.write(f"{arguments.out} is whole already\n")
        return 0
    with Journal(arguments.out, resume=arguments.resume) as journal:
        summary = Summary()
        seconds, done = asyncio.run(_inspect_all(arguments, journal, summary))
        journal.publish(write, summary.of(journal.rows()))
    sys.stdout.write(f"{summary.text(seconds, done)}\n{arguments.out}\n")
    return 1 if summary.errors else 0


async def _inspect_all(arguments: argparse.Namespace, journal: Journal, summary: Summary) -> tuple[float, int]:
    """Seconds, and files that were inspected in them."""
    kind, folder = _heatmaps(arguments)
    version = arguments.version or (journal.run.version if journal.run else None)
    async with (
        _threads(arguments.jobs or 1) as executor,
        _row_maker(arguments, version, executor, kind, folder, summary) as (make, run, jobs),
    ):
        images = f"{kind} in {folder}" if folder else ""
        journal.begin(structs.replace(run, images=images, timing=arguments.timing))
        left = _files(arguments)
        progress = Progress(journal.skip(left), Total(None if STDIN in arguments.paths else _files(arguments)))
        done = 0
        async for row in rows(left, make, jobs, executor):
            journal.append(row)
            progress.step()
            done += 1
    return progress.end(), done


@asynccontextmanager
async def _threads(jobs: int) -> AsyncIterator[Executor]:
    """That read and write files."""
    executor = ThreadPoolExecutor(jobs + 1, thread_name_prefix="files")
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)  # one may wait for a list that nobody goes on writing


@asynccontextmanager
async def _row_maker(
    arguments: argparse.Namespace,
    version: int | None,
    executor: Executor,
    kind: Heatmap,
    folder: Path | None,
    summary: Summary,
) -> AsyncIterator[tuple[Callable[[str], Awaitable[Row]], Run, int]]:
    """What makes a file's row, what rows depend on, and how many files are worked on at once."""
    if arguments.ray is None:
        async with inspector_of(arguments, version) as (inspector, run):
            make = RowMaker(inspector, executor, kind, folder, arguments.timing, summary.time)
            yield make, run, arguments.jobs
    else:
        from app.score.ray_cluster import ray_cluster
        from app.score.ray_worker import Work

        settings = inspector_settings(arguments)
        choice = choose(settings, arguments.model, version)
        work = Work(settings, choice, kind, folder, arguments.paths, os.getcwd())
        async with ray_cluster(arguments.ray, work, arguments.jobs, arguments.timing, summary.time) as (ray, run, jobs):
            yield ray.row, run, jobs


@asynccontextmanager
async def inspector_of(arguments: argparse.Namespace, version: int | None) -> AsyncIterator[tuple[Inspector, Run]]:
    """What inspects, and what its rows depend on. `version` None: that which serves."""
    if arguments.server:
        if arguments.model is None:
            raise UsageError("--server needs --model")
        async with remote_inspector(arguments.server, arguments.model, version, arguments.jobs) as remote:
            yield remote, Run(remote.model, remote.version, arguments.server)
    else:
        settings = inspector_settings(arguments)
        async with local_inspector(settings, choose(settings, arguments.model, version)) as local:
            yield local, run_of(local.loaded)


def _heatmaps(arguments: argparse.Namespace) -> tuple[Heatmap, Path | None]:
    if arguments.overlays:
        return "overlay", arguments.overlays
    return ("gray", arguments.heatmaps) if arguments.heatmaps else ("none", None)


def _files(arguments: argparse.Namespace) -> Iterator[str]:
    return files(arguments.paths, sys.stdin.buffer)
