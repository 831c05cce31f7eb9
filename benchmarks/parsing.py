"""What a sender costs the event loop, in CPU time a megabyte: uvicorn's own protocol (h11) and the service's.

    python -m benchmarks.parsing

In one process, client included, over loopback; CPU time is hardly changed by what else runs on the machine.
"""

import asyncio
import contextlib
import logging
import time
from typing import Any, Final

import uvicorn
import uvloop
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from app.connection.http_protocol import request_deadline_protocol

HEAD: Final = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED: Final = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET: Final = b"GET / HTTP/1.1\r\nHost: x\r\n"
KINDS: Final = {
    "chunks of 1 byte": (CHUNKED, b"1\r\nx\r\n" * 1000, 100),
    "chunks of 64 bytes": (CHUNKED, (b"40\r\n" + b"x" * 64 + b"\r\n") * 1000, 100),
    "chunks of 64 kB": (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n", 100),
    "a body of known length": (HEAD + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65536, 200),
    "heads of 90 lines": (b"", GET + b"A: b\r\n" * 90 + b"\r\n", 300),
    "heads of 3,200 lines": (b"", GET + b"A:b\r\n" * 3200 + b"\r\n", 20),
    "requests one behind the other": (b"", (GET + b"\r\n") * 100, 10),
}
"""What is sent first, then how often what."""


async def application(_: Any, receive: Any, send: Any) -> None:
    """Reads the body, and says nothing of it."""
    message = await receive()
    while message["type"] == "http.request" and message["more_body"]:
        message = await receive()
    if message["type"] == "http.request":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def cost(kind: type[H11Protocol], begin: bytes, again: bytes, times: int) -> tuple[float, float]:
    """Megabytes that were sent until the connection ended, or all were; and seconds of CPU time."""
    config = uvicorn.Config(application, http=kind, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: kind(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    answers = asyncio.create_task(reader.read(-1))
    sent, began = len(begin), time.process_time()
    with contextlib.suppress(ConnectionError):
        writer.write(begin)
        for _ in range(times):
            if answers.done():
                break
            writer.write(again)
            sent += len(again)
            await writer.drain()
        await asyncio.sleep(1)
    used = time.process_time() - began
    answers.cancel()
    writer.transport.abort()
    server.close()
    return sent / 1e6, used


def main() -> None:
    logging.disable(logging.CRITICAL)
    print(f"{'':32}ms of CPU a MB: h11   the service's")
    for name, (begin, again, times) in KINDS.items():
        figures = []
        for kind in (H11Protocol, request_deadline_protocol(10.0)):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                megabytes, used = runner.run(cost(kind, begin, again, times))
                figures.append(1000 * used / megabytes)
        print(f"{name:32}{figures[0]:19.1f} {figures[1]:10.1f}", flush=True)


if __name__ == "__main__":
    main()
