"""The sockets that the service listens on."""

import errno
import socket
import struct
import sys
from contextlib import ExitStack
from typing import Final

BACKLOG: Final = 128
"""Connections that wait to be taken in. No deadline counts there, so it is short: beyond it the system lets clients
try again, and a gateway another instance."""
_INFO: Final = struct.Struct("8x5I")
_EVERYWHERE: Final = {"::": ("::", "0.0.0.0")}
"""IPv4 has a socket of its own: in one for both families its clients would have addresses such as ::ffff:10.0.0.7,
which are no trusted proxy's."""
_NOT_HERE: Final = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}


def listen(host: str, port: int) -> list[socket.socket]:
    """One socket for each address that `host` stands for, all on one port; `::` stands for all of both families.

    A family that this machine doesn't have is left out. Raises OSError where an address is taken, or none is left, and
    UnicodeError where `host` can't be a name.
    """
    opened: list[socket.socket] = []
    missing: OSError | None = None
    with ExitStack() as stack:
        for family, address in _addresses(host, port):
            if port == 0 and opened:
                address = (address[0], opened[0].getsockname()[1], *address[2:])
            try:
                opened.append(socket.create_server(address, family=family, backlog=BACKLOG))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
            else:
                stack.enter_context(opened[-1])
        if missing and not opened:
            raise missing
        stack.pop_all()
    return opened


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int, *tuple[int, ...]]]]:
    found = [
        (family, address)
        for name in _EVERYWHERE.get(host, (host,))
        for family, _, _, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    ]
    return list(dict.fromkeys(found))  # type: ignore[arg-type]  # of internet addresses


def waiting(listening: socket.socket) -> int:
    """Connections that wait to be taken in (tcp_info, linux/tcp.h: tcpi_unacked of a socket that listens).

    0 where the system doesn't tell.
    """
    if not sys.platform.startswith("linux"):
        return 0
    info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    return int(_INFO.unpack(info)[-1])
