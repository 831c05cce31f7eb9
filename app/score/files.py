"""Which files are meant by folders, globs, names, and lists of them; one after the other, none held in memory."""

import glob
import os
import stat
from collections.abc import Iterable, Iterator, Set
from typing import BinaryIO, Final

from app.score.errors import NoVerdictError, UsageError
from app.score.urls import check_url, files_at, is_url, read_url
from model.clutter import is_clutter

STDIN: Final = "-"
"""The path that stands for a list on standard input."""
_FLAGS: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe would keep who opens it."""


def check_paths(paths: Iterable[str]) -> None:
    """Raises UsageError for what isn't there: it would go unnoticed among many."""
    for path in paths:
        if is_url(path):
            check_url(path)
        elif path != STDIN and not os.path.lexists(path) and next(glob.iglob(path, recursive=True), None) is None:
            raise UsageError(f"{shown(path)} is not there")


def files(paths: Iterable[str], stdin: BinaryIO) -> Iterator[str]:
    """Every file, in the order of `paths`; within a folder sorted by name. Names of one folder are in memory at a time.

    In folders, those below included, what is hidden, a system's own or half-written by its name is left alone, and so
    are links to folders. Raises StoppedError where a folder elsewhere can't be listed.
    """
    for path in paths:
        if path == STDIN:
            for name in _lines(stdin):
                yield from walk(name) if os.path.isdir(name) else [name]
        elif is_url(path):
            yield from files_at(path)
        else:
            for match in [path] if os.path.lexists(path) else sorted(glob.iglob(path, recursive=True)):
                yield from walk(match) if os.path.isdir(match) else [match]


def walk(folder: str, excluded: Set[str] = frozenset()) -> Iterator[str]:
    """Every file below a folder, but for those in folders, and files, that are excluded."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(_marked(entry) for entry in entries if not is_clutter(entry.name) and _is_wanted(entry))
    except OSError:
        yield folder  # which can't be read: so it is missed by name
        return
    for name in names:
        path = os.path.join(folder, name)
        if path.removesuffix("/") in excluded:
            continue
        if name.endswith("/"):
            yield from walk(path.removesuffix("/"), excluded)
        else:
            yield path


def read_image(path: str, max_bytes: int | None = None) -> bytes:
    """A file's bytes; of one with more than `max_bytes` no more than shows that. Raises NoVerdictError."""
    if is_url(path):
        return read_url(path, max_bytes)
    try:
        descriptor = os.open(path, os.O_RDONLY | _FLAGS)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NoVerdictError("unreadable-file", f"{shown(path)} is no file")
            return file.read(-1 if max_bytes is None else max_bytes + 1)
    except IsADirectoryError:
        raise NoVerdictError("unreadable-file", f"{shown(path)} is a folder that can't be read") from None
    except OSError as error:
        raise NoVerdictError("unreadable-file", f"{shown(path)} can't be read: {error.strerror}") from error
    except ValueError:  # a zero byte
        raise NoVerdictError("unreadable-file", f"{shown(path)} is no name of a file") from None


def shown(path: str) -> str:
    """A path as text; what isn't UTF-8 in it as escapes."""
    return path.encode("utf-8", "backslashreplace").decode()


def _marked(entry: os.DirEntry[str]) -> str:
    """The name, of a folder with a slash behind it."""
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _is_wanted(entry: os.DirEntry[str]) -> bool:
    """A folder, a file, or a link that is not to a folder: one to nothing is missed by name."""
    if entry.is_symlink():
        return not os.path.isdir(entry.path)
    return entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)


def _lines(stdin: BinaryIO) -> Iterator[str]:
    """Paths, a line each; or separated by zero bytes, as find -print0 does."""
    for line in stdin:
        for name in line.rstrip(b"\r\n").split(b"\0"):
            if name:
                yield os.fsdecode(name)
