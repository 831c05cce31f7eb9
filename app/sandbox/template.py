"""The process that codec processes are forked from: it has imported what they need, and nothing of the service's.

`python -m app.sandbox.template`, with the service's socket as standard input. A message with a socket in it asks for a
process that serves on that socket, and is answered with the process's number. A message with such a number asks to end
that process, and is answered with its exit status; until then the number is no other process's, so nobody else's gets
the signal. Each answer begins as its message did, for a service that has given up waiting for an earlier one. When the
service closes its socket, or dies, all end.
"""

import os
import signal
import socket
import struct
from contextlib import suppress
from typing import Final

from PIL import Image

from app.sandbox.child import serve
from app.sandbox.limits import Limits

FORK: Final = struct.Struct("<QQI")
"""Which message this is; the new process's limits."""
NUMBERED: Final = struct.Struct("<Qi")
"""Which message this is, or answers; a process's number, or an exit status."""


def main() -> None:
    """Until the service closes its socket."""
    # Signals that go to a whole group or container are the service's business.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    Image.init()  # no reader is imported later: codec processes can open no files
    service = socket.socket(fileno=os.dup(0))
    processes: set[int] = set()
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(service, FORK.size, 1)
        except ConnectionError:  # it has died, with an answer unread
            break
        if not message:
            break
        if descriptors:
            which, *limits = FORK.unpack(message)
            number = _fork(descriptors[0], Limits(*limits), service)
            os.close(descriptors[0])
            if number > 0:
                processes.add(number)
            _answer(service, which, number)
        else:
            which, number = NUMBERED.unpack(message)
            processes.remove(number)
            os.kill(number, signal.SIGKILL)
            _, status = os.waitpid(number, 0)
            _answer(service, which, os.waitstatus_to_exitcode(status))
    for number in processes:
        os.kill(number, signal.SIGKILL)


def _answer(service: socket.socket, which: int, number: int) -> None:
    with suppress(ConnectionError):  # it has died
        service.send(NUMBERED.pack(which, number))


def _fork(descriptor: int, limits: Limits, service: socket.socket) -> int:
    """The new process's number; −errno where there is none."""
    try:
        number = os.fork()
    except OSError as error:
        return -(error.errno or 1)
    if number:
        return number
    try:
        service.close()
        os.close(0)
        serve(socket.socket(fileno=descriptor), limits)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
