"""The EXIF orientation, the only part of an image's metadata that is needed."""

import re
from typing import Final

from PIL import Image

from model.codecs.directory import Tag, read_directory

_WHOLE: Final = (3, 4, 8, 9, 16)  # SHORT, as EXIF 2.32 demands, and its longer and signed kin
_IN_XMP: Final = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS: Final = {5, 6, 7, 8}
"""Orientations that exchange width and height."""


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """EXIF's orientation (1 to 8), else XMP's, else 1. No other tag is read, so none can be in the way."""
    found = _in_exif(exif)
    if found is None:
        match = _IN_XMP.search(xmp)
        found = int(match[1]) if match else 1
    return found if found in _TURNS else 1


def _in_exif(exif: bytes) -> int | None:
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    try:
        directory = read_directory(exif)
    except ValueError:
        return None
    entry = directory.entries.get(Tag.ORIENTATION)
    if entry is None or entry.kind not in _WHOLE or entry.count != 1:
        return None
    return directory.integer(Tag.ORIENTATION, 1)


def exif_transpose(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned and mirrored by its orientation, as it was seen (EXIF 2.32, tag 274)."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
