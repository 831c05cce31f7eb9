"""Whatever a decoder would make up a part of is refused; each kind beside the same file, whole."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model.errors import UndecodableImageError
from model.image import decode
from tests.support import encoders
from tests.support.encoders import encoded

_RNG = np.random.default_rng(0)
SMOOTH = np.asarray(
    Image.fromarray(_RNG.integers(0, 256, (10, 13, 3), dtype=np.uint8)).resize((200, 150), Image.Resampling.BICUBIC)
)
NOISY = np.clip(SMOOTH + _RNG.normal(0, 6, SMOOTH.shape), 0, 255).astype(np.uint8)
GRAY = np.ascontiguousarray(NOISY[..., 0])
EOI = b"\xff\xd9"


def refused(data: bytes, match: str) -> None:
    with pytest.raises(UndecodableImageError, match=match):
        decode(data)


# JPEG


def jpeg(**options: Any) -> bytes:
    return encoded(NOISY, "JPEG", **({"quality": 85} | options))


def scan_start(data: bytes) -> int:
    at = data.rindex(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4])


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 8}, {"subsampling": 0}])
def test_a_jpeg_cut_and_closed(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    decode(data)
    refused(data[: (scan_start(data) + len(data)) // 2] + EOI, "JPEG image is broken or cut short")
    refused(data[: (scan_start(data) + len(data)) // 2], "JPEG image is broken or cut short")


def test_a_jpeg_that_lost_a_packet() -> None:
    data = jpeg()
    middle = (scan_start(data) + len(data)) // 2
    refused(data[:middle] + data[middle + 400 :], "JPEG image is broken")


@pytest.mark.parametrize("offset", [0.2, 0.4, 0.6, 0.8])
def test_a_jpeg_with_a_zeroed_packet(offset: float) -> None:
    """libjpeg-turbo warns of most: zeros are codes too, and now and then as many blocks come out."""
    data = jpeg()
    at = scan_start(data) + int(offset * (len(data) - scan_start(data)))
    refused(data[:at] + bytes(400) + data[at + 400 :], "zeros|Corrupt")


def test_long_zeros_of_a_flat_image_are_no_damage() -> None:
    """With tables of its own, a flat block is two zero bits."""
    data = encoded(Image.new("L", (512, 512), 128), "JPEG", optimize=True)
    assert bytes(32) in data
    assert np.asarray(decode(data)).min() == 128


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_a_progressive_jpeg_without_its_last_passes(kept: int) -> None:
    """Each pass is whole, and libjpeg says nothing: the image is a blur."""
    data = jpeg(progressive=True)
    offsets = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    assert len(offsets) > 6
    refused(data[: offsets[kept]] + EOI, "passes over the pixels are missing")


def test_a_jpeg_without_its_end_but_with_all_its_rows() -> None:
    data = jpeg()
    assert data.endswith(EOI)
    assert np.array_equal(np.asarray(decode(data[:-2])), np.asarray(decode(data)))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_zeros_between_pixels_and_end_are_a_camera_s_filling(size: int) -> None:
    data = jpeg()
    assert np.array_equal(np.asarray(decode(data[:-2] + bytes(size) + EOI)), np.asarray(decode(data)))


def test_other_bytes_between_pixels_and_end_are_what_a_lost_packet_leaves() -> None:
    refused(jpeg()[:-2] + b"\x12" * 100 + EOI, "extraneous bytes")


def sampled(*factors: int) -> bytes:
    """Channels that are stored in full and named otherwise: chroma of three pixels to one, for example, or upright."""
    data = encoded(np.repeat(np.repeat(NOISY, 2, axis=0), 2, axis=1), "JPEG", quality=90, subsampling=0)
    at = data.index(b"\xff\xc0") + 10
    changed = bytearray(data)
    for channel, factor in enumerate(factors):
        changed[at + 1 + 3 * channel] = factor
    height, width = NOISY.shape[0] // 2, NOISY.shape[1] // 2  # so that there are blocks enough
    changed[at - 5 : at - 1] = struct.pack(">HH", height, width)
    return bytes(changed)


@pytest.mark.parametrize("factors", [(0x31, 0x11, 0x11), (0x11, 0x22, 0x11), (0x22, 0x12, 0x11)])
def test_unusual_sampling_factors_are_taken_whole_and_not_cut(factors: tuple[int, ...]) -> None:
    """TurboJPEG has no name for them."""
    data = sampled(*factors)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(decode(data)), np.asarray(image))
    start = scan_start(data)
    refused(data[: start + 500] + EOI, "premature end")


# PNG


@pytest.mark.parametrize("rows", [0, 75, 149])
@pytest.mark.parametrize("shape", ["gray", "colour", "black"])
def test_a_png_whose_stream_ends_early(rows: int, shape: str) -> None:
    pixels = {"gray": GRAY, "colour": NOISY, "black": np.zeros_like(GRAY)}[shape]
    colour = 2 if shape == "colour" else 0
    decode(encoders.png(200, 150, 8, colour, encoders.png_rows(pixels)))
    refused(encoders.png(200, 150, 8, colour, encoders.png_rows(pixels[:rows])), "rows are missing|truncated")


def test_an_interlaced_png_whose_stream_ends_early() -> None:
    rows = encoders.interlaced_rows(GRAY)
    assert np.array_equal(np.asarray(decode(encoders.png(200, 150, 8, 0, rows, interlace=1))), GRAY)
    refused(encoders.png(200, 150, 8, 0, rows[:-201], interlace=1), "rows are missing")


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"PLTE"])
def test_a_wrong_checksum_of_what_makes_the_pixels(kind: bytes) -> None:
    data = bytearray(encoded(Image.fromarray(GRAY).convert("P"), "PNG"))
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at])] ^= 1
    refused(bytes(data), f"checksum of a chunk {kind.decode()}")


def test_a_png_without_its_end_but_with_all_its_rows() -> None:
    assert np.array_equal(np.asarray(decode(encoded(GRAY, "PNG")[:-12])), GRAY)


# TIFF

PACKINGS: dict[int, Callable[[bytes], bytes]] = {1: bytes, 8: zlib.compress, 32773: encoders.pack_bits}


@pytest.mark.parametrize("offset", [{"rows": 16}, {"tile": (64, 48)}, {"rows": 50, "planar": True}], ids=str)
@pytest.mark.parametrize("compression", PACKINGS)
def test_strips_and_tiles_that_are_missing_or_short(compression: int, offset: dict[str, Any]) -> None:
    def drawn(damage: Callable[[list[bytes]], list[bytes]]) -> bytes:
        return encoders.tiff(NOISY, compression=compression, pack=PACKINGS[compression], damage=damage, **offset)

    assert np.array_equal(np.asarray(decode(drawn(list))), NOISY)
    refused(drawn(lambda parts: [*parts[:-2], b"", b""]), "missing or cut short")
    refused(drawn(lambda parts: parts[:-1]), "missing or cut short")
    refused(drawn(lambda parts: [*parts[:-1], parts[-1][: len(parts[-1]) // 2]]), "TIFF image is broken")
    refused(drawn(list)[:-40], "missing or cut short")


def test_the_checksum_of_a_deflated_strip_counts() -> None:
    def damage(parts: list[bytes]) -> list[bytes]:
        return [parts[0][:-1] + bytes((parts[0][-1] ^ 1,)), *parts[1:]]

    refused(encoders.tiff(GRAY, rows=50, compression=8, pack=zlib.compress, damage=damage), "incorrect data check")


@pytest.mark.parametrize("packing", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd", "lzma", "jpeg"])
def test_a_packed_strip_that_ends_early(packing: str) -> None:
    data = encoded(GRAY, "TIFF", compression=packing, tiffinfo={278: 150})
    assert decode(data).size == (200, 150)
    size_at = data.index(struct.pack("<HHI", 279, 4, 1)) + 8
    size = int.from_bytes(data[size_at : size_at + 4], "little")
    refused(data[:size_at] + struct.pack("<I", size // 2) + data[size_at + 4 :], "TIFF image is broken")


def test_a_tiff_whose_strips_are_damaged_jpeg() -> None:
    """libtiff passes libjpeg's warnings on to stderr, and the gray as pixels."""
    data = encoded(NOISY, "TIFF", compression="jpeg", quality=90)
    middle = data.index(b"\xff\xda") + 3000
    decode(data)
    refused(data[:middle] + bytes(400) + data[middle + 400 :], "TIFF image is broken")


def test_a_tiff_whose_directory_is_cut() -> None:
    """Its tags lie at the end: without the last ones it would be read otherwise."""
    data = encoded(GRAY, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    refused(data[:-20], "directory is cut short|missing")


# BMP and WebP


def test_a_bmp_whose_runs_end_early() -> None:
    palette = np.random.default_rng(1).integers(0, 256, (256, 4), dtype=np.uint8).tobytes()
    runs = encoders.runs_of(GRAY)
    assert decode(encoders.bmp_of_runs(200, 150, runs, palette)).mode == "RGB"
    refused(encoders.bmp_of_runs(200, 150, runs[: len(runs) // 2], palette), "rows are missing")
    refused(encoders.bmp_of_runs(200, 150, runs[: len(runs) // 2 // 2 * 2] + b"\0\1", palette), "rows are missing|row")


def test_a_bmp_whose_rows_are_short_or_lie_in_its_header() -> None:
    data = encoded(NOISY, "BMP")
    refused(data[:-600], "BMP image is broken")
    refused(data[:10] + struct.pack("<I", 20) + data[14:], "header")


@pytest.mark.parametrize("lossless", [True, False])
def test_a_webp_cut_short_with_its_lengths_made_right(lossless: bool) -> None:
    data = encoded(NOISY, "WEBP", lossless=lossless)
    cut = bytearray(data[: len(data) // 2 // 2 * 2])
    cut[4:8], cut[16:20] = struct.pack("<I", len(cut) - 8), struct.pack("<I", len(cut) - 20)
    refused(bytes(cut), "WEBP image is broken")
