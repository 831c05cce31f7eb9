"""Small files that ask for a lot: images drawn to take as much time, memory or log as a codec can be made to spend."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 7000
"""49 megapixels: just within the default limit."""


def _segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def progressive_scans(scans: int = 1000, side: int = SIDE) -> bytes:
    """JPEG whose every scan goes over all blocks and says nothing: 75 bytes each."""
    head = b"\xff\xd8" + _segment(0xDB, b"\0" + b"\1" * 64)
    head += _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    head += _segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0") + _segment(0xC4, b"\0\1" + bytes(15) + b"\0")
    blocks, bits = ((side + 7) // 8) ** 2, ""
    while blocks > 0:
        run = max(16384, min(blocks, 32767))
        bits += "0" + format(run - 16384, "014b")
        blocks -= run
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return head + (_segment(0xDA, b"\1\1\0\1\x3f\x10") + data) * scans + b"\xff\xd9"


def _tiff(entries: dict[int, tuple[int, bytes]], behind: bytes = b"") -> bytes:
    """One directory: type and value of each tag; `behind` lies after it, at the offset that OFFSET stands for."""
    size = 8 + 2 + 12 * len(entries) + 4
    long = b"".join(value for _, value in entries.values() if len(value) > 4)
    at, directory = size, struct.pack("<H", len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        width = {1: 1, 3: 2, 4: 4}[kind]
        if len(value) > 4:
            directory += struct.pack("<HHII", tag, kind, len(value) // width, at)
            at += len(value)
        else:
            directory += struct.pack("<HHI", tag, kind, len(value) // width) + value.ljust(4, b"\0")
    assert at == size + len(long)
    ordered = b"".join(value for _, (_, value) in sorted(entries.items()) if len(value) > 4)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + ordered + behind


def _shorts(*values: int) -> tuple[int, bytes]:
    return 3, struct.pack(f"<{len(values)}H", *values)


def _longs(*values: int) -> tuple[int, bytes]:
    return 4, struct.pack(f"<{len(values)}I", *values)


def _tiff_parts(width: int, height: int, compression: int, part: bytes, parts: int, tags: dict[int, int]) -> bytes:
    """Every strip or tile is the same bytes; `tags`: those of strips (278) or tiles (322, 323)."""
    offsets, counts = (324, 325) if 322 in tags else (273, 279)
    entries = {256: _longs(width), 257: _longs(height), 258: _shorts(8), 259: _shorts(compression), 262: _shorts(1)}
    entries |= {277: _shorts(1)} | {tag: _longs(value) for tag, value in tags.items()}
    entries |= {counts: _longs(*[len(part)] * parts), offsets: _longs(*[0] * parts)}
    at = len(_tiff(entries))
    return _tiff(entries | {offsets: _longs(*[at] * parts)}, part)


def one_huge_tile() -> bytes:
    """TIFF of 16×16 pixels in one tile of 2.1 gigapixels."""
    return _tiff_parts(16, 16, 8, zlib.compress(bytes(100)), 1, {322: 46336, 323: 46336})


def many_tiles() -> bytes:
    """TIFF of thousands of tiles that are the same 4096² zeros."""
    return _tiff_parts(16, 65520, 8, zlib.compress(bytes(4096 * 4096), 9), 4095, {322: 4096, 323: 4096})


def many_strips() -> bytes:
    """TIFF of half a million strips of no pixels' worth."""
    return _tiff_parts(1, 500_000, 1, b"\0", 500_000, {278: 1})


def fax() -> bytes:
    """TIFF in fax compression, every row of which is wrong: libtiff writes a line on each."""
    entries = {256: _longs(SIDE), 257: _longs(SIDE), 258: _shorts(1), 259: _shorts(4), 262: _shorts(0)}
    entries |= {277: _shorts(1), 278: _longs(SIDE), 279: _longs(2000), 273: _longs(0)}
    at = len(_tiff(entries))
    return _tiff(entries | {273: _longs(at)}, b"\x5a" * 2000)


def deflate_bomb() -> bytes:
    """TIFF whose one strip expands to far more than it may hold."""
    part = zlib.compress(bytes(200_000_000), 9)
    return _tiff_parts(1000, 1000, 8, part, 1, {278: 1000})


def directory_loop() -> bytes:
    """TIFF whose directory names itself as the next one."""
    data = bytearray(_tiff_parts(16, 16, 1, bytes(256), 1, {278: 16}))
    (entries,) = struct.unpack_from("<H", data, 8)
    struct.pack_into("<I", data, 10 + 12 * entries, 8)
    return bytes(data)


def run_length_bmp() -> bytes:
    """RLE8 BMP of 49 megapixels in one kilobyte."""
    runs = b"\0\2\xff\xff" * 30 + b"\0\1"
    offset = 54 + 1024
    head = struct.pack("<2sIHHI", b"BM", offset + len(runs), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return head + info + bytes(1024) + runs


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(*chunks: bytes, side: int = 16, interlace: int = 0) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IEND", b"")


def _small_rows() -> bytes:
    return _chunk(b"IDAT", zlib.compress(bytes(16 * 17)))


def many_chunks() -> bytes:
    """PNG of half a million chunks of nothing."""
    return _png(_chunk(b"teXt", b"") * 500_000, _small_rows())


def text_bomb() -> bytes:
    """PNG with a compressed text of 200 MB, and a profile of as much."""
    deflated = zlib.compress(bytes(200_000_000), 9)
    return _png(_chunk(b"iCCP", b"x\0\0" + deflated), _chunk(b"zTXt", b"x\0\0" + deflated), _small_rows())


def pixel_bomb() -> bytes:
    """PNG whose pixels expand to far more than the header says."""
    return _png(_chunk(b"IDAT", zlib.compress(bytes(200_000_000), 9)))


def largest_interlaced() -> bytes:
    """A sound, flat, interlaced PNG of 49 megapixels."""
    rows = b"".join(
        (bytes(1 + -(-(SIDE - x) // dx)) * -(-(SIDE - y) // dy))
        for x, y, dx, dy in (
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        )
    )
    return _png(_chunk(b"IDAT", zlib.compress(rows, 1)), side=SIDE, interlace=1)


def _flat(form: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((SIDE, SIDE, 3), 128, np.uint8)).save(buffer, form, **how)
    return buffer.getvalue()


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
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    jpeg = buffer.getvalue()
    return jpeg[:2] + _segment(0xE1, b"Exif\0\0" + bytes(65_000)) * 300 + jpeg[2:]


MAKERS: Final[tuple[Callable[[], bytes], ...]] = (
    progressive_scans,
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
