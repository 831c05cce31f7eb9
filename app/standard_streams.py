"""Standard input, output and error of a process that was started without them."""

import os
from typing import Final

_LAST: Final = 2
"""File descriptor of standard error."""


def open_closed_streams() -> None:
    """Open closed standard streams on /dev/null. Call this before anything else is opened.

    Otherwise the next files would take their numbers: the event loop aborts with one of them, and writes to standard
    error would go into a client's connection.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        pass
    os.close(descriptor)
