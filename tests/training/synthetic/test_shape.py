import numpy as np
import pytest

from training.synthetic.paint import contrast
from training.synthetic.scene import Scene
from training.synthetic.shape import blob, cloud, reach
from training.synthetic.stroke import centred, drawn, extent, path, tapered


def scene(size: int = 100) -> Scene:
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Scene(image, np.ones((size, size), dtype=bool))


@pytest.mark.parametrize("position", [(50, 50), (0, 0), (99, 40)])
def test_a_window_ends_at_the_frame(position: tuple[int, int]) -> None:
    window = scene().window(position, 10)
    row, column = np.argwhere(np.hypot(window.x, window.y) == 0)[0]
    assert (window.top + row, window.left + column) == position
    assert np.array_equal(window.pixels[row, column], scene().image[position])
    assert window.x.shape == window.y.shape == window.pixels.shape[:2]


@pytest.mark.parametrize("area", [20, 200, 1500])
@pytest.mark.parametrize("rough", [0.0, 0.4, 1.0])
def test_a_blob_has_its_area(area: float, rough: float) -> None:
    rng = np.random.default_rng(1)
    window = scene().window((50, 50), reach(area))
    for _ in range(5):
        assert blob(rng, window, area, rough).sum() == pytest.approx(area, rel=0.25)


def test_a_cloud_is_centred_and_smooth() -> None:
    lumps = cloud(np.random.default_rng(2), (400, 300), 10)
    assert lumps.shape == (400, 300)
    assert abs(lumps.mean()) < 0.1
    assert 0.7 < lumps.std() < 1.3
    assert np.abs(np.diff(lumps, axis=0)).mean() < 0.2


def test_a_line_is_as_long_and_wide_as_asked_for() -> None:
    rng = np.random.default_rng(3)
    points = centred(path(rng, 60, bend=0, jitter=0))
    assert extent(points) <= 31
    window = scene().window((50, 50), extent(points) + 4)
    assert 60 < drawn(window, [tapered(rng, points, 3)]).sum() < 240


def test_contrast_never_asks_for_more_than_there_is() -> None:
    rng = np.random.default_rng(4)
    white, black = (np.full(3, level, np.float32) for level in (255, 0))
    lighter = np.mean([contrast(rng, black).mean() > 0 for _ in range(50)])
    darker = np.mean([contrast(rng, white).mean() < 0 for _ in range(50)])
    assert min(lighter, darker) > 0.7
