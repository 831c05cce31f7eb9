"""How long what is asked of many records takes, and how much memory a day's CSV.

    python -m benchmarks.records_lookup --rows 1000000

The rows are of thirty days, of two models and three versions; each has a map of 28×28. Some 4.5 GB for a million.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, insert

from app.records import queries
from app.records.csv_rows import csv_text
from app.records.database import migrate, open_database
from app.records.filter import Filter
from app.records.inference_id import new_inference_id
from app.records.inspection import Basis, Inspection, Origin, Recorded, SentImage
from app.records.rows import row_of
from app.records.tables import inspections
from benchmarks.machine import report
from model.evidence import HeatmapScale
from model.verdict import Decision, Thresholds, Verdict

DAYS = 30
DAY_MS = 86_400_000
CHUNK = 2000


def inspection(
    number: int, rows: int, began: int, maps: np.ndarray[tuple[int, int, int], np.dtype[np.float32]]
) -> Inspection:
    at = began + number * DAYS * DAY_MS // rows
    decision: Decision = "reject" if number % 100 == 0 else "review" if number % 37 == 0 else "accept"
    model, version = ("capsule", 1 + number * 3 // rows) if number % 5 else ("grid", 1)
    return Inspection(
        new_inference_id(at),
        Origin(f"{number:032x}", at, f"part {number}", "line-1", "cell 7"),
        Basis(model, version, "int8", Thresholds(0.3, 0.4, 0.6), 0.02, "a" * 64, 224, None, HeatmapScale(-2.0, 2.0)),
        Verdict("anomaly" if decision == "reject" else "good", decision, 0.1, -2.2),
        (),
        0.5,
        SentImage(1000, 1000, f"{number:064x}", 500_000),
        maps[number % len(maps)],
        [],
        {"decode": 9.1, "queue": 0.2, "predict": 80.4, "render": 1.3},
    )


def fill(connection: Connection, rows: int, began: int) -> None:
    maps = np.random.default_rng(0).normal(size=(100, 28, 28)).astype(np.float32)
    for first in range(0, rows, CHUNK):
        numbers = range(first, min(first + CHUNK, rows))
        kept = {number: "2026-11-26/06/image.png" for number in numbers if number % 37 == 0}
        chunk = [row_of(Recorded(inspection(each, rows, began, maps), kept.get(each))) for each in numbers]
        with connection.begin():
            connection.execute(insert(inspections), chunk)


def timed(name: str, query: Callable[[], object], times: int = 20) -> dict[str, object]:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        query()
        seconds.append(time.perf_counter() - began)
    return {
        "asked": name,
        "median ms": f"{1000 * statistics.median(seconds):.2f}",
        "worst ms": f"{1000 * max(seconds):.2f}",
    }


def day_as_csv(connection: Connection, wanted: Filter) -> tuple[int, int]:
    """Lines and bytes, a page after the other, as the service does it."""
    lines, size, cursor = 0, 0, None
    while page := queries.page(connection, wanted, 500, cursor):
        size += len(csv_text(page, header=not lines).encode())
        lines, cursor = lines + len(page), page[-1].inspection.inference_id
    return lines, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--records", help="folder, or URL of a PostgreSQL database, empty (default: a new folder)")
    parser.add_argument("--json", type=Path, help="folder to write the table to, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(options.records or folder, "normal")
        migrate(engine)
        now = round(1000 * time.time())
        began, clock = now - DAYS * DAY_MS, time.perf_counter()
        with engine.connect() as connection:
            fill(connection, options.rows, began)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"{options.rows} rows written in {time.perf_counter() - clock:.0f} s, {size / 1e6:.0f} MB")
        with engine.connect() as connection:

            def first_page(**wanted: object) -> Callable[[], object]:
                return lambda: queries.page(connection, replace(Filter(), **wanted), 50)  # type: ignore[arg-type]

            middle = began + 15 * DAY_MS
            day = {"since": middle, "until": middle + DAY_MS}
            rows = [
                timed("part", first_page(part_id=f"part {options.rows // 3}")),
                timed("part that isn't there", first_page(part_id="none")),
                timed("newest", first_page()),
                timed("model", first_page(model="grid")),
                timed("decision", first_page(decision="reject")),
                timed("model and oldest version", first_page(model="capsule", version=1)),
                timed("model, version that isn't there", first_page(model="capsule", version=9)),
                timed("a day in the middle", first_page(**day)),
                timed("model and decision, a day in the middle", first_page(model="grid", decision="reject", **day)),
                timed("label, of which there is none", first_page(label="scratch")),
                timed("bytes of all images", lambda: queries.kept_bytes(connection)),
                timed("oldest images", lambda: queries.oldest_kept(connection, 100)),
            ]
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            clock = time.perf_counter()
            lines, size = day_as_csv(connection, Filter(since=middle, until=middle + DAY_MS))
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            took = f"{1000 * (time.perf_counter() - clock):.0f}"
            grown = f"a day as CSV: {lines} lines, {size / 1e6:.1f} MB, memory +{(after - before) / 1000:.1f} MB"
            rows.append({"asked": grown, "median ms": took, "worst ms": took})
        report(f"{options.rows:,} records", rows, options.json and options.json / "records_lookup.json")
        engine.dispose()


if __name__ == "__main__":
    main()
