from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label
from sklearn.metrics import roc_auc_score

from model.evidence import HeatmapScale, interpolate
from model.regions import find_regions
from tests.training.predictions import prediction
from training.evaluation.localisation import LIMIT, SIZE, _areas, localise, reduced_mask
from training.evaluation.prediction import Prediction

Array = np.ndarray
GRID = 16


def save_mask(path: Path, mask: Array) -> Path:
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(path)
    return path


def squares(*areas: tuple[slice, slice], size: int = SIZE) -> Array:
    mask = np.zeros((size, size), bool)
    for area in areas:
        mask[area] = True
    return mask


def defective(tmp_path: Path, mask: Array, evidence: Array, name: str = "a") -> Prediction:
    path = save_mask(tmp_path / f"{name}.png", mask)
    return prediction("dent", 0.9, name=name, evidence=evidence.astype(np.float32), mask=path)


def noisy(seed: int) -> tuple[Array, Array]:
    """A map of noise with a defect's glow in it, and a mask with two components."""
    evidence = np.random.default_rng(seed).normal(0, 0.7, (GRID, GRID))
    evidence[3:6, 3:6] += 2.0
    evidence[11:13, 10:14] += 0.6
    return evidence, squares(np.s_[45:100, 50:90], np.s_[170:215, 165:220])


def test_areas_are_those_of_the_curves(tmp_path: Path) -> None:
    """Against scikit-learn's pixel AUROC, and AUPRO from overlaps counted level by level."""
    images = [noisy(seed) for seed in range(3)]
    good = np.random.default_rng(9).normal(0, 0.7, (GRID, GRID)).astype(np.float32)
    found = localise(
        [
            prediction("good", 0.1, evidence=good),
            *(defective(tmp_path, mask, evidence, str(i)) for i, (evidence, mask) in enumerate(images)),
        ]
    )
    assert found is not None
    maps = np.stack(
        [interpolate(evidence.astype(np.float32), SIZE, SIZE) for evidence in (good, *(e for e, _ in images))]
    )
    maps -= np.float32(1.0)
    masks = np.stack([squares(), *(mask for _, mask in images)])
    assert found.pixel_auroc == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-6)
    components = [(i, label(mask)[0] == number) for i, mask in enumerate(masks) for number in (1, 2) if mask.any()]
    assert (found.images, found.components, found.size) == (3, len(components), SIZE)
    rates, overlaps = [0.0], [0.0]
    for level in np.quantile(maps, np.linspace(1, 0.5, 400)):
        rates.append((maps[~masks] >= level).mean())
        overlaps.append(np.mean([(maps[i][component] >= level).mean() for i, component in components]))
    grid = np.linspace(0, LIMIT, 3001)
    naive = np.trapezoid(np.interp(grid, rates, overlaps), grid) / LIMIT
    assert 0.3 < naive < 0.95
    assert found.aupro == pytest.approx(naive, abs=0.002)


def test_equal_values_enter_along_a_straight_line() -> None:
    """By hand: the first defective pixel ties with a fifth of the others, the second with the next two fifths."""
    elsewhere = np.array([2, 1, 1, 0, 0], np.float32)
    auroc, aupro = _areas(elsewhere, np.array([2, 1], np.float32), np.array([0.5, 0.5]))
    assert auroc == pytest.approx((0.9 + 0.6) / 2)
    # The curve rises from 0 to ½ at 0.2, then with ½ over 0.4: to 0.625 at the limit.
    area = 0.2 * 0.5 / 2 + 0.1 * (0.5 + 0.625) / 2
    assert aupro == pytest.approx(area / 0.3)


@pytest.mark.parametrize(("sign", "auroc", "aupro"), [(1, 1.0, 1.0), (-1, 0.0, 0.0), (0, 0.5, 0.15)])
def test_perfect_opposite_and_flat_maps(tmp_path: Path, sign: int, auroc: float, aupro: float) -> None:
    mask = squares(np.s_[64:128, 64:128])
    evidence = sign * np.where(mask, 3.0, -3.0)  # one value a pixel: enlarging changes nothing
    found = localise(
        [prediction("good", 0.1, evidence=np.full((8, 8), -3.0 * sign)), defective(tmp_path, mask, evidence)]
    )
    assert found is not None
    assert found.pixel_auroc == pytest.approx(auroc)
    assert found.aupro == pytest.approx(aupro)


def test_small_components_count_as_much_as_large_ones(tmp_path: Path) -> None:
    mask = squares(np.s_[0:100, 0:100], np.s_[200:202, 200:202])
    only_large = np.where(squares(np.s_[0:100, 0:100]), 3.0, -3.0) - mask  # the small one is darkest of all
    found = localise([defective(tmp_path, mask, only_large)])
    assert found is not None
    assert found.aupro == pytest.approx(0.5)
    assert found.pixel_auroc > 0.99
    assert found.component_recall.value == 0.5


@pytest.mark.parametrize(("row", "hit"), [(64, 1.0), (127, 1.0), (128, 0.0), (63, 0.0)])
def test_pointing_has_no_tolerance(tmp_path: Path, row: int, hit: float) -> None:
    evidence = np.zeros((SIZE, SIZE))
    evidence[row, 100] = 0.5
    found = localise([defective(tmp_path, squares(np.s_[64:128, 64:128]), evidence)])
    assert found is not None
    assert found.pointing_game.value == hit


def test_regions_are_the_services_and_the_best_one_counts(tmp_path: Path) -> None:
    first, second, elsewhere = np.s_[0:40, 0:40], np.s_[100:120, 100:120], np.s_[200:220, 0:20]
    shown = squares(np.s_[0:40, 0:20], np.s_[0:10, 22:40], elsewhere)
    found = localise([defective(tmp_path, squares(first, second), np.where(shown, 1.0, 0.99))])
    assert found is not None
    heatmap = HeatmapScale(0.0, 1.0)(np.where(shown, 1.0, 0.99))
    assert len(find_regions(heatmap, SIZE, SIZE)) == 3
    assert found.region_iou == pytest.approx((20 * 40 / (40 * 40) + 0) / 2)
    assert (found.component_recall.value, found.components) == (0.5, 2)


def test_pixels_that_touch_at_a_corner_belong_together(tmp_path: Path) -> None:
    mask = squares(np.s_[0:10, 0:10], np.s_[10:20, 10:20])
    found = localise([defective(tmp_path, mask, np.where(mask, 2.0, 0.0))])
    assert found is not None
    assert (found.components, found.region_iou) == (1, 1.0)


def test_maps_of_different_networks_are_read_on_their_own_scales(tmp_path: Path) -> None:
    (first, mask), (second, _) = noisy(0), noisy(1)
    plain = [defective(tmp_path, mask, first), defective(tmp_path, mask, second)]
    louder = replace(plain[1], evidence=64 * plain[1].evidence, heatmap_scale=HeatmapScale(0.0, 64.0))
    higher = replace(plain[1], evidence=plain[1].evidence + 8, heatmap_scale=HeatmapScale(8.0, 9.0))
    expected = localise(plain)
    assert expected is not None
    for other in (louder, higher):
        found, misread = (
            localise([plain[0], other]),
            localise([plain[0], replace(other, heatmap_scale=plain[1].heatmap_scale)]),
        )
        assert found is not None
        assert misread is not None
        assert (found.pixel_auroc, found.aupro) == pytest.approx((expected.pixel_auroc, expected.aupro), abs=1e-5)
        assert abs(misread.aupro - expected.aupro) > 0.01
    assert localise([plain[0], louder]) == expected


def test_other_images_take_no_part(tmp_path: Path) -> None:
    mask = squares(np.s_[64:128, 64:128])
    used = [defective(tmp_path, mask, np.where(mask, 2.0, 0.0)), prediction("good", 0.2)]
    bright = np.full((4, 4), 9.0, np.float32)
    unmasked = prediction("dent", 0.9, evidence=bright)
    black = prediction("dent", 0.9, evidence=bright, mask=save_mask(tmp_path / "black.png", squares()))
    assert localise([*used, unmasked, black]) == localise(used)
    assert localise([unmasked, black, prediction("good", 0.2)]) is None


def test_masks_of_any_size_are_brought_to_the_maps(tmp_path: Path) -> None:
    mask = squares(np.s_[64:128, 64:128])
    large = np.kron(mask, np.ones((3, 3), bool))
    evidence = np.random.default_rng(0).normal(size=(GRID, GRID))
    assert localise([defective(tmp_path, large, evidence)]) == localise([defective(tmp_path, mask, evidence)])


@pytest.mark.parametrize(
    ("share", "mask"),
    [
        ([0.0, 0.49, 0.5, 1.0], [False, False, True, True]),
        ([0.0, 0.1, 0.2, 0.2], [False, False, True, True]),
        ([0.0, 0.0, 0.0, 0.0], [False, False, False, False]),
    ],
)
def test_thin_defects_do_not_vanish(share: list[float], mask: list[bool]) -> None:
    assert reduced_mask(np.array([share], np.float32)).tolist() == [mask]
