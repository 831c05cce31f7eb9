"""Decoding, bounded and strict: bytes to an image, whole or not at all. The same for training and service."""

import struct
import zlib
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from model.codecs import bmp, jpeg, png, tiff, unsupported, webp
from model.codecs.exif import SIDEWAYS, exif_transpose
from model.codecs.stored import StoredImage
from model.errors import BrightnessError, UndecodableImageError, UnsupportedFormatError

FullScale = Literal[1023, 4095, 16383, 65535]
FULL_SCALES: Final[tuple[FullScale, ...]] = (1023, 4095, 16383, 65535)
MAX_PIXELS: Final = 50_000_000
FORMATS: Final = "PNG, JPEG, BMP, TIFF or WebP"
"""The accepted ones, for messages."""

# `max_pixels` is the bound here, checked before any pixel is decoded; Pillow's own would warn, or refuse, elsewhere.
Image.MAX_IMAGE_PIXELS = None

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_READERS: Final[dict[str, Callable[[bytes, int], StoredImage]]] = {
    "PNG": png.read, "BMP": bmp.read, "TIFF": tiff.read, "WEBP": webp.read,
}  # fmt: skip
# What Pillow's readers raise on broken files, beside OSError: each has been seen, or stands in their source.
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError,
    OverflowError, AttributeError, NotImplementedError, RuntimeError, ZeroDivisionError, AssertionError,
)  # fmt: skip


def sniff(data: bytes) -> str | None:
    """The accepted format that `data` begins with ("PNG", "JPEG", "BMP", "TIFF", "WEBP"), or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGIC if data.startswith(magic)), None)


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode one image, transpose it by its EXIF orientation and bring it to one of three modes.

    Returns mode "L" or "RGB" (8 bit; transparency is dropped, the colours under it stay), or "I;16" for 16-bit gray,
    which `to_8bit` brings to "L". Raises UnsupportedFormatError, ImageTooLargeError (before any pixel is decoded),
    MultipleFramesError, or UndecodableImageError: also where a decoder would make up some of the pixels.
    """
    return decode_reduced(data, None, max_pixels=max_pixels)[0]


def decode_reduced(
    data: bytes, least: int | None, *, max_pixels: int = MAX_PIXELS
) -> tuple[Image.Image, tuple[int, int]]:
    """As `decode`, but a JPEG may come reduced, 2, 4 or 8 times, to no fewer than `least` pixels a side; None: whole.

    Returns width and height that it would have otherwise, too.
    """
    image_format = sniff(data)
    if image_format is None:
        name = unsupported.name_of(data)
        raise UnsupportedFormatError(
            f"not a {FORMATS} image; it {f'is {name}' if name else f'begins with {data[:8]!r}'}"
        )
    try:
        if image_format == "JPEG":
            stored = jpeg.read(data, max_pixels, least)
        else:
            stored = _READERS[image_format](data, max_pixels)
    except UnidentifiedImageError:
        raise UndecodableImageError(f"begins like a {image_format} image, but isn't one") from None
    except _BROKEN as error:
        raise UndecodableImageError(f"the {image_format} image is broken or cut short: {error}") from error
    width, height = stored.full_size or stored.image.size
    image = _in_one_of_three_modes(exif_transpose(stored.image, stored.orientation))
    return image, ((height, width) if stored.orientation in SIDEWAYS else (width, height))


def _in_one_of_three_modes(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return image if image.mode == "I;16" else Image.fromarray(np.asarray(image).astype("<u2"))
    mode = "L" if image.mode in {"1", "L", "LA", "La"} else "RGB"
    return image if image.mode == mode else image.convert(mode)


def full_scale_for(brightest: int) -> FullScale:
    """The smallest usual full scale (10, 12, 14 or 16 bits) that covers the value `brightest`."""
    return next(full_scale for full_scale in FULL_SCALES if brightest <= full_scale)


def brightest(image: Image.Image) -> int | None:
    """The largest pixel value of a 16-bit image; None for one of 8 bits."""
    return int(np.asarray(image).max()) if image.mode == "I;16" else None


def to_8bit(image: Image.Image, full_scale: int | None) -> Image.Image:
    """Bring 16-bit gray to mode "L" as value·255/full_scale, rounded; 8-bit images pass through.

    Raises BrightnessError where the model has seen no 16-bit images (full_scale None) or a pixel is above full scale.
    """
    top = brightest(image)
    if top is None:
        return image
    if full_scale is None:
        raise BrightnessError("a 16-bit image, but the model was trained on 8-bit images: its full scale is unknown")
    if top > full_scale:
        raise BrightnessError(
            f"a pixel of {top} is above the full scale of {full_scale} that the model was trained with"
        )
    table = np.arange(full_scale + 1, dtype=np.float32) * np.float32(255.0 / full_scale)
    return Image.fromarray(np.rint(table).astype(np.uint8)[np.asarray(image)])
