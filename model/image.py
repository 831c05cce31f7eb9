"""Decoding, bounded: bytes to an upright picture. The same for training and the service."""

import io
import struct
import zlib
from typing import Final, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from model.errors import (
    BrightnessError,
    ImageTooLargeError,
    MultipleFramesError,
    UndecodableImageError,
    UnsupportedFormatError,
)

FullScale = Literal[1023, 4095, 16383, 65535]
FULL_SCALES: Final[tuple[FullScale, ...]] = (1023, 4095, 16383, 65535)
MAX_PIXELS: Final = 50_000_000

# `max_pixels` is the bound here, checked before any pixel is decoded; Pillow's own would warn, or refuse, elsewhere.
Image.MAX_IMAGE_PIXELS = None

# Pillow walks headers in Python, one small read a segment: a file of a million empty ones would keep a thread busy for
# seconds. Real pictures need some thousands of reads at most.
_MAX_READS: Final = 100_000

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_EIGHT_BIT: Final = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
_SIXTEEN_BIT: Final = {"I;16", "I;16L", "I;16B", "I;16N"}
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
    """Decode one picture, turn it upright (EXIF) and bring it to one of three modes.

    Returns mode "L" or "RGB" (8 bit; transparency is dropped, the colours under it stay), or "I;16" for 16-bit gray,
    which `to_8bit` brings to "L". Raises UnsupportedFormatError, ImageTooLargeError (before any pixel is decoded),
    MultipleFramesError or UndecodableImageError.
    """
    form = sniff(data)
    if form is None:
        raise UnsupportedFormatError(f"not a PNG, JPEG, BMP, TIFF or WebP image; it begins with {data[:8]!r}")
    try:
        return _read(data, form, max_pixels)
    except UnidentifiedImageError:
        raise UndecodableImageError(f"begins like a {form} image, but isn't one") from None
    except _BROKEN as error:
        raise UndecodableImageError(f"the {form} image is broken or cut short: {error}") from error


class _BoundedReads(io.BytesIO):
    """A file in memory that breaks off after _MAX_READS reads."""

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise OSError("it has too many segments")
        return super().read(size)


def _read(data: bytes, form: str, max_pixels: int) -> Image.Image:
    photo: Image.Image = Image.open(_BoundedReads(data), formats=[form])
    width, height = photo.size
    if width * height > max_pixels:
        raise ImageTooLargeError(f"the image has {width}×{height} pixels; the limit is {max_pixels:,}")
    if _has_more_frames(photo):
        raise MultipleFramesError("the file holds more than one frame or page; send one picture")
    if photo.mode not in _EIGHT_BIT | _SIXTEEN_BIT or _is_deep_colour(photo, data, form):
        raise UnsupportedFormatError(
            f"pixels of type {photo.mode} with more than 8 bits a channel; send 8-bit colour, or 8- or 16-bit gray"
        )
    photo.load()
    photo = ImageOps.exif_transpose(photo)
    if photo.mode in _SIXTEEN_BIT:
        return photo if photo.mode == "I;16" else Image.fromarray(np.asarray(photo).astype("<u2"))
    if photo.mode in {"1", "L", "LA", "La"}:
        return photo.convert("L")
    return photo.convert("RGB")


def _has_more_frames(photo: Image.Image) -> bool:
    try:
        photo.seek(1)
    except EOFError:
        return False
    return True


def _is_deep_colour(photo: Image.Image, data: bytes, form: str) -> bool:
    """Whether colour channels have 16 bits: Pillow would keep the high byte and say nothing."""
    if photo.mode in _SIXTEEN_BIT:
        return False
    if form == "PNG":
        return data[24] > 8  # IHDR's bit depth
    if form == "TIFF":
        bits = photo.tag_v2.get(258, (1,))  # type: ignore[attr-defined]  # BitsPerSample
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    return False


def full_scale_for(brightest: int) -> FullScale:
    """The smallest usual full scale (10, 12, 14 or 16 bits) that covers the value `brightest`."""
    return next(scale for scale in FULL_SCALES if brightest <= scale)


def brightest(photo: Image.Image) -> int | None:
    """The largest pixel value of a 16-bit picture; None for one of 8 bits."""
    return int(np.asarray(photo).max()) if photo.mode == "I;16" else None


def to_8bit(photo: Image.Image, full_scale: int | None) -> Image.Image:
    """Bring 16-bit gray to mode "L" as value·255/full_scale, rounded; 8-bit pictures pass through.

    Raises BrightnessError where the model has seen no 16-bit pictures (full_scale None) or a pixel is above full scale.
    """
    top = brightest(photo)
    if top is None:
        return photo
    if full_scale is None:
        raise BrightnessError(
            "a 16-bit picture, but the model was trained on 8-bit pictures: its full scale is unknown"
        )
    if top > full_scale:
        raise BrightnessError(
            f"a pixel of {top} is above the full scale of {full_scale} that the model was trained with"
        )
    values = np.asarray(photo, dtype=np.float32) * np.float32(255.0 / full_scale)
    return Image.fromarray(np.rint(values).astype(np.uint8))
