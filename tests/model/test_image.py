"""Every kind of image that is accepted, and every kind that isn't, by name."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from model import errors
from model.image import FORMATS, brightest, decode, full_scale_for, sniff, to_8bit
from tests.support.encoders import encoded, png

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GRAY16 = (np.arange(600, dtype=np.uint16) * 100 % 4096).reshape(20, 30)


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
)
def test_lossless_formats_keep_every_pixel(form: str, options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(RGB), form, **options)
    assert sniff(data) == form
    assert np.array_equal(np.asarray(decode(data)), RGB)


def test_jpeg_is_read_whole() -> None:
    decoded = decode(encoded(Image.new("RGB", (30, 20), (200, 60, 20)), "JPEG", quality=95))
    assert decoded.size == (30, 20)
    assert np.abs(np.asarray(decoded, dtype=int) - (200, 60, 20)).max() <= 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_becomes_gray_or_rgb(mode: str) -> None:
    source = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    decoded = decode(encoded(source, "TIFF" if mode == "CMYK" else "PNG"))
    assert decoded.mode == ("L" if mode in {"1", "L", "LA"} else "RGB")
    assert np.asarray(decoded).min() >= 254


def test_transparency_is_dropped_and_the_colour_under_it_stays() -> None:
    source = Image.new("RGBA", (4, 4), (10, 200, 30, 0))
    assert decode(encoded(source, "PNG")).getpixel((0, 0)) == (10, 200, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_image_upright(orientation: int) -> None:
    upright = np.zeros((12, 20), dtype=np.uint8)
    upright[:4, :4] = 255
    # How a camera that holds the scene so stores it (EXIF 2.32, tag 274), as array operations.
    store = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.T, 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).T, 8: np.rot90(upright, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    stored = Image.fromarray(np.ascontiguousarray(store[orientation]))
    assert np.array_equal(np.asarray(decode(encoded(stored, "PNG", exif=exif))), upright)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_gray_is_kept_and_scaled_by_full_scale(form: str) -> None:
    image = decode(encoded(Image.fromarray(GRAY16), form))
    assert brightest(image) == GRAY16.max()
    assert np.array_equal(np.asarray(to_8bit(image, 4095)), np.rint(GRAY16 * 255.0 / 4095).astype(np.uint8))


def test_big_endian_16_bit_tiff_has_the_same_values() -> None:
    data = encoded(Image.fromarray(GRAY16.astype(">u2")), "TIFF")
    assert np.array_equal(np.asarray(decode(data)), GRAY16)


@pytest.mark.parametrize(("value", "scale"), [(0, 1023), (1023, 1023), (1024, 4095), (16383, 16383), (16384, 65535)])
def test_full_scale_is_the_smallest_that_covers(value: int, scale: int) -> None:
    assert full_scale_for(value) == scale


def test_a_pixel_above_full_scale_is_an_error_not_clipped() -> None:
    image = decode(encoded(Image.fromarray(GRAY16), "PNG"))
    with pytest.raises(errors.BrightnessError, match="above the full scale of 1023"):
        to_8bit(image, 1023)
    with pytest.raises(errors.BrightnessError, match="trained on 8-bit"):
        to_8bit(image, None)


def truncated(form: str) -> bytes:
    noisy = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noisy), form)
    return data[: len(data) // 2]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_a_truncated_image_is_undecodable(form: str) -> None:
    with pytest.raises(errors.UndecodableImageError, match=form):
        decode(truncated(form))


@pytest.mark.parametrize("data", [b"", b"not an image", b"GIF89a\x01\x00", b"%PDF-1.7", b"RIFF\x00\x00\x00\x00WAVE"])
def test_other_bytes_are_an_unsupported_format(data: bytes) -> None:
    with pytest.raises(errors.UnsupportedFormatError, match=f"not a {FORMATS}"):
        decode(data)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_more_than_one_frame_is_an_error(form: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.raises(errors.MultipleFramesError, match="one image"):
        decode(data)


def test_too_many_pixels_are_refused_from_the_header() -> None:
    bomb = png(20_000, 20_000, 1, 0, bytes(2501 * 20_000))
    assert len(bomb) < 100_000
    with pytest.raises(errors.ImageTooLargeError, match="20000×20000"):
        decode(bomb)


def test_16_bit_colour_is_refused_rather_than_cut_to_its_high_byte() -> None:
    with pytest.raises(errors.UnsupportedFormatError, match="8-bit colour"):
        decode(png(4, 4, 16, 2, (b"\x00" + bytes(24)) * 4))


@pytest.mark.parametrize(("mode", "name"), [("I", "32-bit signed integers"), ("F", "32-bit floating-point")])
def test_32_bit_pixels_are_refused(mode: str, name: str) -> None:
    with pytest.raises(errors.UnsupportedFormatError, match=name):
        decode(encoded(Image.new(mode, (4, 4)), "TIFF"))


@pytest.mark.parametrize(
    "data", [b"BMW drives well, whoever drives it, and far", b"\xff\xd8\xff and nothing more", b"II*\x00"]
)
def test_bytes_that_only_begin_like_an_image(data: bytes) -> None:
    with pytest.raises((errors.UndecodableImageError, errors.UnsupportedFormatError)) as caught:
        decode(data)
    assert "object at 0x" not in str(caught.value)


def test_mutated_files_raise_nothing_but_image_errors() -> None:
    """A small seeded fuzz; benchmarks hold the large one."""
    rng = np.random.default_rng(2)
    outcomes = {"read": 0, "refused": 0}
    for form in ("PNG", "JPEG", "BMP", "TIFF", "WEBP"):
        data = np.frombuffer(encoded(Image.fromarray(RGB), form), dtype=np.uint8)
        for _ in range(300):
            mutant = data.copy()
            positions = rng.integers(0, len(mutant), rng.integers(1, 6))
            mutant[positions] = rng.integers(0, 256, len(positions))
            if rng.random() < 0.5:
                mutant = mutant[: rng.integers(len(mutant) // 2, len(mutant) + 1)]
            try:
                decode(mutant.tobytes(), max_pixels=1_000_000)
                outcomes["read"] += 1
            except errors.ImageError:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 500
    assert outcomes["read"] > 10
