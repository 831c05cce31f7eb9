"""What runs in a codec process: one request after the other, from the service's socket, until that is closed."""

import os
import socket
import time
import traceback
from typing import Final

import numpy as np

from app.sandbox.limits import Limits, allow_cpu, confine
from app.sandbox.messages import (
    BUG,
    LENGTHS,
    MEMORY,
    Answer,
    Decode,
    Decoded,
    Drawn,
    Refused,
    Request,
    decode_request,
    encode,
)
from model.errors import ImageError
from model.image import decode, to_8bit
from model.render import overlay_png

_MOST_STDERR: Final = 65_536
"""Bytes that a pipe holds; what is written beyond them is lost."""


def serve(connection: socket.socket, limits: Limits | None) -> None:
    """Answer requests until the service closes the connection. Without limits: where the system holds nobody to any."""
    stderr = None
    if limits:
        stderr = _catch_stderr()
        confine(limits)
    while (request := _receive(connection)) is not None:
        if limits:
            allow_cpu(limits.cpu_seconds * (1 if isinstance(request[0], Decode) else 3))
        began = time.perf_counter()
        content, payload = _answer(*request)
        del request
        header = encode(Answer(content, time.perf_counter() - began, _lines(stderr)))
        connection.sendall(LENGTHS.pack(len(header), len(payload)) + header)
        connection.sendall(payload)
        del payload
    os._exit(0)


def _answer(request: Request, image: bytes) -> tuple[Decoded | Drawn | Refused, bytes]:
    try:
        if isinstance(request, Decode):
            read = request.resizing(image, max_pixels=request.max_pixels)
            return Decoded(read.width, read.height), read.pixels.tobytes()
        decoded = decode(image, max_pixels=request.max_pixels)
        values = np.frombuffer(request.values, np.float32).reshape(request.height, request.width)
        return Drawn(), overlay_png(to_8bit(decoded, request.full_scale), values, request.regions)
    except ImageError as error:
        return Refused(type(error).__name__, str(error)), b""
    except MemoryError:
        return Refused(MEMORY, ""), b""
    except Exception:  # noqa: BLE001  # a bug: the service raises it, and logs it
        return Refused(BUG, traceback.format_exc()), b""


def _receive(connection: socket.socket) -> tuple[Request, bytes] | None:
    """The next request and its payload; None: there will be none."""
    lengths = connection.recv(LENGTHS.size, socket.MSG_WAITALL)
    if len(lengths) < LENGTHS.size:
        return None
    of_header, of_payload = LENGTHS.unpack(lengths)
    header = connection.recv(of_header, socket.MSG_WAITALL)
    payload = connection.recv(of_payload, socket.MSG_WAITALL)
    return (decode_request(header), payload) if len(payload) == of_payload else None


def _catch_stderr() -> int:
    """C libraries write to file 2 whatever they think of an image. From now on it goes into a pipe of the process's
    own, which never blocks; this is its other end."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    os.dup2(writer, 2)
    os.close(writer)
    return reader


def _lines(stderr: int | None) -> int:
    if stderr is None:
        return 0
    try:
        return os.read(stderr, _MOST_STDERR).count(b"\n")
    except BlockingIOError:
        return 0
