"""What a file can cost is bounded before a decoder sees it; large sound files pass."""

import struct
import zlib

import numpy as np
import pytest

from model.errors import ImageTooLargeError, UndecodableImageError, UnsupportedFormatError
from model.image import decode
from tests.support import encoders
from tests.support.encoders import PNG_MAGIC, chunk, png_header

EIGHT_BY_EIGHT = png_header(8, 8, 8, 0)


def tiff_of(tags: dict[int, encoders.Tag], data: bytes = bytes(256)) -> bytes:
    common: dict[int, encoders.Tag] = {258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    return encoders.tiff_head() + encoders.tiff_directory(common | tags, 8) + data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        pytest.param(b"\xff\xd8" + b"\xff\xe3\x00\x02" * 1_000_000, "segments than the limit", id="JPEG segments"),
        pytest.param(b"\xff\xd8" + b"\xff" * 5_000_000, "no pixels", id="JPEG of fill bytes"),
        pytest.param(encoders.progressive_scans(101), "scans than the limit of 100", id="JPEG scans"),
        pytest.param(PNG_MAGIC + EIGHT_BY_EIGHT + chunk(b"abCd", b"") * 200_000, "segments than the limit", id="PNG"),
        pytest.param(
            tiff_of({
                256: (4, [1]), 257: (4, [300_000]), 278: (4, [1]), 273: (4, [8] * 300_000), 279: (4, [1] * 300_000),
            }),
            "strips than the limit", id="TIFF strips",
        ),
        pytest.param(
            tiff_of({
                256: (4, [4096]), 257: (4, [4096]), 322: (4, [16]), 323: (4, [16]), 324: (4, [8] * 65536),
                325: (4, [256] * 65536),
            }),
            "tiles than the limit", id="TIFF tiles",
        ),
        pytest.param(
            encoders.tiff_head() + struct.pack("<H", 65535) + bytes(12 * 65535), "tags than the limit", id="TIFF tags"
        ),
    ],
)  # fmt: skip
def test_more_pieces_than_the_limit_are_said_to_be_so(data: bytes, what: str) -> None:
    with pytest.raises(UndecodableImageError, match=what):
        decode(data)


def test_runs_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.codecs.bmp.MAX_RUNS", 100)
    with pytest.raises(UndecodableImageError, match="more runs than the limit of 100"):
        decode(encoders.bmp_of_runs(16, 16, b"\1\7" * 200, bytes(1024)))


def test_a_tile_larger_than_the_limit() -> None:
    """146 bytes that made libtiff take 2 GB."""
    tile = tiff_of({256: (4, [16]), 257: (4, [16]), 322: (4, [46336]), 323: (4, [46336]), 324: (4, [8]), 325: (4, [9])})
    with pytest.raises(ImageTooLargeError, match="tiles cover 2,147,024,896 pixels"):
        decode(tile)
    with pytest.raises(ImageTooLargeError, match="tiles cover"):
        decode(encoders.tiff(np.zeros((16, 16), np.uint8), tile=(8192, 8192), damage=lambda parts: [b"x"]))


def test_a_small_file_of_many_strips_takes_no_memory() -> None:
    with pytest.raises(UndecodableImageError, match="more strips than the limit of 200,000"):
        decode(tiff_of({256: (4, [1]), 257: (4, [50_000_000]), 278: (4, [1]), 273: (4, [8]), 279: (4, [1])}))


def test_tables_that_every_tile_would_read_again() -> None:
    tags: dict[int, encoders.Tag] = {347: (7, b"\xff\xd8" + encoders.segment(0xFE, bytes(60_000)) + b"\xff\xd9")}
    with pytest.raises(UndecodableImageError, match="tables are too long"):
        decode(encoders.tiff(np.zeros((64, 64), np.uint8), compression=7, tags=tags))


def test_strips_that_all_lie_at_the_same_offset() -> None:
    strip = zlib.compress(np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8).tobytes())
    tags = {256: (4, [16]), 257: (4, [1000]), 259: (3, [8]), 278: (4, [1]), 279: (4, [len(strip)] * 1000)}
    at = 8 + len(
        encoders.tiff_directory({258: (3, [8]), 262: (3, [1]), 277: (3, [1]), 273: (4, [0] * 1000), **tags}, 8)
    )
    with pytest.raises(UndecodableImageError, match="strips overlap"):
        decode(tiff_of({273: (4, [at] * 1000), **tags}, strip))


def test_a_webp_is_measured_before_libwebp_takes_memory() -> None:
    canvas = b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xfe\x3f\0" * 2
    with pytest.raises(ImageTooLargeError, match="16383×16383"):
        decode(canvas)


@pytest.mark.parametrize("form", ["JPEG", "BMP", "TIFF", "WEBP", "PNG"])
def test_pixels_have_a_limit_in_every_format(form: str) -> None:
    data = encoders.encoded(np.zeros((50, 40), np.uint8), form)
    assert decode(data, max_pixels=2000).size == (40, 50)
    with pytest.raises(ImageTooLargeError, match="40×50 pixels; the limit is 1,999"):
        decode(data, max_pixels=1999)


def test_fax_is_not_taken() -> None:
    with pytest.raises(UnsupportedFormatError, match="fax"):
        decode(encoders.tiff(np.zeros((16, 16), np.uint8), bits=1, compression=4))


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_scan_camera_s_110_000_strips(packed: bool) -> None:
    lines = np.random.default_rng(0).integers(0, 256, (110_000, 4), dtype=np.uint8)
    options = {"compression": 8, "pack": zlib.compress} if packed else {}
    assert np.array_equal(np.asarray(decode(encoders.tiff(lines, rows=1, **options))), lines)  # type: ignore[arg-type]
