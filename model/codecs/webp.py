"""WebP (RFC 9649): the size is read before libwebp takes memory for it; libwebp itself refuses what is cut short."""

import io
import struct

from PIL import Image

from model.codecs.exif import orientation
from model.codecs.limits import check_size, multiple_frames
from model.codecs.stored import StoredImage


def read(data: bytes, max_pixels: int) -> StoredImage:
    """Decode a WebP. Raises ImageTooLargeError, MultipleFramesError, or ValueError and OSError."""
    check_size(*_size(data), max_pixels)
    with io.BytesIO(data) as file:
        image = Image.open(file, formats=["WEBP"])
        if image.n_frames > 1:  # type: ignore[attr-defined]
            raise multiple_frames()
        image.load()
    return StoredImage(image, orientation(image.info.get("exif", b""), image.info.get("xmp", b"")))


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of the canvas, in pixels."""
    kind = data[12:16]
    if len(data) < 30:
        raise ValueError("its header is cut")
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("its first chunk is no image")
