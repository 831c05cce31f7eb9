"""Locks on files (flock(2)), which the system takes back from a process however that ends."""

import errno
from typing import Final

try:
    import fcntl
except ImportError:  # Windows: nobody gets one
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS: Final = "this system has no flock"


def lock_alone(descriptor: int) -> None:
    """Raises OSError where another process has a lock, or where there are none."""
    if fcntl is None:
        raise OSError(errno.ENOLCK, _NO_LOCKS)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_shared(descriptor: int) -> None:
    """Wait for it. Raises OSError where there are none."""
    if fcntl is None:
        raise OSError(errno.ENOLCK, _NO_LOCKS)
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def locked_by_another(descriptor: int) -> bool:
    """If not, this process has the lock now, where there are any."""
    try:
        lock_alone(descriptor)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False
