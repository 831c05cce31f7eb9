"""Small files that ask for a lot: images drawn to take as much time, memory or log as a codec can be made to spend."""

import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

from tests.support.encoders import (
    Tag,
    bmp_of_runs,
    chunk,
    encoded,
    interlaced_rows,
    png,
    png_rows,
    progressive_scans,
    segment,
    tiff,
    with_segments,
)

SIDE: Final = 7000
"""49 megapixels: just within the default limit."""


def many_scans() -> bytes:
    """JPEG whose every one of 1,000 scans goes over all blocks and says nothing: 75 bytes each."""
    return progressive_scans(1000, SIDE)


def one_huge_tile() -> bytes:
    """TIFF of 16×16 pixels in one tile of 2.1 gigapixels."""
    tile: dict[int, Tag] = {322: (4, [46336]), 323: (4, [46336])}
    return tiff(np.zeros((16, 16), np.uint8), tile=(16, 16), compression=8, pack=zlib.compress, tags=tile)


def many_tiles() -> bytes:
    """TIFF of thousands of tiles of 4096², which are all the same bytes."""
    packed = zlib.compress(bytes(4096 * 4096), 9)
    parts: dict[int, Tag] = {257: (4, [4096 * 4095]), 322: (4, [4096]), 323: (4, [4096])}
    parts |= {324: (4, [8] * 4095), 325: (4, [len(packed)] * 4095)}
    return tiff(np.zeros((16, 16), np.uint8), tile=(16, 16), compression=8, pack=lambda _: packed, tags=parts)


def many_strips() -> bytes:
    """TIFF of half a million strips of one pixel."""
    parts: dict[int, Tag] = {257: (4, [500_000]), 273: (4, [8] * 500_000), 279: (4, [1] * 500_000)}
    return tiff(np.zeros((1, 1), np.uint8), tags=parts)


def fax() -> bytes:
    """TIFF in fax compression, every row of which is wrong: libtiff writes a line on each."""
    size: dict[int, Tag] = {256: (4, [SIDE]), 257: (4, [SIDE]), 278: (4, [SIDE])}
    rows = np.zeros((16, 16), np.uint8)
    return tiff(rows, bits=1, compression=4, photometric=0, pack=lambda _: b"\x5a" * 2000, tags=size)


def deflate_bomb() -> bytes:
    """TIFF whose one strip expands to far more than it may hold."""
    return tiff(np.zeros((1000, 1000), np.uint8), compression=8, pack=lambda _: _deflated(200_000_000))


def directory_loop() -> bytes:
    """TIFF whose directory names itself as the next one."""
    return tiff(np.zeros((16, 16), np.uint8), next_page=8)


def run_length_bmp() -> bytes:
    """RLE8 BMP of 49 megapixels in one kilobyte."""
    return bmp_of_runs(SIDE, SIDE, b"\0\2\xff\xff" * 30 + b"\0\1", bytes(1024))


def many_chunks() -> bytes:
    """PNG of half a million chunks of nothing."""
    return _small_png(chunk(b"teXt", b"") * 500_000)


def text_bomb() -> bytes:
    """PNG with a compressed text of 200 MB, and a profile of as much."""
    deflated = _deflated(200_000_000)
    return _small_png(chunk(b"iCCP", b"x\0\0" + deflated) + chunk(b"zTXt", b"x\0\0" + deflated))


def pixel_bomb() -> bytes:
    """PNG whose pixels expand to far more than the header says."""
    return png(16, 16, 8, 0, bytes(200_000_000))


def largest_interlaced() -> bytes:
    """A sound, flat, interlaced PNG of 49 megapixels."""
    return png(SIDE, SIDE, 8, 0, interlaced_rows(np.zeros((SIDE, SIDE), np.uint8)), interlace=1)


def _small_png(before: bytes) -> bytes:
    return png(16, 16, 8, 0, png_rows(np.zeros((16, 16), np.uint8)), before=before)


def _deflated(zeros: int) -> bytes:
    return zlib.compress(bytes(zeros), 9)


def _flat(form: str, **options: object) -> bytes:
    return encoded(np.full((SIDE, SIDE, 3), 128, np.uint8), form, **options)


def largest_png() -> bytes:
    """A sound, flat PNG of 49 megapixels."""
    return _flat("PNG")


def largest_jpeg() -> bytes:
    """A sound, flat progressive JPEG of 49 megapixels."""
    return _flat("JPEG", progressive=True)


def largest_webp() -> bytes:
    """A sound, flat WebP of 49 megapixels."""
    return _flat("WEBP", lossless=True, method=0)


def many_segments() -> bytes:
    """JPEG with 300 segments of metadata of 64 kB."""
    return with_segments(
        encoded(Image.new("RGB", (16, 16)), "JPEG"), *[segment(0xE1, b"Exif\0\0" + bytes(65_000))] * 300
    )


MAKERS: Final[tuple[Callable[[], bytes], ...]] = (
    many_scans,
    one_huge_tile,
    many_tiles,
    many_strips,
    fax,
    deflate_bomb,
    directory_loop,
    run_length_bmp,
    many_chunks,
    text_bomb,
    pixel_bomb,
    largest_interlaced,
    largest_png,
    largest_jpeg,
    largest_webp,
    many_segments,
)
