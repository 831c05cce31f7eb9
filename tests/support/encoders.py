"""Small encoders for files that Pillow doesn't write: odd, broken and hostile ones."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def encoded(image: Image.Image | NDArray[Any], form: str, **options: Any) -> bytes:
    """By Pillow."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


# PNG


def chunk(kind: bytes, body: bytes, *, wrong_sum: bool = False) -> bytes:
    checksum = zlib.crc32(kind + body) ^ wrong_sum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def png_header(width: int, height: int, depth: int, colour: int, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *, before: bytes = b"", after: bytes = b"",
    interlace: int = 0,
) -> bytes:  # fmt: skip
    """`rows` with their filters' bytes; `before` and `after`: chunks around the pixels."""
    head = PNG_MAGIC + png_header(width, height, depth, colour, interlace) + before
    return head + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def png_rows(pixels: NDArray[Any], filtering: int = 0) -> bytes:
    """Rows of 8- or 16-bit samples, unfiltered, or each as its difference to the row above (2)."""
    samples = np.ascontiguousarray(pixels.astype(">u2" if pixels.dtype.itemsize == 2 else "u1")).view(np.uint8)
    rows = samples.reshape(len(pixels), samples[:1].size)
    if filtering == 2:
        rows = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    return b"".join(bytes((filtering,)) + row.tobytes() for row in rows)


def interlaced_rows(pixels: NDArray[Any]) -> bytes:
    """Adam7."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = (pixels[y::dy, x::dx] for x, y, dx, dy in passes)
    return b"".join(png_rows(part) for part in parts if part.size)


# TIFF and EXIF

TAG_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "I", 7: "s", 8: "h", 9: "i", 11: "f", 16: "Q"}
Tag = tuple[int, Sequence[int] | bytes]
"""A type and its values."""


def tiff_directory(
    tags: Mapping[int, Tag], at: int, *, order: str = "<", big: bool = False, next_page: int = 0
) -> bytes:
    """One directory with the values that don't fit into its entries, to lie at `at`."""
    wide, inline = ("Q", 8) if big else ("I", 4)
    entries, beyond = b"", b""
    values_at = at + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    for tag, (kind, values) in sorted(tags.items()):
        count = len(values) // 2 if kind == 5 else len(values)
        packed = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{TAG_TYPES[kind]}", *values)
        if len(packed) > inline:
            value = struct.pack(order + wide, values_at + len(beyond))
            beyond += packed + bytes(len(packed) % 2)
        else:
            value = packed.ljust(inline, b"\0")
        entries += struct.pack(order + "HH" + wide, tag, kind, count) + value
    head = struct.pack(order + ("Q" if big else "H"), len(tags))
    return head + entries + struct.pack(order + wide, next_page) + beyond


def tiff_head(order: str = "<", *, big: bool = False) -> bytes:
    """With the first directory right after it."""
    start = b"II" if order == "<" else b"MM"
    return start + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))


def packed_bits(samples: NDArray[Any], bits: int) -> bytes:
    """One row of samples of less than 16 bits, from the highest bit on."""
    each = (samples.reshape(-1, 1).astype(np.uint32) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.astype(np.uint8).reshape(-1)).tobytes()


def pack_bits(data: bytes) -> bytes:
    """PackBits: runs of three and more, the rest as it is."""
    out = bytearray()
    for value, same in itertools.groupby(data):
        left = len(list(same))
        while left:
            run = min(left, 128)
            out += bytes((0, value)) if run == 1 else bytes((257 - run, value))
            left -= run
    return bytes(out)


def tiff(
    pixels: NDArray[Any],
    *,
    bits: int | None = None,
    photometric: int | None = None,
    order: str = "<",
    big: bool = False,
    compression: int = 1,
    pack: Callable[[bytes], bytes] = bytes,
    predictor: int = 1,
    rows: int | None = None,
    tile: tuple[int, int] | None = None,
    planar: bool = False,
    tags: Mapping[int, Tag] | None = None,
    next_page: int = 0,
    damage: Callable[[list[bytes]], list[bytes]] = list,
) -> bytes:
    """Gray H×W or several channels H×W×C in strips of `rows`, or in tiles of width × height.

    `pack` compresses each strip or tile, and `damage` changes the list of them. `tags` are further ones, or others.
    """
    cube = pixels if pixels.ndim == 3 else pixels[..., None]
    height, width, channels = cube.shape
    bits = bits or 8 * cube.dtype.itemsize
    planes = [cube[..., [channel]] for channel in range(channels)] if planar else [cube]
    tile_width, tile_height = tile or (width, rows or height)
    parts = []
    for plane in planes:
        for top in range(0, height, tile_height):
            for left in range(0, width, tile_width):
                part = plane[top : top + tile_height, left : left + tile_width]
                if tile:
                    lacking = ((0, tile_height - part.shape[0]), (0, tile_width - part.shape[1]), (0, 0))
                    part = np.pad(part, lacking)
                parts.append(pack(_samples(part, bits, order, predictor)))
    parts = damage(parts)
    entries: dict[int, Tag] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [compression]),
        262: (3, [photometric if photometric is not None else 2 if channels >= 3 else 1]),
        277: (3, [channels]),
        284: (3, [2 if planar else 1]),
        317: (3, [predictor]),
        **({322: (4, [tile_width]), 323: (4, [tile_height])} if tile else {278: (4, [tile_height])}),
        (324 if tile else 273): (16 if big else 4, [0] * len(parts)),
        (325 if tile else 279): (4, [len(part) for part in parts]),
        **(tags or {}),
    }
    start = 16 if big else 8
    data_at = start + len(tiff_directory(entries, start, order=order, big=big))
    offsets = list(itertools.accumulate((len(part) for part in parts[:-1]), initial=data_at))
    where = 324 if tile else 273
    if entries[where][1] and not any(entries[where][1]):
        entries[where] = (
            entries[where][0],
            [offset if part else 0 for offset, part in zip(offsets, parts, strict=True)],
        )
    directory = tiff_directory(entries, start, order=order, big=big, next_page=next_page)
    return tiff_head(order, big=big) + directory + b"".join(parts)


def _samples(part: NDArray[Any], bits: int, order: str, predictor: int) -> bytes:
    if bits not in (8, 16, 32, 64):
        return b"".join(packed_bits(row, bits) for row in part)
    if predictor == 2:
        part = np.diff(part, axis=1, prepend=np.zeros_like(part[:, :1]))
    return part.astype(order + part.dtype.str[1:]).tobytes()


def exif(orientation: int = 1, tags: Mapping[int, Tag] | None = None, order: str = "<") -> bytes:
    """An EXIF block, without the "Exif" before it."""
    return tiff_head(order) + tiff_directory({274: (3, [orientation]), **(tags or {})}, 8, order=order)


# JPEG


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Right after the start of the image."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def progressive_scans(scans: int, side: int = 64) -> bytes:
    """A gray progressive JPEG of that many passes, each of them empty runs over all blocks."""
    blocks = (-(-side // 8)) ** 2
    table = segment(
        0xC4, bytes([0x10, 1] + [0] * 15 + [0xE0])
    )  # the one code, a zero bit: a run of 2^14 blocks or more
    bits = ""
    while blocks > 0:
        run = max(16384, min(blocks, 32767))
        bits += "0" + format(run - 16384, "014b")
        blocks -= run
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")
    frame = segment(0xDB, b"\0" + b"\1" * 64) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    return b"\xff\xd8" + frame + table + (segment(0xDA, bytes([1, 1, 0, 1, 63, 0x10])) + coded) * scans + b"\xff\xd9"


def mpf_index(offsets: Sequence[int], order: str = ">") -> bytes:
    """An MPF segment's body; `offsets` of each image from the index's own start, 0 for the first one."""
    entries = b"".join(struct.pack(order + "IIIHH", 0x030000, 100, offset, 0, 0) for offset in offsets)
    tags: dict[int, Tag] = {0xB000: (7, b"0100"), 0xB001: (4, [len(offsets)]), 0xB002: (7, entries)}
    return b"MPF\0" + tiff_head(order) + tiff_directory(tags, 8, order=order)


# BMP


def bmp_of_runs(width: int, height: int, runs: bytes, palette: bytes, bits: int = 8) -> bytes:
    """`palette`: four bytes a colour."""
    colours = len(palette) // 4
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 1 if bits == 8 else 2, len(runs), 0, 0, colours, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + head + palette + runs


def runs_of(indices: NDArray[np.uint8], *, absolute: bool = False) -> bytes:
    """RLE8, from the lowest row on."""
    out = bytearray()
    for row in indices[::-1]:
        if absolute and len(row) > 3:
            for start in range(0, len(row), 254):
                piece = row[start : start + 254].tobytes()
                if len(piece) < 3:
                    out += b"".join(bytes((1, value)) for value in piece)
                else:
                    out += bytes((0, len(piece))) + piece + bytes(len(piece) % 2)
        else:
            for value, same in itertools.groupby(row.tolist()):
                left = len(list(same))
                while left:
                    out += bytes((min(left, 255), value))
                    left -= min(left, 255)
        out += b"\0\0"
    return bytes(out) + b"\0\1"
