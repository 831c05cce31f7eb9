"""BMP: the headers checked, runs (RLE) unpacked within width × height, all else by Pillow."""

import io
import struct
from typing import Final, NamedTuple

from PIL import Image

from model.codecs.limits import check_size, more_than_limit
from model.codecs.stored import StoredImage
from model.errors import UnsupportedFormatError

_RAW, _RLE8, _RLE4, _FIELDS = range(4)
_NAMES: Final = {4: "JPEG", 5: "PNG", 6: "with alpha bit fields"}
_HEADERS: Final = (12, 40, 52, 56, 64, 108, 124)
_FILE_HEAD: Final = 14
MAX_RUNS: Final = 2_000_000
"""A second's work or two. Encoders write noise as it is, 250 pixels a run."""


class _Header(NamedTuple):
    size: int
    """The header's own."""
    width: int
    height: int
    bottom_up: bool
    bits: int
    compression: int
    colours: int
    """Colours in the palette; 0: as many as the bits allow."""
    pixels_at: int


def read(data: bytes, max_pixels: int) -> StoredImage:
    """Decode a BMP. Raises ImageTooLargeError, UnsupportedFormatError, or ValueError, struct.error and OSError."""
    header = _header(data)
    check_size(header.width, header.height, max_pixels)
    if header.compression in (_RLE8, _RLE4):
        return StoredImage(_from_runs(data, header))
    with io.BytesIO(data) as file:
        try:
            image: Image.Image = Image.open(file, formats=["BMP"])
        except OSError as error:
            if "bitfields" in str(error):
                raise UnsupportedFormatError("a BMP with unusual colour masks; send 24 bits a pixel") from error
            raise
        image.load()
    return StoredImage(image)


def _header(data: bytes) -> _Header:
    pixels_at, size = struct.unpack_from("<II", data, 10)
    if size not in _HEADERS:
        raise UnsupportedFormatError(f"a BMP with a header of {size} bytes; send one of Windows 3 or later")
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression, colours = _RAW, 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<IiHHI", data, 18)
        colours = struct.unpack_from("<I", data, 46)[0]
    header = _Header(size, width, abs(height), height > 0, bits, compression, colours, pixels_at)
    if compression > _FIELDS:
        raise UnsupportedFormatError(f"a BMP {_NAMES.get(compression, 'of an unknown compression')}; send it without")
    if bits not in (1, 4, 8, 16, 24, 32):
        raise UnsupportedFormatError(f"a BMP of {bits} bits a pixel; send 8 or 24")
    if 0 < pixels_at < _FILE_HEAD + size:
        raise ValueError("its pixels would lie in its header")
    return header


def _from_runs(data: bytes, header: _Header) -> Image.Image:
    """Runs to indices, and a palette that isn't a plain ramp of grays to colours."""
    if header.bits != (8 if header.compression == _RLE8 else 4):
        raise ValueError(f"runs of {header.bits}-bit pixels make no image")
    colours = header.colours or 1 << header.bits
    if not 0 < colours <= 256:
        raise ValueError(f"it has {colours} colours")
    palette_at = _FILE_HEAD + header.size
    palette = data[palette_at : palette_at + 4 * colours]
    # Some writers leave the palette out of the pixels' offset.
    start = header.pixels_at if header.pixels_at != palette_at else palette_at + 4 * colours
    indices = _unpack(data, start or palette_at + 4 * colours, header)
    image = Image.frombytes("L", (header.width, header.height), bytes(indices))
    if header.bottom_up:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    ramp = (0, 255) if colours == 2 else range(colours)
    if all(palette[4 * i : 4 * i + 3] == bytes((gray,)) * 3 for i, gray in enumerate(ramp)):
        return image.point([0, *[255] * 255]) if colours <= 2 else image
    image.putpalette(palette, "BGRX")
    return image


def _unpack(data: bytes, at: int, header: _Header) -> bytearray:
    """Indices row by row in the file's order. Raises ValueError where pixels are missing; skipped ones are 0."""
    width, wanted = header.width, header.width * header.height
    half = header.compression == _RLE4
    pairs = [bytes((value >> 4, value & 15) if half else (value, value)) for value in range(256)]
    found = bytearray()
    x = y = 0
    for _ in range(MAX_RUNS):
        if len(found) >= wanted:
            break
        if at + 2 > len(data):
            raise ValueError("rows are missing")
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            count = min(count, width - x)
            found += (pairs[value] * (count + 1 >> 1))[:count]
            x += count
        elif value == 0:
            x, y = 0, y + 1
            found += bytes(y * width - len(found))
        elif value == 1:
            break
        elif value == 2:
            x, y = x + data[at], y + data[at + 1]
            at += 2
            found += bytes(min(wanted, y * width + x) - len(found))
        else:
            size = (value + 1) // 2 if half else value
            run = data[at : at + size]
            if len(run) < size:
                raise ValueError("rows are missing")
            found += bytes(nibble for byte in run for nibble in (byte >> 4, byte & 15))[:value] if half else run
            x += value
            at += size + size % 2
        if x > width:
            raise ValueError("a run goes beyond its row")
    else:
        raise more_than_limit("runs", MAX_RUNS)
    if len(found) < wanted:
        raise ValueError("rows are missing")
    return found[:wanted]
