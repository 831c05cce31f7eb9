"""TIFF files that are recognised and not taken, by name."""

from typing import Final

from model.codecs.directory import Directory, Tag
from model.codecs.strips import Layout
from model.errors import UnsupportedFormatError

_TAKEN: Final = (1, 5, 7, 8, 32773, 32946, 34925, 50000)
"""Compressions that are taken: none, LZW, JPEG, Deflate, PackBits, Deflate again, LZMA, Zstandard."""
_COMPRESSIONS: Final = {
    2: "fax (CCITT) compression", 3: "fax (CCITT group 3) compression", 4: "fax (CCITT group 4) compression",
    6: "old-style JPEG compression", 22610: "JPEG XR compression", 32766: "NeXT compression",
    32771: "fax (CCITT) compression", 32809: "ThunderScan compression", 33003: "JPEG 2000 compression",
    33005: "JPEG 2000 compression", 34661: "JBIG compression", 34676: "LogLuv compression", 34677: "LogLuv compression",
    34712: "JPEG 2000 compression", 34887: "LERC compression", 34892: "lossy DNG compression",
    34933: "PNG compression", 34934: "JPEG XR compression", 50001: "WebP compression", 50002: "JPEG XL compression",
    52546: "JPEG XL compression",
}  # fmt: skip
_FORMATS: Final = {2: "signed integers", 3: "floating-point numbers", 5: "complex integers", 6: "complex numbers"}
_COLOUR_FILTER, _LINEAR_RAW = 32803, 34892
_REDUCED: Final = 1
_SEND: Final = "send a TIFF of 8-bit colour, or 8- or 16-bit gray, with LZW, Deflate or no compression"


def refuse_unsupported(page: Directory, layout: Layout) -> None:
    """Raise UnsupportedFormatError for a TIFF whose kind is recognised and not taken."""
    if what := _raw(page) or _compression(page) or _pixels(page, layout):
        raise UnsupportedFormatError(f"{what}; {_SEND}")


def _raw(page: Directory) -> str | None:
    photometric = page.integer(Tag.PHOTOMETRIC, 0)
    reduced = bool(page.integer(Tag.SUBFILE, 0) & _REDUCED) and Tag.SUB_DIRECTORIES in page
    if Tag.DNG_VERSION in page or photometric in (_COLOUR_FILTER, _LINEAR_RAW) or page.data[8:10] == b"CR" or reduced:
        return "a camera's raw file, or one whose first image is a preview"
    return None


def _compression(page: Directory) -> str | None:
    compression = page.integer(Tag.COMPRESSION, 1)
    if compression in _TAKEN:
        return None
    return f"a TIFF with {_COMPRESSIONS.get(compression, f'compression {compression}')}"


def _pixels(page: Directory, layout: Layout) -> str | None:
    numbers = next((_FORMATS[kind] for kind in page.integers(Tag.SAMPLE_FORMAT).tolist() if kind in _FORMATS), None)
    channels = layout.samples * layout.planes
    if numbers:
        return f"a TIFF of {layout.bits}-bit {numbers}"
    extra = len(page.integers(Tag.EXTRA_SAMPLES))
    gray = page.integer(Tag.PHOTOMETRIC, 0) in (0, 1) and channels - extra <= 1 and channels <= 2
    if layout.bits > 8 and not gray:
        return f"a TIFF of colour with {layout.bits} bits a channel, more than 8"
    if layout.bits not in (1, 2, 4, 8, 12, 16):
        return f"a TIFF of {layout.bits}-bit whole numbers"
    return None
