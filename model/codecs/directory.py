"""A TIFF directory, classic or BigTIFF, in either byte order: what TIFF, EXIF and MPF's index are made of."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.codecs.limits import MAX_SEGMENTS, more_than_limit

_HEADS: Final = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
# Types of whole numbers (TIFF 6.0, page 15; BigTIFF's 16 and 18), and the sizes of all.
INTEGERS: Final = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_SIZES: Final = {kind: int(code[1]) for kind, code in INTEGERS.items()} | {2: 1, 5: 8, 7: 1, 10: 8, 11: 4, 12: 8}
MAX_TAGS: Final = 4096


class Tag(IntEnum):
    """TIFF 6.0's, and a few of its followers'."""

    SUBFILE = 254
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIP_OFFSETS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANAR = 284
    PREDICTOR = 317
    COLOR_MAP = 320
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILE_OFFSETS = 324
    TILE_BYTES = 325
    SUB_DIRECTORIES = 330
    EXTRA_SAMPLES = 338
    SAMPLE_FORMAT = 339
    JPEG_TABLES = 347
    SUBSAMPLING = 530
    XMP = 700
    DNG_VERSION = 50706


@dataclass(frozen=True)
class Entry:
    """Type, number and offset of a tag's values."""

    kind: int
    count: int
    at: int


@dataclass(frozen=True)
class Directory:
    """The tags of one directory in `data`, and where the next one is said to be (0: nowhere)."""

    data: bytes
    at: int
    order: str
    """"<" or ">"."""
    entries: Mapping[int, Entry]
    next: int
    is_cut: bool
    """Whether it breaks off before its end."""
    lost: frozenset[int]
    """Tags whose values lie beyond the data."""

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def integers(self, tag: int) -> NDArray[np.int64]:
        """A tag's values, as many as there may be strips; none where it is missing, or doesn't hold whole numbers."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in INTEGERS:
            return np.zeros(0, np.int64)
        values = np.frombuffer(self.data, self.order + INTEGERS[entry.kind], min(entry.count, MAX_SEGMENTS), entry.at)
        if INTEGERS[entry.kind] == "u8":  # offsets beyond 2^61 stay beyond every file
            values = np.minimum(values, np.uint64(2**61))
        return values.astype(np.int64)

    def integer(self, tag: int, default: int) -> int:
        """A tag's first value."""
        values = self.integers(tag)
        return int(values[0]) if len(values) else default

    def raw(self, tag: int) -> bytes:
        """A tag's bytes as they are; none where it is missing."""
        entry = self.entries.get(tag)
        return b"" if entry is None else self.data[entry.at : entry.at + entry.count * _SIZES[entry.kind]]


def read_directory(data: bytes, at: int | None = None) -> Directory:
    """The directory at `at`, or the first one.

    Tags of unknown type, or whose values lie beyond the data, are left out, and so is what a cut has taken. Raises
    ValueError where there is no directory.
    """
    order, big = _HEADS.get(data[:4], (None, False))
    if order is None:
        raise ValueError("it doesn't begin like a TIFF")
    wide, head = ("Q", "Q") if big else ("I", "H")
    try:
        if at is None:
            at = struct.unpack_from(order + wide, data, 8 if big else 4)[0]
        count = struct.unpack_from(order + head, data, at)[0]
    except (struct.error, OverflowError):
        raise ValueError("its directory lies beyond the end") from None
    if count > MAX_TAGS:
        raise more_than_limit("tags", MAX_TAGS)
    entry = struct.Struct(order + "HH" + wide)
    inline = struct.calcsize(order + wide)
    start, step = at + struct.calcsize(order + head), entry.size + inline
    entries: dict[int, Entry] = {}
    lost = set()
    for offset in range(start, min(start + count * step, len(data) - step + 1), step):
        tag, kind, values = entry.unpack_from(data, offset)
        value_at = offset + entry.size
        if kind not in _SIZES or tag in entries or not values:
            continue
        if values * _SIZES[kind] > inline:
            value_at = struct.unpack_from(order + wide, data, value_at)[0]
        if value_at + values * _SIZES[kind] <= len(data):
            entries[tag] = Entry(kind, values, value_at)
        else:
            lost.add(tag)
    end = start + count * step
    following = struct.unpack_from(order + wide, data, end)[0] if end + inline <= len(data) else 0
    return Directory(data, at, order, entries, following, end > len(data), frozenset(lost))
