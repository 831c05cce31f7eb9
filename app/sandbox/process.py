"""Codec processes, as the service sees them, and the template that they are forked from."""

import asyncio
import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import msgspec

from app.sandbox.limits import Limits
from app.sandbox.messages import LENGTHS, Answer, Request, decode_answer, encode
from app.sandbox.template import FORK, NUMBERED

_FOLDER: Final = Path(__file__).parents[2]
_BACKGROUND: Final = 10
"""Niceness (nice(2)): a tenth of what others get where all is busy; what they leave over else."""
_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",  # a pool of threads for algebra would only take memory
    # Memory of ordinary images is kept from one to the next (mallopt(3)): page by page, to get it anew costs a
    # millisecond or more each time.
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
}
_LONGEST_HEADER: Final = 1_000_000
_END_SECONDS: Final = 2.0


class Template:
    """Forks codec processes within milliseconds. For the event loop's thread alone."""

    def __init__(self, limits: Limits, program: str) -> None:
        """Run the module `program`; `limits` are each process's. Until it is there, `fork` waits. Raises OSError."""
        self._limits = limits
        self._turn = asyncio.Lock()
        self._asked = 0
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with ExitStack() as unless_started, theirs:
            unless_started.callback(ours.close)
            self._process = subprocess.Popen(
                [sys.executable, "-m", program],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=_FOLDER,
                env=os.environ | _ENVIRONMENT,
            )
            unless_started.pop_all()
        ours.setblocking(False)
        self._socket = ours

    @property
    def runs(self) -> bool:
        """Where it has ended, the numbers of its processes may be others'."""
        return self._process.poll() is None

    async def fork(self) -> "CodecProcess":
        """A new process. Raises OSError or EOFError where there can be none."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                limits = self._limits.memory_bytes, self._limits.cpu_seconds
                number = await self._ask(FORK, limits, [theirs.fileno()])
            if number < 0:
                raise OSError(-number, os.strerror(-number))
        except BaseException:
            ours.close()
            raise
        return CodecProcess(number, ours, self)

    async def end(self, number: int) -> int:
        """Kill a process where it still runs. How it ended: −N for signal N. Its number may be another's from now on.

        Raises OSError or EOFError where the template has ended.
        """
        return await self._ask(NUMBERED, (number,), [])

    def close(self) -> None:
        """All processes end."""
        self._socket.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _ask(self, layout: struct.Struct, content: tuple[int, ...], descriptors: list[int]) -> int:
        """Whatever was asked and cancelled before is answered before this is."""
        async with self._turn:
            self._asked += 1
            socket.send_fds(self._socket, [layout.pack(self._asked, *content)], descriptors)
            while answer := await asyncio.get_running_loop().sock_recv(self._socket, NUMBERED.size):
                which, number = NUMBERED.unpack(answer)
                if which == self._asked:
                    return int(number)
        raise EOFError("the codec processes' template has ended")


class CodecProcess:
    """For one request at a time, and for the event loop's thread alone."""

    def __init__(self, number: int, connection: socket.socket, template: Template) -> None:
        self.number = number
        self.in_background = False
        self._status: int | None = None
        self._connection = connection
        self._template = template

    @property
    def cpu_seconds(self) -> float:
        """Used since its start (clock_getcpuclockid(3)); 0 where nobody can know any more."""
        return time.clock_gettime((~self.number << 3) | 2) if self._template.runs else 0.0

    async def ask(self, request: Request, image: bytes, most_bytes: int) -> tuple[Answer, bytearray]:
        """The answer and its payload, of `most_bytes` at most.

        Raises ConnectionError where the process has ended before it had the image whole (the system tells that what
        was sent is unread), EOFError, OSError or msgspec.DecodeError where it ends later, or isn't itself any more.
        """
        loop = asyncio.get_running_loop()
        header = encode(request)
        await loop.sock_sendall(self._connection, LENGTHS.pack(len(header), len(image)) + header)
        await loop.sock_sendall(self._connection, image)
        of_header, of_payload = LENGTHS.unpack(await self._receive(LENGTHS.size))
        if of_header > _LONGEST_HEADER or of_payload > most_bytes:
            raise msgspec.DecodeError("the answer is larger than any can be")
        answer = decode_answer(await self._receive(of_header))
        return answer, await self._receive(of_payload)

    def go_into_background(self) -> None:
        """For good: from now on others come first."""
        self.in_background = True
        if self._template.runs:
            os.setpriority(os.PRIO_PROCESS, self.number, _BACKGROUND)

    def close(self) -> None:
        """It ends, once it is idle."""
        self._connection.close()

    async def end(self) -> int:
        """Kill it where it still runs. How it ended: −N for signal N; 1 where nobody can know any more."""
        if self._status is None:
            self._status = 1
            self.close()
            with suppress(OSError, EOFError):  # the template has ended: it ends once it is idle, or by its limits
                self._status = await self._template.end(self.number)
        return self._status

    async def _receive(self, count: int) -> bytearray:
        loop, received = asyncio.get_running_loop(), bytearray(count)
        rest = memoryview(received)
        while rest:
            size = await loop.sock_recv_into(self._connection, rest)
            if size == 0:
                raise EOFError("the codec process has ended")
            rest = rest[size:]
        return received
