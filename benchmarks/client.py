"""A client that costs little: HTTP/1.1 over kept connections, for replies with a Content-Length."""

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """What came back, and after how many seconds; status 0: nothing did."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    seconds: float


LOST = (OSError, EOFError, asyncio.IncompleteReadError)
"""The connection ended, or was never made."""


class Client:
    """As many connections as there are requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self, path: str) -> Reply:
        return await self.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def post(self, path: str, body: bytes, **headers: object) -> Reply:
        """Header names with _ for -."""
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        return await self.send(head.encode() + body)

    async def send(self, request: bytes) -> Reply:
        """Never sent twice: a lost connection is status 0."""
        began = time.perf_counter()
        try:
            connection = self._take() or await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return Reply(0, {}, b"", time.perf_counter() - began)
        reader, writer = connection
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            status, headers = _parse(head)
            body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        except LOST:
            writer.close()
            return Reply(0, {}, b"", time.perf_counter() - began)
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        if headers.get(b"connection", b"").lower() == b"close":
            writer.close()
        else:
            self._idle.append(connection)
        return Reply(status, headers, body, time.perf_counter() - began)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()

    def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return None


def _parse(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    first, *lines = head[:-4].split(b"\r\n")
    pairs = (line.split(b":", 1) for line in lines)
    return int(first.split(b" ", 2)[1]), {name.strip().lower(): value.strip() for name, value in pairs}
