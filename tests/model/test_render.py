"""What an overlay shows: colours where there is evidence, and darkness where nothing counts."""

import io

import numpy as np
import pytest
from PIL import Image

from model.evidence import HeatmapScale
from model.render import OUTSIDE_BRIGHTNESS, overlay_png

SCALE = HeatmapScale(-1.0, 1.0)
GRAY = 200


def drawn(evidence: np.ndarray, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """The overlay on a gray image."""
    heatmap = SCALE.heatmap(evidence.astype(np.float32), 48)
    image = Image.new("L", size, GRAY)
    return np.asarray(Image.open(io.BytesIO(overlay_png(image, heatmap, []))), np.int16)


@pytest.mark.parametrize("size", [(96, 64), (1200, 800)])
def test_outside_the_region_of_interest_it_is_dark(size: tuple[int, int]) -> None:
    """In an image of one band of rows, and of several."""
    evidence = np.full((8, 12), -9.0)
    evidence[:, 6:] = -np.inf
    colours = drawn(evidence, size)
    edge = size[0] // 2
    assert (np.abs(colours[:, : edge - size[0] // 12] - GRAY) < 3).all()
    assert (colours[:, edge + 1 :] == round(OUTSIDE_BRIGHTNESS * GRAY)).all()


def test_without_a_region_of_interest_nothing_is_dark() -> None:
    """However little speaks for anomaly."""
    assert (np.abs(drawn(np.full((8, 12), -1e9)) - GRAY) < 2).all()
    assert (SCALE.heatmap(np.full((8, 12), -3e38, np.float32), 48) > 0).all()
