"""Codec processes where the system can't confine them (macOS, Windows), for development: each is started by itself.

`python -m app.sandbox.unconfined PORT` connects to the service, and says the word that it was given on standard input.
"""

import asyncio
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

from app.sandbox.child import serve
from app.sandbox.process import CodecProcess

_FOLDER: Final = Path(__file__).parents[2]
_WORD_BYTES: Final = 32
_START_SECONDS: Final = 60.0


class UnconfinedProcess(CodecProcess):
    """Of a process whose use of the processor isn't known: only the clock tells that an image takes long."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self.in_background = False
        self._process = process
        self._connection = connection

    @property
    def cpu_seconds(self) -> float:
        return 0.0

    def go_into_background(self) -> None:
        self.in_background = True

    async def end(self) -> int:
        self._process.kill()
        self.close()
        return await asyncio.to_thread(self._process.wait)


class Starter:
    """In a template's place."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.setblocking(False)
        self._turn = asyncio.Lock()

    async def fork(self) -> CodecProcess:
        """A new process. Raises OSError."""
        async with self._turn:
            command = [sys.executable, "-m", __name__, str(self._listening.getsockname()[1])]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=_FOLDER
            )
            try:
                return UnconfinedProcess(process, await asyncio.wait_for(self._connected(process), _START_SECONDS))
            except BaseException:
                process.kill()
                process.wait()
                raise

    def close(self) -> None:
        """No more are started; each ends with its connection."""
        self._listening.close()

    async def _connected(self, process: subprocess.Popen[bytes]) -> socket.socket:
        """The first connection that says the word."""
        word, loop = secrets.token_bytes(_WORD_BYTES), asyncio.get_running_loop()
        assert process.stdin
        with process.stdin as given:
            given.write(word)
        while True:
            connection, _ = await loop.sock_accept(self._listening)
            connection.setblocking(False)
            said = b""
            while len(said) < _WORD_BYTES and (piece := await loop.sock_recv(connection, _WORD_BYTES - len(said))):
                said += piece
            if secrets.compare_digest(said, word):
                return connection
            connection.close()


def main(port: str) -> None:
    with socket.create_connection(("127.0.0.1", int(port))) as service:
        service.sendall(sys.stdin.buffer.read())
        serve(service, None)


if __name__ == "__main__":
    main(sys.argv[1])
