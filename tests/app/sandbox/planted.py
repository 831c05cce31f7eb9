"""A template whose codec processes do to an image what its bytes say: run as `python -m tests.app.sandbox.planted`."""

import ctypes
import os
import time
from contextlib import suppress

from PIL import Image

from app.sandbox import template
from app.sandbox.limits import Limits
from app.sandbox.messages import LENGTHS
from model import image, preprocessing
from model.image import MAX_PIXELS

SIZE = 8
RESIZING = preprocessing.Resizing(SIZE, None, reduced=True)
LIMITS = Limits(memory_bytes=50_000_000, cpu_seconds=1)


def answer(message: bytes) -> None:
    """Past the program, on the service's socket, and wait."""
    for descriptor in range(3, 64):
        with suppress(OSError):
            os.write(descriptor, message)
    time.sleep(60)


def decode_reduced(
    data: bytes, least: int | None, *, max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, tuple[int, int]]:
    """Crash, hang, burn processor time, eat memory, chatter or raise, where the image asks for it."""
    what, _, seconds = data.decode().partition(" ")
    if what == "crash":
        ctypes.string_at(0)
    elif what == "sleep":
        time.sleep(float(seconds))
    elif what == "burn":
        until = time.process_time() + float(seconds)
        while time.process_time() < until:
            pass
    elif what == "eat":
        bytearray(1 << 40)
    elif what == "killed":  # as by the system, where memory runs out
        os.kill(os.getpid(), 9)
    elif what == "chatter":
        for _ in range(100):
            os.write(2, b"a line\n")
        try:
            os.write(2, bytes(10_000_000))
            os.write(2, bytes(10_000_000))
        except BlockingIOError:
            pass
    elif what == "garbage":  # it has been taken over, and lives on
        answer(LENGTHS.pack(4, 0) + b"\xc1\xc1\xc1\xc1")
    elif what == "endless":
        answer(LENGTHS.pack(4, 1 << 31))
    elif what == "open":
        open(os.devnull)  # noqa: SIM115
    elif what == "bug":
        raise ZeroDivisionError("planted")
    return Image.new("L", (4, 2), len(data)), (4, 2)


if __name__ == "__main__":
    image.decode_reduced = decode_reduced
    preprocessing.decode_reduced = decode_reduced  # type: ignore[attr-defined]
    template.main()
