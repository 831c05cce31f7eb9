"""The log of inspections: lines of CSV or JSON that are appended, each once."""

import os
from pathlib import Path


def line_begins(path: Path) -> int:
    """Where the next line will begin. Raises OSError."""
    return path.stat().st_size if path.exists() else 0


def write_line(path: Path, line: bytes, offset: int, header: bytes) -> None:
    """Write `line` at the end, unless it is at `offset`, where it was begun; in part, it is written there anew.

    A new file begins with the header. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    with open(descriptor, "r+b") as file:
        size = os.fstat(descriptor).st_size
        whole = line if offset else header + line
        file.seek(offset)
        there = file.read(len(whole)) if size >= offset else b""
        if there == whole:
            return
        if size >= offset and whole.startswith(there) and size == offset + len(there):
            file.truncate(offset)
            file.seek(offset)
            file.write(whole)
        else:  # another has written to it, or put it away
            end = file.seek(0, os.SEEK_END)
            file.write(line if end else header + line)
