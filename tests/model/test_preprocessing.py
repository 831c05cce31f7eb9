import numpy as np
from PIL import Image

from model.preprocessing import resize_to_input


def test_the_whole_frame_is_resized_to_a_square() -> None:
    image = np.zeros((300, 600, 3), dtype=np.uint8)
    image[:, 300:] = (250, 100, 50)
    pixels = resize_to_input(Image.fromarray(image), 64, None)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[:, 0], np.zeros((64, 3)))
    assert np.array_equal(pixels[:, -1], np.tile(np.array([250, 100, 50]), (64, 1)))


def test_gray_gives_the_same_pixels_as_the_same_gray_in_colour() -> None:
    gray = Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 400), dtype=np.uint8))
    assert np.array_equal(resize_to_input(gray, 96, None), resize_to_input(gray.convert("RGB"), 96, None))


def test_resize_is_the_one_that_design_fixes() -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 900, 3), dtype=np.uint8))
    expected = image.resize((224, 224), Image.Resampling.BILINEAR, reducing_gap=3.0)
    assert np.array_equal(resize_to_input(image, 224, None), np.asarray(expected))
