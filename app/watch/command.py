"""`watch`: from the arguments to rounds without end."""

import argparse
import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from app.monitoring.log_once import LogOnce
from app.score.command import inspector_of
from app.score.errors import StoppedError, UsageError
from app.score.files import shown
from app.score.row import Row, columns
from app.score.run import RowMaker
from app.score.tables import csv_cells, csv_line
from app.watch.destinations import Destinations
from app.watch.folder import WatchedFolder
from app.watch.ledger import Ledger
from app.watch.station import Station
from model.errors import CamspectorError

log = logging.getLogger(__name__)

_DECISIONS: Final = ("accept", "review", "reject")
_FOLLOW_SECONDS: Final = 5.0
"""Between two looks at which version serves."""
_IDLE: Final = 4.0
"""Where nothing is to be done: a folder with many files isn't looked at all the time."""


def watch(arguments: argparse.Namespace) -> int:
    """Returns the exit status. Raises UsageError and what loading a version raises, before anything is done."""
    header, line = _lines(arguments.out)
    destinations = Destinations(_destinations(arguments), arguments.copy)
    if not arguments.folder.is_dir():
        raise UsageError(f"{arguments.folder} is no folder")
    ledger_path = arguments.ledger or arguments.out.with_name(f".{arguments.out.name}.ledger")
    excluded = frozenset(map(os.path.realpath, [*destinations.folders.values(), arguments.out]))
    folder = WatchedFolder(arguments.folder, arguments.settle_seconds, excluded)
    if os.path.realpath(arguments.folder) in excluded:
        raise UsageError(f"images can't go to {arguments.folder}: they would be inspected again")
    with closing(Ledger(ledger_path)) as ledger, ThreadPoolExecutor(arguments.jobs) as executor:

        def station(make: RowMaker) -> Station:
            return Station(folder, ledger, destinations, arguments.out, header, line, make, executor, arguments.jobs)

        asyncio.run(_rounds(arguments, station, executor))
    return 0


async def _rounds(
    arguments: argparse.Namespace, station_of: Callable[[RowMaker], Station], executor: ThreadPoolExecutor
) -> None:
    """Until a signal; what is being inspected then is inspected after the next start. Raises StoppedError."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with inspector_of(arguments, arguments.version) as (inspector, run):
        station = station_of(RowMaker(inspector, executor))
        log.info("watching %s: model %s version %d, %s", arguments.folder, run.model, run.version, run.source)
        stopping = asyncio.create_task(stop.wait())
        follow_at, following, stopped = time.monotonic() + _FOLLOW_SECONDS, LogOnce(log), LogOnce(log)
        while not stop.is_set():
            began = time.monotonic()
            if arguments.version is None and began >= follow_at:
                await _follow(station, following)
                follow_at = time.monotonic() + _FOLLOW_SECONDS
            working = asyncio.create_task(station.round())
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                break
            if not _inspected(working, arguments.server, stopped):
                seconds = max(arguments.poll_seconds, _IDLE * (time.monotonic() - began))
                await asyncio.wait({stopping}, timeout=seconds)
        stopping.cancel()
    log.info("stopped")


async def _follow(station: Station, warnings: LogOnce) -> None:
    """Let the version inspect that serves now; the one before goes on where that can't."""
    before = station.make.inspector
    try:
        station.make = replace(station.make, inspector=await before.followed())
    except CamspectorError as error:
        warnings.update({f"version {before.version} goes on: {error}"})
    else:
        warnings.update(set())
        if station.make.inspector.version != before.version:
            log.info("version %d serves now", station.make.inspector.version)


def _inspected(working: asyncio.Task[int], server: str | None, stopped: LogOnce) -> int:
    """How many files were; a service that gives no verdicts now is asked again. Raises StoppedError of an engine."""
    try:
        count = working.result()
    except StoppedError as error:
        if not server:
            raise
        stopped.update({str(error)})
        return 0
    if count:
        stopped.update(set())
    return count


def _lines(out: Path) -> tuple[bytes, Callable[[Row, str, str | None], bytes]]:
    """The log's first line, and what makes the others. Raises UsageError."""

    def csv(row: Row, time: str, destination: str | None) -> bytes:
        return csv_line([time, *csv_cells(row, timing=False), destination and shown(destination)])

    def jsonl(row: Row, time: str, destination: str | None) -> bytes:
        members = {"inspected_at": time, **row.members(), "destination": destination and shown(destination)}
        return msgspec.json.encode(members) + b"\n"

    if out.suffix.lower() == ".csv":
        return csv_line(["inspected_at", *columns(timing=False), "destination"]), csv
    if out.suffix.lower() == ".jsonl":
        return b"", jsonl
    raise UsageError(f"--out {out}: the name must end in .csv or .jsonl, which can be appended to")


def _destinations(arguments: argparse.Namespace) -> dict[str, Path]:
    """Raises UsageError for what isn't a folder."""
    found = {name: path for name in _DECISIONS if (path := getattr(arguments, name))}
    for name, path in found.items():
        if not path.is_dir():
            raise UsageError(f"--{name} {path} is no folder")
    return found
