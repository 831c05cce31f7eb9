"""Encoded images, good and bad, for uploads."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.support.artifacts import pattern


def encoded(form: str = "PNG", *, seed: int = 5, size: int = 96, brightness: int | None = None) -> bytes:
    """An image of size×size; of one gray level where `brightness` is given."""
    image = Image.fromarray(pattern(seed, size))
    if brightness is not None:
        image = Image.new("L", (size, size), brightness)
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def animation(form: str) -> bytes:
    """Two frames, GIF or WebP."""
    buffer = io.BytesIO()
    first, second = (Image.fromarray(pattern(seed)) for seed in (1, 2))
    first.save(buffer, form, save_all=True, append_images=[second])
    return buffer.getvalue()


def five_megabytes() -> bytes:
    """A BMP, which doesn't compress."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (1300, 1300, 3), np.uint8)).save(buffer, "BMP")
    return buffer.getvalue()


def png_bomb(side: int = 20_000) -> bytes:
    """A sound PNG of side×side black pixels, 1 bit each, in about 100 kB."""
    rows = zlib.compress(bytes((1 + -(-side // 8)) * side), 6)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tEXt", b"Comment\0" + 50_000 * b"."), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
