import numpy as np
import pytest

from tests.training.synthetic.conftest import good
from training.synthetic import foreground
from training.synthetic.scene import Pixels


def test_the_capsule_is_told_from_its_paper(capsules: Pixels) -> None:
    found = foreground(capsules)
    size = len(found)
    assert (found.shape, found.dtype) == ((size, size), np.bool_)
    assert 0.2 < found.mean() < 0.4  # π·0.145² + 4·0.145·0.265 = 0.22, and where it lies in some images alone
    assert found[size // 2, size // 4 : 3 * size // 4].all()
    for corner in (found[:12, :12], found[:12, -12:], found[-12:, :12], found[-12:, -12:]):
        assert not corner.any()


def test_one_image_is_enough(capsules: Pixels) -> None:
    assert 0.15 < foreground(capsules[:1]).mean() < 0.4


def test_a_carpet_fills_its_frame(carpets: Pixels) -> None:
    assert foreground(carpets).all()
    assert foreground(carpets[:1]).all()


@pytest.mark.parametrize("level", [0, 200])
def test_an_even_frame_has_no_background(level: int) -> None:
    assert foreground(np.full((2, 48, 48, 3), level, np.uint8)).all()


def test_a_moving_product_is_found_wherever_it_lies() -> None:
    frames = np.full((4, 96, 96, 3), 230, np.uint8)
    for frame, left in zip(frames, (12, 24, 36, 48), strict=True):
        frame[30:60, left : left + 30] = (90, 60, 40)
    found = foreground(frames)
    assert found[32:58, 14:76].all()
    assert not found[:20].any()
    assert not found[70:].any()


@pytest.mark.parametrize("size", [32, 100])
def test_any_size_will_do(size: int) -> None:
    images = np.stack([np.asarray(image)[:size, :size] for image in good("carpet", 2, 100)])
    assert foreground(images).shape == (size, size)
