"""PNG (ISO/IEC 15948): the critical chunks with their checksums, and every row there."""

import io
import struct
import zlib
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from model.codecs.exif import orientation
from model.codecs.limits import MAX_SEGMENTS, check_size, more_than_limit, multiple_frames
from model.codecs.stored import StoredImage
from model.errors import UnsupportedFormatError

_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_HEAD: Final = struct.Struct(">IIBBBBB")
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_GRAY, _GRAY_ALPHA, _COLOUR_ALPHA = 0, 4, 6
# Adam7: first column and row of each pass, and the steps.
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_MAX_TEXT: Final = 16 << 20
_EXIF_AS_TEXT: Final = b"Raw profile type exif"  # ImageMagick's, before there was eXIf
_XMP: Final = b"XML:com.adobe.xmp"


class Header(NamedTuple):
    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlace: int

    @property
    def bits(self) -> int:
        """A pixel's."""
        return self.depth * _CHANNELS[self.colour]

    @property
    def stream_bytes(self) -> int:
        """Bytes of all rows, each with its filter's byte."""
        sizes = [(self.width, self.height)]
        if self.interlace:
            sizes = [(-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in _PASSES]
        return sum(high * (1 + (wide * self.bits + 7) // 8) for wide, high in sizes if wide > 0 and high > 0)


class _Chunks(NamedTuple):
    header: Header
    palette: bytes
    pixels: list[memoryview]
    """The IDAT chunks: together one zlib stream."""
    turn: int


def read(data: bytes, max_pixels: int) -> StoredImage:
    """Decode. Raises ImageTooLargeError, MultipleFramesError, UnsupportedFormatError, ValueError or zlib.error."""
    chunks = _chunks(data, max_pixels)
    header = chunks.header
    twice = header.depth == 16 and header.colour == _GRAY_ALPHA
    # Four bytes a pixel either way, with the same filters: so Pillow gives all 16 bits, and not the high eight.
    shown = header._replace(depth=8, colour=_COLOUR_ALPHA) if twice else header
    with io.BytesIO(_clean(shown, chunks)) as file:
        image: Image.Image = Image.open(file, formats=["PNG"])
        image.load()
    # Pillow takes the stream's end for the image's. Rows that never came are black in it.
    last = image.crop((0, header.height - 1, header.width, header.height)).tobytes()
    if (header.interlace or not any(last)) and not _is_whole(chunks.pixels, header.stream_bytes):
        raise ValueError("rows are missing")
    if twice:
        high_and_low = np.asarray(image)[..., :2]  # H×W×2
        image = Image.fromarray(np.ascontiguousarray(high_and_low).view(">u2")[..., 0].astype("<u2"))
    return StoredImage(image, chunks.turn)


def _chunks(data: bytes, max_pixels: int) -> _Chunks:
    header: Header | None = None
    palette = exif = xmp = b""
    pixels: list[memoryview] = []
    last = b""
    frames, framed = 0, False
    at = 8
    for _ in range(MAX_SEGMENTS):
        size, kind = struct.unpack_from(">I4s", data, at) if at + 8 <= len(data) else (0, b"IEND")
        body = memoryview(data)[at + 8 : at + 8 + size]
        if kind == b"CgBI":
            raise UnsupportedFormatError("a PNG in Apple's own form (CgBI); send a standard PNG")
        if kind in (b"IHDR", b"PLTE", b"IDAT"):
            _check_sum(data, at, size, kind)
        elif pixels and (len(body) < size or not kind.isalpha()):
            break  # what follows the pixels is not needed
        elif len(body) < size or not kind.isalpha():
            raise ValueError(f"its chunk {kind!r} goes beyond the end")
        if header is None:
            header = _header(kind, bytes(body), max_pixels)
        elif kind == b"IDAT" and (not pixels or last == b"IDAT"):
            pixels.append(body)
        elif kind == b"PLTE" and not pixels:
            palette = bytes(body)
        elif kind == b"acTL" and not pixels and size >= 8:
            frames = int.from_bytes(body[:4])
        elif kind == b"fcTL" and not pixels:
            framed = True
        elif kind == b"eXIf":
            exif = bytes(body)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            key, text = _text(kind, bytes(body[:100]), body)
            exif = _from_hex(text) if key == _EXIF_AS_TEXT and not exif else exif
            xmp = text if key == _XMP else xmp
        elif kind == b"IEND":
            break
        last = kind
        at += 12 + size
    else:
        raise more_than_limit("segments")
    if header is None or not pixels:
        raise ValueError("it has no pixels")
    if 0 < frames <= 1 << 31 and frames + (not framed) > 1:
        raise multiple_frames()
    return _Chunks(header, palette, pixels, orientation(exif, xmp))


def _header(kind: bytes, body: bytes, max_pixels: int) -> Header:
    if kind != b"IHDR" or len(body) != _HEAD.size:
        raise ValueError("its first chunk isn't IHDR")
    header = Header(*_HEAD.unpack(body))
    check_size(header.width, header.height, max_pixels)
    if header.colour not in _CHANNELS or header.compression or header.filtering or header.interlace > 1:
        raise ValueError("its header names no known form")
    if header.depth > 8 and header.colour not in (_GRAY, _GRAY_ALPHA):
        raise UnsupportedFormatError("colour with more than 8 bits a channel; send 8-bit colour, or 8- or 16-bit gray")
    return header


def _check_sum(data: bytes, at: int, size: int, kind: bytes) -> None:
    """Only critical chunks': a wrong one of a text says nothing about the pixels."""
    end = at + 8 + size
    if end + 4 > len(data):
        raise ValueError(f"its chunk {kind.decode()} goes beyond the end")
    if zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
        raise ValueError(f"the checksum of a chunk {kind.decode()} is wrong")


def _text(kind: bytes, head: bytes, body: memoryview) -> tuple[bytes, bytes]:
    """Key and text; the text of other keys than the two that matter isn't unpacked."""
    key = head.partition(b"\0")[0]
    if key not in (_EXIF_AS_TEXT, _XMP):
        return key, b""
    text = bytes(body[len(key) + 1 :])
    packed = kind == b"zTXt"
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":
        packed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    try:
        return key, zlib.decompressobj().decompress(text, _MAX_TEXT) if packed else text
    except zlib.error:
        return key, b""


def _from_hex(profile: bytes) -> bytes:
    try:
        return bytes.fromhex(b"".join(profile.split(b"\n")[3:]).decode("latin-1"))
    except ValueError:
        return b""


def _clean(header: Header, chunks: _Chunks) -> bytes:
    """A file of these pixels and nothing else."""
    palette = [_chunk(b"PLTE", chunks.palette)] if chunks.palette else []
    size = struct.pack(">I", sum(map(len, chunks.pixels)))
    pixels: list[bytes | memoryview] = [
        size,
        b"IDAT",
        *chunks.pixels,
        bytes(4),
    ]  # their checksums were right, and Pillow reads over this one
    return b"".join([_MAGIC, _chunk(b"IHDR", _HEAD.pack(*header)), *palette, *pixels, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _is_whole(pieces: list[memoryview], size: int) -> bool:
    """Whether a zlib stream unpacks to `size` bytes at least; a little at a time, so that it costs no memory."""
    unpacking = zlib.decompressobj()
    for piece in pieces:
        unpacked, rest = b"-", bytes(piece)
        while size > 0 and unpacked:
            unpacked = unpacking.decompress(rest, min(size, 1 << 18))
            rest = unpacking.unconsumed_tail
            size -= len(unpacked)
    return size <= 0
