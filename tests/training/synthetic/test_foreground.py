import numpy as np
import pytest

from tests.training.synthetic.conftest import good
from training.synthetic import foreground
from training.synthetic.scene import Pixels


def test_the_capsule_is_told_from_its_paper(capsules: Pixels) -> None:
    for capsule in capsules:
        found = foreground(capsule)
        size = len(found)
        assert found.shape == (size, size)
        assert found.dtype == np.bool_
        assert 0.15 < found.mean() < 0.25  # π·0.145² + 4·0.145·0.265 = 0.22
        assert found[size // 2, size // 3 : 2 * size // 3].all()
        for corner in (found[:12, :12], found[:12, -12:], found[-12:, :12], found[-12:, -12:]):
            assert not corner.any()


def test_a_carpet_fills_its_frame(carpets: Pixels) -> None:
    assert all(foreground(carpet).all() for carpet in carpets)


@pytest.mark.parametrize("level", [0, 200])
def test_an_even_frame_has_no_background(level: int) -> None:
    assert foreground(np.full((48, 48, 3), level, np.uint8)).all()


@pytest.mark.parametrize("left", [12, 24, 36, 48])
def test_a_product_is_found_wherever_it_lies(left: int) -> None:
    frame = np.full((96, 96, 3), 230, np.uint8)
    frame[30:60, left : left + 30] = (90, 60, 40)
    found = foreground(frame)
    assert found[33:57, left + 3 : left + 27].all()
    assert not found[:20].any()
    assert not found[70:].any()
    assert not found[:, : left - 10].any()
    assert not found[:, left + 40 :].any()


@pytest.mark.parametrize("size", [32, 100])
def test_any_size_will_do(size: int) -> None:
    assert foreground(good("carpet", 1, 100)[0][:size, :size]).shape == (size, size)
