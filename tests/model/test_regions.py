import numpy as np
import pytest
from scipy import ndimage

from model.regions import Box, find_regions


def test_one_box_per_defect_in_pixels_of_the_image() -> None:
    heatmap = np.zeros((100, 100), dtype=np.float32)
    heatmap[10:20, 30:50] = 0.7
    heatmap[80:90, 5:10] = 0.9
    strong, weak = find_regions(heatmap, 1000, 500)
    assert strong.box == Box(left=50, top=400, width=50, height=50)
    assert weak.box == Box(left=300, top=50, width=200, height=50)
    assert (strong.score, weak.score) == (pytest.approx(0.9), pytest.approx(0.7))
    assert (strong.area_percent, weak.area_percent) == (pytest.approx(0.5), pytest.approx(2.0))


def test_a_dark_heatmap_has_none() -> None:
    assert find_regions(np.full((32, 32), 0.49, dtype=np.float32), 640, 480) == []


def test_an_all_bright_heatmap_has_one_with_the_images_size() -> None:
    (region,) = find_regions(np.full((32, 32), 0.5, dtype=np.float32), 641, 479)
    assert region.box == Box(0, 0, 641, 479)
    assert region.area_percent == pytest.approx(100.0)


@pytest.mark.parametrize("density", [0.2, 0.4, 0.6])
def test_components_are_those_of_scipy(density: float) -> None:
    heatmap = (np.random.default_rng(3).random((60, 70)) < density).astype(np.float32)
    labels, count = ndimage.label(heatmap >= 0.5, structure=np.ones((3, 3)))
    boxes = [Box(x.start, y.start, x.stop - x.start, y.stop - y.start) for y, x in ndimage.find_objects(labels)]
    areas = ndimage.sum_labels(heatmap, labels, range(1, count + 1)) * 100 / heatmap.size
    expected = {(box, round(float(area), 6)) for box, area in zip(boxes, areas, strict=True)}
    found = find_regions(heatmap, 70, 60)
    assert len(found) == count
    assert {(region.box, round(region.area_percent, 6)) for region in found} == expected
