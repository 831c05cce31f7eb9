"""Strips and tiles of a TIFF: where each lies, that each is there, and uncompressed ones as one strip."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.codecs.directory import Directory, Tag
from model.codecs.limits import MAX_SEGMENTS, MAX_TILES, check_size, more_than_limit
from model.errors import ImageTooLargeError, UnsupportedFormatError


@dataclass(frozen=True)
class Layout:
    """Layout of the pixels in strips as wide as the image, or tiles, of which the last go beyond its edges."""

    width: int
    height: int
    bits: int
    """Bits of a sample."""
    samples: int
    """Samples of a pixel, within one plane."""
    planes: int
    segment_width: int
    segment_height: int
    tiled: bool

    @property
    def across(self) -> int:
        return -(-self.width // self.segment_width)

    @property
    def down(self) -> int:
        return -(-self.height // self.segment_height)

    @property
    def segment_count(self) -> int:
        """Strips or tiles of all planes."""
        return self.planes * self.down * self.across

    @property
    def row_bytes(self) -> int:
        """Bytes of a strip's or tile's row, uncompressed."""
        return (self.segment_width * self.samples * self.bits + 7) // 8

    @property
    def segment_bytes(self) -> NDArray[np.int64]:
        """Bytes of every strip or tile, uncompressed."""
        sizes = np.full((self.planes, self.down, self.across), self.segment_height * self.row_bytes)
        if not self.tiled:
            sizes[:, -1] -= (self.down * self.segment_height - self.height) * self.row_bytes
        return sizes.reshape(-1)


def layout_of(page: Directory, max_pixels: int) -> Layout:
    """The layout that a page's tags describe. Raises ImageTooLargeError, UnsupportedFormatError or ValueError."""
    width, height = page.integer(Tag.WIDTH, 0), page.integer(Tag.HEIGHT, 0)
    check_size(width, height, max_pixels)
    samples = page.integer(Tag.SAMPLES, 1)
    depths = set(page.integers(Tag.BITS)[:samples].tolist()) or {1}
    if len(depths) > 1 or not 1 <= samples <= 16:
        raise UnsupportedFormatError(
            f"a TIFF of {samples} channels of {' and '.join(map(str, sorted(depths)))} bits; "
            "send 8-bit colour, or 8- or 16-bit gray"
        )
    planes = samples if page.integer(Tag.PLANAR, 1) == 2 else 1
    tiled = Tag.TILE_WIDTH in page
    segment_width = page.integer(Tag.TILE_WIDTH, 0) if tiled else width
    segment_height = (
        page.integer(Tag.TILE_HEIGHT, 0) if tiled else min(page.integer(Tag.ROWS_PER_STRIP, height), height)
    )
    if segment_width <= 0 or segment_height <= 0:
        raise ValueError("its tiles or strips have no size")
    layout = Layout(width, height, depths.pop(), samples // planes, planes, segment_width, segment_height, tiled)
    covered = layout.across * segment_width * layout.down * segment_height
    if tiled and covered > max(max_pixels, 2 * width * height):
        raise ImageTooLargeError(f"the image's tiles cover {covered:,} pixels; the limit is {max_pixels:,}")
    return layout


@dataclass(frozen=True)
class Segments:
    """Offsets and sizes of the strips or tiles in `data`, in the image's order, plane by plane."""

    data: bytes
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def first(self, count: int) -> "Segments":
        return Segments(self.data, self.offsets[:count], self.sizes[:count])

    def each(self) -> list[memoryview]:
        view = memoryview(self.data)
        ends = self.offsets + self.sizes
        return [view[start:end] for start, end in zip(self.offsets.tolist(), ends.tolist(), strict=True)]

    def joined(self) -> memoryview:
        """All segments in one; without a copy where they lie side by side."""
        if np.array_equal(self.offsets[1:], (self.offsets + self.sizes)[:-1]):
            start = int(self.offsets[0])
            return memoryview(self.data)[start : start + int(self.sizes.sum())]
        return memoryview(b"".join(self.each()))


def segments_of(page: Directory, layout: Layout, *, packed: bool) -> Segments:
    """The segments of a page. Raises ValueError where one is missing, empty, or goes beyond the end."""
    kind = "tiles" if layout.tiled else "strips"
    wanted, most = layout.segment_count, MAX_TILES if layout.tiled else MAX_SEGMENTS
    if wanted > most:
        raise more_than_limit(kind, most)
    whole = layout.segment_bytes
    offsets = page.integers(Tag.TILE_OFFSETS if Tag.TILE_OFFSETS in page else Tag.STRIP_OFFSETS)[:wanted]
    sizes = page.integers(Tag.TILE_BYTES if Tag.TILE_BYTES in page else Tag.STRIP_BYTES)[:wanted]
    if not len(sizes) and (len(offsets) == 1 or not packed):  # old writers left them out
        sizes = np.asarray(len(page.data) - offsets if packed else whole[: len(offsets)])
    there = min(len(offsets), len(sizes))
    offsets, sizes = offsets[:there], sizes[:there]
    sound = (offsets >= 8) & (sizes >= (1 if packed else whole[:there]))
    if not packed:
        sizes = np.minimum(sizes, whole[:there])
    missing = wanted - int((sound & (offsets + sizes <= len(page.data))).sum())
    if missing:
        raise ValueError(f"{missing} of its {wanted} {kind} are missing or cut short")
    if int(sizes.sum()) > len(page.data) + int(whole.sum()):
        raise ValueError(f"its {kind} overlap")
    return Segments(page.data, offsets, sizes)


def as_strip(segments: Segments, layout: Layout) -> memoryview:
    """Uncompressed pixels row by row, each row from a whole byte, each pixel's samples beside each other."""
    row_bytes = (layout.width * layout.samples * layout.bits + 7) // 8
    joined = segments.joined()
    if not layout.tiled and layout.planes == 1:
        return joined
    if layout.segment_width * layout.samples * layout.bits % 8 and layout.tiled:
        raise ValueError("its tiles' rows end within a byte")
    if layout.planes > 1 and layout.bits % 8:
        raise UnsupportedFormatError("a TIFF of several planes of less than 8 bits; send 8-bit colour")
    rows: NDArray[np.uint8] = np.frombuffer(joined, np.uint8)
    if layout.tiled:
        rows = rows.reshape(layout.planes, layout.down, layout.across, layout.segment_height, layout.row_bytes)
        rows = rows.swapaxes(2, 3).reshape(layout.planes, layout.down * layout.segment_height, -1)
        rows = rows[:, : layout.height, :row_bytes]
    samples = rows.reshape(layout.planes, layout.height, -1, layout.bits // 8 or 1)  # planes×H×W×bytes
    return memoryview(samples.transpose(1, 2, 0, 3).tobytes())
