"""Standard input, output and error."""

import os
from typing import Final

_LAST: Final = 2
"""The number of standard error."""


def open_closed_streams() -> None:
    """Open on /dev/null those that the process was started without.

    What is opened next would take their numbers: the event loop aborts where it gets one of them, and what is written
    to standard error would go into a client's connection. To be called before anything else is opened.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST:
        pass
    os.close(descriptor)
