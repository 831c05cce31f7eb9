"""`score`: from the arguments to the table."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import structs

from app.inference.pipeline import Heatmap
from app.score.cli import inspector_settings
from app.score.errors import UsageError
from app.score.files import STDIN, check_paths, files
from app.score.inspector import Inspector
from app.score.journal import Journal, Run
from app.score.local import load, local_inspector
from app.score.progress import Progress, Total
from app.score.remote import remote_inspector
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
    async with inspector_of(arguments, version) as (inspector, run):
        images = f"{kind} in {folder}" if folder else ""
        journal.begin(structs.replace(run, images=images, timing=arguments.timing))
        left = _files(arguments)
        progress = Progress(journal.skip(left), Total(None if STDIN in arguments.paths else _files(arguments)))
        executor, done = ThreadPoolExecutor(arguments.jobs + 1, thread_name_prefix="files"), 0
        make = RowMaker(inspector, executor, kind, folder, arguments.timing, summary.time)
        try:
            async for row in rows(left, make, arguments.jobs, executor):
                journal.append(row)
                progress.step()
                done += 1
        finally:
            executor.shutdown(wait=False, cancel_futures=True)  # one may wait for a list that nobody goes on writing
    return progress.end(), done


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
        loaded = load(settings, arguments.model, version)
        serving = f"{loaded.config_sha256} {loaded.detector.variant.name}"
        async with local_inspector(settings, loaded) as local:
            yield local, Run(loaded.model, loaded.version, "local", serving)


def _heatmaps(arguments: argparse.Namespace) -> tuple[Heatmap, Path | None]:
    if arguments.overlays:
        return "overlay", arguments.overlays
    return ("gray", arguments.heatmaps) if arguments.heatmaps else ("none", None)


def _files(arguments: argparse.Namespace) -> Iterator[str]:
    return files(arguments.paths, sys.stdin.buffer)
