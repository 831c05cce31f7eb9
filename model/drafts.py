"""Unfinished files and folders: removed where the writer was killed, kept while one is alive."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from model.locks import lock_alone, lock_shared

PREFIX: Final = ".draft-"
"""Prefix of the name of what isn't whole yet."""
LOCK: Final = ".lock"
"""The file that writers of a folder lock."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be one of the writers of `folder`; where there is no other, remove the drafts in it first.

    Writers share a lock on a file in it, which the system takes back from a process however that ends, and the last one
    removes. Where there are no locks, no draft is removed. Raises OSError where the folder can't be written.
    """
    lock = folder / LOCK
    descriptor = _join(lock)
    try:
        yield
    finally:
        with suppress(OSError):
            lock_alone(descriptor)
            lock.unlink()
        os.close(descriptor)


def _join(lock: Path) -> int:
    while True:
        descriptor = _open(lock)
        with suppress(OSError):  # another writer is alive
            lock_alone(descriptor)
            if _is_there(descriptor, lock):
                _remove_drafts(lock.parent)
        with suppress(OSError):
            lock_shared(descriptor)
        if _is_there(descriptor, lock):
            return descriptor
        os.close(descriptor)


def _is_there(descriptor: int, lock: Path) -> bool:
    """Whether it is still the file that others lock: who was the last writer may just have removed it."""
    try:
        return os.path.samestat(os.stat(lock), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _open(lock: Path) -> int:
    """For writing, which NFS asks of who wants a lock alone; for reading, which is enough to share one, where the file
    is another user's."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:
        if not lock.exists():
            raise
        return os.open(lock, os.O_RDONLY)
    with suppress(PermissionError):
        lock.chmod(0o644)  # whatever the umask
    return descriptor


def _remove_drafts(folder: Path) -> None:
    for draft in folder.glob(f"{PREFIX}*"):
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
