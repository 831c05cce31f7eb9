"""A network namespace that nothing leaves, in which every packet to another machine is noted.

    python -m tests.support.network_namespace COMMAND …

runs the command and prints a line for each destination: its protocol, address and port, and what a question to the name
server was about. Every address is this namespace's own, so that whatever is called could be reached.
"""

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NAME_SERVER: Final = "10.255.255.53"
_NEEDED: Final = ("unshare", "ip", "mount")
_UDP, _TCP, _DNS, _SYN = 17, 6, 53, 2
_IPV4, _IPV6 = 0x0800, 0x86DD
_ALL_PROTOCOLS: Final = 3


def why_not() -> str:
    """Why no namespace can be made here, in words; empty: one can."""
    if missing := [program for program in _NEEDED if shutil.which(program) is None]:
        return f"{', '.join(missing)} not installed (Debian: util-linux, iproute2, mount)"
    made = subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, text=True, check=False)
    return made.stderr.strip() and f"no network namespace may be made: {made.stderr.strip()}"


def called(command: Sequence[str], home: Path, timeout: float) -> list[str]:
    """What a command called, in a namespace of its own. Raises CalledProcessError where it fails.

    Of the environment it gets only what a service has: programs that send what they are used for may keep still where
    a variable says that they are tested.
    """
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    outer = ["unshare", "-n", "-m", sys.executable, "-m", __name__, *command]
    run = subprocess.run(
        outer, cwd=ROOT, env=environment, timeout=timeout, stdout=subprocess.PIPE, text=True, check=True
    )
    return run.stdout.splitlines()


def destination(frame: bytes) -> str | None:
    """Of an Ethernet frame; None: it stays on this machine, or isn't the first of a connection."""
    (kind,) = struct.unpack("!H", frame[12:14])
    address: IPv4Address | IPv6Address
    if kind == _IPV4:
        header, protocol, address = 4 * (frame[14] & 15), frame[23], ip_address(frame[30:34])
    elif kind == _IPV6:
        header, protocol, address = 40, frame[20], ip_address(frame[38:54])
    else:
        return None
    packet = frame[14 + header :]
    if address.is_loopback or protocol not in (_UDP, _TCP):
        return None
    source, port = struct.unpack("!HH", packet[:4])
    if protocol == _TCP:
        return f"TCP {address} {port}" if packet[13] & 0x12 == _SYN else None
    asked = f" {_question(packet[8:])}" if port == _DNS else ""
    return None if source == _DNS else f"UDP {address} {port}{asked}"


def _question(message: bytes) -> str:
    """The name that is asked for (RFC 1035, section 4)."""
    labels, at = [], 12
    while at < len(message) and (length := message[at]):
        labels.append(message[at + 1 : at + 1 + length].decode(errors="replace"))
        at += 1 + length
    return ".".join(labels)


def _answer() -> None:
    """Names every machine that is asked for: each is this one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((NAME_SERVER, _DNS))
        while True:
            message, client = server.recvfrom(2000)
            end = message.index(b"\0", 12) + 1
            wanted = message[end : end + 4] == b"\0\1\0\1"  # an address of IPv4
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("203.0.113.1")
            head = message[:2] + b"\x81\x80" + message[4:6] + (b"\0\1" if wanted else b"\0\0") + bytes(4)
            server.sendto(head + message[12 : end + 4] + record * wanted, client)


def _note(watched: socket.socket, found: list[str]) -> None:
    while True:
        if (to := destination(watched.recv(65536))) and to not in found:
            found.append(to)


def main(command: list[str]) -> int:
    """In the namespace."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as names:
        names.write(f"nameserver {NAME_SERVER}\noptions attempts:1 timeout:1\n")
        names.flush()
        for step in (
            "ip link set lo up",
            f"ip address add {NAME_SERVER}/32 dev lo",
            "ip route add local default dev lo",
            f"mount --bind {names.name} /etc/resolv.conf",
        ):
            subprocess.run(step.split(), check=True)
        subprocess.run(["ip", "-6", "route", "add", "local", "default", "dev", "lo"], capture_output=True, check=False)
        found: list[str] = []
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)) as watched:
            watched.bind(("lo", 0))
            threading.Thread(target=_note, args=[watched, found], daemon=True).start()
            threading.Thread(target=_answer, daemon=True).start()
            status = subprocess.run(command, stdout=sys.stderr, check=False).returncode
            time.sleep(0.5)  # for the last packets
            sys.stdout.writelines(f"{line}\n" for line in found)
            sys.stdout.flush()
            os._exit(status)  # with the threads as they are


if __name__ == "__main__":
    main(sys.argv[1:])
