import numpy as np
import pytest
from PIL import Image

from model.codecs.reduction import reduction
from model.errors import BrightnessError, ImageTooLargeError, UndecodableImageError
from model.preprocessing import Resizing, resize_to_input
from tests.support.encoders import encoded

_COARSE = np.random.default_rng(2).integers(0, 256, (9, 12, 3), dtype=np.uint8)
LARGE = Image.fromarray(_COARSE).resize((404, 304), Image.Resampling.BICUBIC)
"""Its sides can be divided by 4, not by 8."""


def test_the_whole_frame_is_resized_to_a_square() -> None:
    image = np.zeros((300, 600, 3), dtype=np.uint8)
    image[:, 300:] = (250, 100, 50)
    pixels = resize_to_input(Image.fromarray(image), 64, 64)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[:, 0], np.zeros((64, 3)))
    assert np.array_equal(pixels[:, -1], np.tile(np.array([250, 100, 50]), (64, 1)))


def test_gray_gives_the_same_pixels_as_the_same_gray_in_colour() -> None:
    gray = Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 400), dtype=np.uint8))
    assert np.array_equal(resize_to_input(gray, 96, 96), resize_to_input(gray.convert("RGB"), 96, 96))


def test_resize_is_the_one_that_design_fixes() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 900, 3), dtype=np.uint8))
    expected = image.resize((224, 224), Image.Resampling.BILINEAR, reducing_gap=3.0)
    assert np.array_equal(resize_to_input(image, 224, 224), np.asarray(expected))


@pytest.mark.parametrize(
    ("width", "height", "least", "factor"),
    [
        (1000, 1000, 448, 2),
        (1000, 1001, 448, 1),
        (894, 2000, 448, 1),
        (896, 896, 448, 2),
        (4000, 3000, 448, 4),
        (4002, 3000, 448, 2),
        (9000, 9000, 64, 8),
        (5, 5, 9, 1),
    ],
)
def test_an_image_is_reduced_as_far_as_both_sides_allow(width: int, height: int, least: int, factor: int) -> None:
    assert reduction(width, height, least) == reduction(height, width, least) == factor


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_a_large_image_is_resized_from_the_means_of_its_pixels(form: str) -> None:
    expected = resize_to_input(LARGE.reduce(4), 32, 32)
    read = Resizing(32, None, reduced=True)(encoded(LARGE, form))
    assert np.array_equal(read.pixels, expected)
    assert (read.width, read.height) == (404, 304)
    assert not np.array_equal(expected, resize_to_input(LARGE, 32, 32))


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": "4:1:1"}, {"restart_marker_blocks": 8}],
    ids=str,
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_is_reduced_while_it_is_decoded_to_nearly_the_same(mode: str, options: dict[str, object]) -> None:
    data = encoded(LARGE.convert(mode), "JPEG", quality=92, **options)
    whole = Resizing(32, None, reduced=False)(data)
    reduced = Resizing(32, None, reduced=True)(data)
    assert (reduced.width, reduced.height) == (whole.width, whole.height) == (404, 304)
    difference = np.abs(reduced.pixels.astype(int) - whole.pixels)
    assert 0 < difference.mean() < 1
    assert difference.max() <= 8


def test_a_jpeg_lying_on_its_side_keeps_the_size_that_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    read = Resizing(32, None, reduced=True)(encoded(LARGE, "JPEG", exif=exif))
    assert (read.width, read.height) == (304, 404)
    upright = Resizing(32, None, reduced=True)(encoded(LARGE.transpose(Image.Transpose.ROTATE_270), "JPEG"))
    assert np.abs(read.pixels.astype(int) - upright.pixels).mean() < 2


def test_16_bit_images_are_reduced_after_they_are_8_bit() -> None:
    gray = np.asarray(LARGE.convert("L")).astype(np.uint16) * 16
    data = encoded(Image.fromarray(gray), "TIFF")
    expected = resize_to_input(Image.fromarray(np.rint(gray * (255 / 4095)).astype(np.uint8)).reduce(4), 32, 32)
    assert np.array_equal(Resizing(32, 4095, reduced=True)(data).pixels, expected)
    with pytest.raises(BrightnessError, match="above the full scale of 1023"):
        Resizing(32, 1023, reduced=True)(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_reduced_jpeg_is_refused_as_a_whole_one_is(progressive: bool) -> None:
    """Wherever it is cut; and by its size, before a pixel is decoded."""
    data, resizing = encoded(LARGE, "JPEG", progressive=progressive), Resizing(16, None, reduced=True)
    resizing(data)
    for length in range(len(data) // 2, len(data) - 3, 97):
        with pytest.raises(UndecodableImageError, match="broken or cut short"):
            resizing(data[:length])
    with pytest.raises(ImageTooLargeError, match="404×304"):
        resizing(data, max_pixels=100_000)
