"""Pixels of unusual but sound kinds, and formats that are recognised and not taken, by name."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.errors import UnsupportedFormatError
from model.image import FORMATS, decode, sniff
from tests.support import encoders
from tests.support.encoders import encoded, segment

_RNG = np.random.default_rng(0)
GRAY = _RNG.integers(0, 256, (37, 53), dtype=np.uint8)
RGB = _RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8)
GRAY16 = _RNG.integers(0, 65536, (37, 53), dtype=np.uint16)
GRAY12 = GRAY16 >> 4
WITH_ALPHA = np.stack([GRAY16, GRAY16[::-1]], axis=-1)
POSITIONS: list[dict[str, Any]] = [{}, {"rows": 5}, {"tile": (16, 32)}]
PACKED: list[dict[str, Any]] = [
    {}, {"compression": 8, "pack": zlib.compress}, {"compression": 32773, "pack": encoders.pack_bits},
]  # fmt: skip


def is_kept(data: bytes, pixels: np.ndarray[Any, Any]) -> bool:
    image = decode(data)
    assert image.mode == ("RGB" if pixels.ndim == 3 else "I;16" if pixels.dtype == np.uint16 else "L")
    return np.array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("packed", PACKED, ids=["raw", "deflate", "packbits"])
@pytest.mark.parametrize("position", POSITIONS, ids=str)
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_either_byte_order_and_size(
    order: str, big: bool, position: dict[str, Any], packed: dict[str, Any]
) -> None:
    common = {"order": order, "big": big, **position, **packed}
    assert is_kept(encoders.tiff(GRAY16, **common), GRAY16)
    assert is_kept(encoders.tiff(65535 - GRAY16, photometric=0, **common), GRAY16)
    assert is_kept(encoders.tiff(GRAY12, bits=12, **common), GRAY12)
    assert is_kept(encoders.tiff(4095 - GRAY12, bits=12, photometric=0, **common), GRAY12)
    assert is_kept(encoders.tiff(WITH_ALPHA, photometric=1, tags={338: (3, [2])}, **common), GRAY16)
    assert is_kept(encoders.tiff(WITH_ALPHA, photometric=1, planar=True, tags={338: (3, [2])}, **common), GRAY16)
    assert is_kept(encoders.tiff(GRAY, **common), GRAY)
    assert is_kept(encoders.tiff(255 - GRAY, photometric=0, **common), GRAY)
    assert is_kept(encoders.tiff(RGB, **common), RGB)
    assert is_kept(encoders.tiff(RGB, planar=True, **common), RGB)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_gray_of_which_differences_were_packed(order: str) -> None:
    common: dict[str, Any] = {"order": order, "compression": 8, "pack": zlib.compress, "predictor": 2, "rows": 10}
    assert is_kept(encoders.tiff(GRAY16, **common), GRAY16)
    assert is_kept(encoders.tiff(WITH_ALPHA, photometric=1, tags={338: (3, [2])}, **common), GRAY16)
    assert is_kept(encoders.tiff(65535 - GRAY16, photometric=0, **common), GRAY16)


def test_old_tiffs_without_the_sizes_of_their_strips() -> None:
    positions: list[dict[str, Any]] = [{}, {"rows": 5}]
    for position in positions:
        data = encoders.tiff(GRAY, tags={60000: (4, [1])}, **position)
        at = data.index(struct.pack("<H", 279))
        assert is_kept(data[:at] + struct.pack("<H", 60001) + data[at + 2 :], GRAY)


@pytest.mark.parametrize("interlace", [0, 1])
def test_a_png_of_16_bit_gray_with_alpha(interlace: int) -> None:
    rows = encoders.interlaced_rows(WITH_ALPHA) if interlace else encoders.png_rows(WITH_ALPHA, 2)
    assert is_kept(encoders.png(53, 37, 16, 4, rows, interlace=interlace), GRAY16)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_bmp_of_runs(absolute: bool) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (512, 512), dtype=np.uint8)
    gray = b"".join(bytes((value, value, value, 0)) for value in range(256))
    assert is_kept(encoders.bmp_of_runs(512, 512, encoders.runs_of(noise, absolute=absolute), gray), noise)
    colours = np.random.default_rng(4).integers(0, 256, (256, 4), dtype=np.uint8)
    data = encoders.bmp_of_runs(512, 512, encoders.runs_of(noise, absolute=absolute), colours.tobytes())
    assert is_kept(data, colours[noise][..., 2::-1])


def test_a_bmp_of_4_bit_runs_blank_rows_and_skipped_pixels() -> None:
    colours = np.random.default_rng(4).integers(0, 256, (16, 4), dtype=np.uint8)
    runs = b"\5\x12\0\0" + b"\0\0" + b"\0\3\x34\x50\2\x66\0\0" + b"\0\2\2\0\3\x77\0\1"
    indices = np.array([[0, 0, 7, 7, 7], [3, 4, 5, 6, 6], [0] * 5, [1, 2, 1, 2, 1]])
    assert is_kept(encoders.bmp_of_runs(5, 4, runs, colours.tobytes(), 4), colours[indices][..., 2::-1])


NOT_TAKEN = {
    "GIF": b"GIF89a\1\0\1\0", "PDF": b"%PDF-1.7", "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "HEIC image": b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
    "HEIF": b"\0\0\0\x18ftypmif1\0\0\0\0mif1miaf", "JPEG XL": b"\xff\x0a\xfa\x1f",
    "JPEG XL image": b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG 2000 image": b"\xff\x4f\xff\x51\0\x2f", "JPEG XR": b"II\xbc\1\x20\0\0\0", "Photoshop": b"8BPS\0\1",
    "OpenEXR": b"\x76\x2f\x31\1\2\0\0\0", "SVG": b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "FITS": b"SIMPLE  =   T",
    "DICOM": bytes(128) + b"DICM", "camera's raw": b"IIU\0\x18\0\0\0", "video": b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
    "PNM": b"P5\n4 4\n255\n", "HTML": b"<!DOCTYPE html><html>", "AVI": b"RIFF\0\0\0\0AVI LIST",
    "ZIP": b"PK\3\4\x14\0",
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_other_formats_are_named(name: str) -> None:
    assert sniff(NOT_TAKEN[name]) is None
    with pytest.raises(UnsupportedFormatError, match=f"not a {FORMATS} image; it is an? .*{name}"):
        decode(NOT_TAKEN[name])


def frame(code: int, precision: int = 8, channels: int = 1, height: int = 8) -> bytes:
    components = b"".join(bytes((number + 1, 0x11, 0)) for number in range(channels))
    header = segment(code, struct.pack(">BHHB", precision, height, 8, channels) + components)
    return b"\xff\xd8" + header + segment(0xDA, b"\1\1\0\0\x3f\0") + b"\0\0\xff\xd9"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("12-bit JPEG", frame(0xC1, 12)),
        ("lossless JPEG", frame(0xC3, 16)),
        ("JPEG-LS", frame(0xF7)),
        ("arithmetic-coded JPEG", frame(0xC9)),
        ("hierarchical JPEG", frame(0xC5)),
        ("JPEG of 2 channels", frame(0xC0, channels=2)),
        ("height stands after", frame(0xC0, height=0)),
    ],
)
def test_kinds_of_jpeg_that_are_not_taken(name: str, data: bytes) -> None:
    with pytest.raises(UnsupportedFormatError, match=name):
        decode(data)


TIFFS: dict[str, dict[str, Any]] = {
    "LERC": {"compression": 34887}, "JPEG XL": {"compression": 50002}, "WebP": {"compression": 50001},
    "group 4": {"compression": 4}, "fax": {"compression": 2}, "JPEG 2000": {"compression": 34712},
    "compression 12345": {"compression": 12345}, "old-style JPEG": {"compression": 6},
    "16-bit floating-point": {"tags": {339: (3, [3])}}, "16-bit signed": {"tags": {339: (3, [2])}},
    "camera's raw": {"tags": {50706: (1, [1, 4, 0, 0])}}, "raw file": {"photometric": 32803},
}  # fmt: skip


@pytest.mark.parametrize("name", TIFFS)
def test_kinds_of_tiff_that_are_not_taken(name: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=name):
        decode(encoders.tiff(GRAY16, **TIFFS[name]))


def test_pixels_of_tiffs_that_are_not_taken() -> None:
    for pixels, name in (
        (GRAY.astype(np.float32), "32-bit floating-point"),
        (GRAY.astype(np.float64), "64-bit floating-point"),
    ):
        with pytest.raises(UnsupportedFormatError, match=name):
            decode(encoders.tiff(pixels, tags={339: (3, [3])}))
    with pytest.raises(UnsupportedFormatError, match="32-bit whole numbers"):
        decode(encoders.tiff(GRAY.astype(np.uint32)))
    with pytest.raises(UnsupportedFormatError, match="16 bits a channel"):
        decode(encoders.tiff(RGB.astype(np.uint16)))
    with pytest.raises(UnsupportedFormatError, match="8-bit signed"):
        decode(encoders.tiff(GRAY, tags={339: (3, [2])}))


def test_kinds_of_bmp_and_png_that_are_not_taken() -> None:
    bmp = encoded(Image.fromarray(RGB), "BMP")
    for at, value, name in ((30, 4, "BMP JPEG"), (28, 64, "64 bits"), (14, 77, "header of 77")):
        with pytest.raises(UnsupportedFormatError, match=name):
            decode(bmp[:at] + bytes((value,)) + bmp[at + 1 :])
    with pytest.raises(UnsupportedFormatError, match="CgBI"):
        decode(encoders.PNG_MAGIC + encoders.chunk(b"CgBI", b"\0\0\0\0") + encoded(GRAY, "PNG")[8:])


def test_a_gray_jpeg_whose_blocks_are_oddly_sampled() -> None:
    data = encoded(Image.fromarray(GRAY), "JPEG", quality=90)
    wanted = np.asarray(decode(data))
    at = data.index(b"\xff\xc0") + 11
    assert np.array_equal(np.asarray(decode(data[:at] + b"\x22" + data[at + 1 :])), wanted)
