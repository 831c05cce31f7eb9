"""TIFF 6.0 and BigTIFF: every strip and tile there, before libtiff or libjpeg-turbo sees one.

These are given a file made anew of one image's pixels and the few tags that say how to read them.
"""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from model.codecs import jpeg
from model.codecs.directory import Directory, Tag, read_directory
from model.codecs.exif import orientation
from model.codecs.limits import multiple_frames
from model.codecs.stored import StoredImage
from model.codecs.strips import Layout, Segments, as_strip, layout_of, segments_of
from model.codecs.unsupported_tiff import refuse_unsupported
from model.errors import UnsupportedFormatError

_RAW, _JPEG, _DEFLATE = 1, 7, (8, 32946)
_HORIZONTAL: Final = 2
"""The predictor by differences."""
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 1, 2, 5, 6
_MOST_TABLES: Final = 1 << 14
"""Bytes; they are read again with each strip or tile. Four of each kind come to 4 kB."""
_KEPT: Final = (
    Tag.BITS, Tag.COMPRESSION, Tag.PHOTOMETRIC, Tag.FILL_ORDER, Tag.SAMPLES, Tag.PLANAR, Tag.PREDICTOR, Tag.COLOR_MAP,
    Tag.EXTRA_SAMPLES, Tag.SAMPLE_FORMAT, Tag.SUBSAMPLING,
)  # fmt: skip


def read(data: bytes, max_pixels: int) -> StoredImage:
    """Decode a TIFF. Raises ImageTooLargeError, MultipleFramesError, UnsupportedFormatError, ValueError or OSError."""
    page = read_directory(data)
    if page.is_cut or page.lost & set(Tag) - {Tag.XMP}:
        raise ValueError("its directory is cut short")
    layout = layout_of(page, max_pixels)
    refuse_unsupported(page, layout)
    if _has_next_page(page):
        raise multiple_frames()
    compression = page.integer(Tag.COMPRESSION, _RAW)
    segments = segments_of(page, layout, packed=compression != _RAW)
    if compression == _JPEG:
        image = _from_jpeg(page, layout, segments)
    elif layout.bits in (12, 16):
        image = _deep_gray(page, layout, segments)
    else:
        tags: dict[int, list[int]] = {tag: page.integers(tag).tolist() for tag in _KEPT if tag in page}
        image = _by_pillow(page, layout, segments, tags)
    return StoredImage(image, orientation(data, page.raw(Tag.XMP)))


def _has_next_page(page: Directory) -> bool:
    """Whether another page follows. An offset beyond the file, or of something that is no page, is a writer's slip."""
    if page.next in (0, page.at):
        return False
    try:
        following = read_directory(page.data, page.next)
    except ValueError:
        return False
    return Tag.WIDTH in following and Tag.HEIGHT in following


def _deep_gray(page: Directory, layout: Layout, segments: Segments) -> Image.Image:
    """Gray of 12 or 16 bits as "I;16", black at 0; a second sample, transparency, is left out."""
    tags: dict[int, list[int]] = {
        tag: page.integers(tag).tolist() for tag in (Tag.COMPRESSION, Tag.FILL_ORDER) if tag in page
    }
    tags |= {Tag.BITS: [layout.bits], Tag.PHOTOMETRIC: [_BLACK_IS_ZERO]}
    predictor = page.integer(Tag.PREDICTOR, 1)
    paired = layout.samples == 2
    if paired:  # to a decoder, gray of twice the width
        if predictor == _HORIZONTAL and (layout.tiled or layout.bits != 16):
            raise UnsupportedFormatError("a TIFF of deep gray with alpha and a predictor; send it without alpha")
        layout = replace(layout, width=2 * layout.width, segment_width=2 * layout.segment_width, samples=1)
    else:
        tags[Tag.PREDICTOR] = [predictor]
        segments = segments.first(layout.segment_count // layout.planes)
        layout = replace(layout, planes=1)
    if layout.bits == 16 and page.integer(Tag.COMPRESSION, _RAW) == _RAW and page.integer(Tag.FILL_ORDER, 1) == 1:
        values = np.frombuffer(as_strip(segments, layout), page.order + "u2").reshape(layout.height, layout.width)
    else:
        values = np.asarray(_by_pillow(page, layout, segments, tags))
    if paired:
        values = values[:, ::2]
        if predictor == _HORIZONTAL:
            values = np.cumsum(values, axis=1, dtype=np.uint16)
    if page.integer(Tag.PHOTOMETRIC, _BLACK_IS_ZERO) == _WHITE_IS_ZERO:
        values = np.uint16((1 << layout.bits) - 1) - values
    return Image.fromarray(np.ascontiguousarray(values.astype("<u2", copy=False)))


def _by_pillow(page: Directory, layout: Layout, segments: Segments, tags: dict[int, list[int]]) -> Image.Image:
    """Through a file made anew. Raises UnsupportedFormatError where Pillow has no mode for such pixels."""
    compression = tags.get(Tag.COMPRESSION, [_RAW])[0]
    # 12-bit samples are packed from the highest bit on in either byte order; Pillow knows them in the one.
    order = "<" if layout.bits == 12 else page.order
    if compression == _RAW:
        made: Sequence[memoryview | bytes] = [as_strip(segments, layout)]
        layout = replace(layout, segment_width=layout.width, segment_height=layout.height, tiled=False)
        tags.pop(Tag.PLANAR, None)
    elif compression in _DEFLATE and page.integer(Tag.FILL_ORDER, 1) == 1 and not _is_subsampled(page):
        made = _inflated(segments, layout)
    else:
        made = segments.each()
    with io.BytesIO(_file_of(order, layout, tags, made)) as file:
        try:
            image: Image.Image = Image.open(file, formats=["TIFF"])
        except UnidentifiedImageError:
            raise UnsupportedFormatError(
                f"a TIFF of {layout.samples * layout.planes} channels of {layout.bits} bits, photometric interpretation"
                f" {tags.get(Tag.PHOTOMETRIC, [0])[0]}; send 8-bit colour, or 8- or 16-bit gray"
            ) from None
        image.load()
    return image


def _inflated(segments: Segments, layout: Layout) -> list[bytes]:
    """Deflated strips or tiles as such, but stored, and their checksums seen: libtiff doesn't look at them."""
    stored = []
    most = layout.segment_height * layout.row_bytes  # some writers fill up the last strip
    for packed, size in zip(segments.each(), layout.segment_bytes.tolist(), strict=True):
        unpacking = zlib.decompressobj()
        unpacked = unpacking.decompress(packed, most)
        if len(unpacked) < size or unpacking.decompress(unpacking.unconsumed_tail, 1):  # on to the checksum
            raise ValueError("a strip or tile has another size than the image's")
        stored.append(zlib.compress(unpacked[:size], 0))
    return stored


def _is_subsampled(page: Directory) -> bool:
    return page.integer(Tag.PHOTOMETRIC, 0) == _YCBCR and page.integers(Tag.SUBSAMPLING).tolist() != [1, 1]


def _file_of(
    order: str, layout: Layout, tags: Mapping[int, Sequence[int]], segments: Sequence[memoryview | bytes]
) -> bytes:
    """A TIFF of one image."""
    sizes = [len(segment) for segment in segments]
    geometry: dict[int, Sequence[int]] = {Tag.WIDTH: [layout.width], Tag.HEIGHT: [layout.height]}
    if layout.tiled:
        geometry |= {
            Tag.TILE_WIDTH: [layout.segment_width],
            Tag.TILE_HEIGHT: [layout.segment_height],
            Tag.TILE_BYTES: sizes,
        }
    else:
        geometry |= {Tag.ROWS_PER_STRIP: [layout.segment_height], Tag.STRIP_BYTES: sizes}
    offsets = Tag.TILE_OFFSETS if layout.tiled else Tag.STRIP_OFFSETS
    directory = {**tags, **geometry, offsets: [0] * len(sizes)}
    start = 8 + 2 + 12 * len(directory) + 4 + sum(4 * len(values) for values in directory.values() if len(values) > 1)
    directory[offsets] = (start + np.concatenate([[0], np.cumsum(sizes)])[:-1]).tolist()
    entries, values_at, beyond = [], 8 + 2 + 12 * len(directory) + 4, []
    for tag, values in sorted(directory.items()):
        short = max(values) < 1 << 16 and tag not in (offsets, Tag.STRIP_BYTES, Tag.TILE_BYTES)
        packed = np.asarray(values, order + ("u2" if short else "u4")).tobytes()
        if len(packed) <= 4:
            inline = packed.ljust(4, b"\0")
        else:
            packed = packed.ljust(4 * len(values), b"\0")
            inline = struct.pack(order + "I", values_at)
            values_at += len(packed)
            beyond.append(packed)
        entries.append(struct.pack(order + "HHI", tag, 3 if short else 4, len(values)) + inline)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(entries))
    gap = bytes(start - values_at)  # of pairs of short values, which lie in their entries
    return b"".join([head, *entries, bytes(4), *beyond, gap, *segments])


def _from_jpeg(page: Directory, layout: Layout, segments: Segments) -> Image.Image:
    """Strips or tiles that are JPEG streams; tables that they share have a tag of their own (TIFF Technical Note 2)."""
    photometric = page.integer(Tag.PHOTOMETRIC, _WHITE_IS_ZERO)
    channels = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _YCBCR: 3, _CMYK: 4}.get(photometric)
    if channels != layout.samples * layout.planes or (layout.planes > 1 and photometric == _YCBCR):
        raise UnsupportedFormatError("a TIFF of JPEG streams whose channels are neither gray, RGB, YCbCr nor CMYK")
    tables = page.raw(Tag.JPEG_TABLES).removeprefix(b"\xff\xd8").removesuffix(b"\xff\xd9")
    if len(tables) > _MOST_TABLES:
        raise ValueError("its JPEG tables are too long")
    transform = 1 if photometric == _YCBCR else 0
    pixels = np.empty((layout.planes, layout.height, layout.width, layout.samples), np.uint8)
    for number, segment in enumerate(segments.each()):
        plane, index = divmod(number, layout.down * layout.across)
        top, left = index // layout.across * layout.segment_height, index % layout.across * layout.segment_width
        target = pixels[plane, top : top + layout.segment_height, left : left + layout.segment_width]
        tile = _tile(tables + bytes(segment[2:]), layout, transform)
        if tile.shape[0] < target.shape[0] or tile.shape[1:] != (layout.segment_width, layout.samples):
            raise ValueError("a strip or tile has another size than the image's")
        target[:] = tile[: target.shape[0], : target.shape[1]]
    joined = pixels.transpose(1, 2, 0, 3).reshape(layout.height, layout.width, -1)  # H×W×channels
    if channels == 1:
        gray = joined[..., 0]
        return Image.fromarray(255 - gray if photometric == _WHITE_IS_ZERO else gray)
    if channels == 4:
        return Image.frombytes("CMYK", (layout.width, layout.height), joined.tobytes())
    return Image.fromarray(np.ascontiguousarray(joined))


def _tile(stream: bytes, layout: Layout, transform: int) -> NDArray[np.uint8]:
    most = 2 * layout.segment_width * layout.segment_height
    frame = jpeg.parse(b"\xff\xd8" + stream, most, transform)
    tile = jpeg.decode(frame)
    return tile.reshape(*tile.shape[:2], -1)
