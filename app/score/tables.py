"""Rows as a file of CSV (RFC 4180), JSON lines or Parquet."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from app.score.errors import UsageError
from app.score.row import Row, columns

_CHUNK: Final = 10_000
"""Rows of Parquet that are in memory at once: a row group."""

Write = Callable[[Iterable[Row], BinaryIO, bool], None]


def writer_for(path: Path) -> Write:
    """What writes rows, with or without their timing, as the path's suffix says. Raises UsageError."""
    writers: Mapping[str, Write] = {".csv": write_csv, ".jsonl": write_jsonl, ".parquet": write_parquet}
    if (write := writers.get(path.suffix.lower())) is None:
        raise UsageError(f"--out {path}: the name must end in {', '.join(writers)}")
    if write is write_parquet:
        _pyarrow()
    return write


def write_csv(rows: Iterable[Row], file: BinaryIO, timing: bool) -> None:
    file.write(csv_line(columns(timing=timing)))
    for row in rows:
        file.write(csv_line(csv_cells(row, timing=timing)))


def csv_cells(row: Row, *, timing: bool) -> list[object]:
    return [_text(read(row)) for _, read in columns(timing=timing).values()]


def csv_line(cells: Iterable[object]) -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()


def write_jsonl(rows: Iterable[Row], file: BinaryIO, timing: bool) -> None:
    for row in rows:
        file.write(jsonl_line(row))


def jsonl_line(row: Row) -> bytes:
    return msgspec.json.encode(row.members()) + b"\n"


def write_parquet(rows: Iterable[Row], file: BinaryIO, timing: bool) -> None:
    arrow, parquet = _pyarrow()
    types = {str: arrow.string(), float: arrow.float64(), int: arrow.int64(), bool: arrow.bool_()}
    wanted = columns(timing=timing)
    schema = arrow.schema([(name, types[kind]) for name, (kind, _) in wanted.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        for chunk in _chunks(rows):
            cells = {name: [read(row) for row in chunk] for name, (_, read) in wanted.items()}
            writer.write_table(arrow.table(cells, schema))


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def _text(value: object) -> object:
    """true and false as JSON writes them; None is an empty cell."""
    return str(value).lower() if isinstance(value, bool) else value


def _pyarrow() -> tuple[Any, Any]:
    """Raises UsageError where it isn't installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"Parquet needs the packages of camspector[parquet]: {error}") from None
    return pyarrow, pyarrow.parquet
