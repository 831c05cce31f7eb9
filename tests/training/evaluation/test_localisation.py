import tracemalloc
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
from training.evaluation.localisation import LIMIT, _count, _Histograms, localise
from training.evaluation.prediction import Prediction

Array = np.ndarray
GRID = 16
SIZE = 256


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
    assert found.pixel_auroc == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-5)
    components = [(i, label(mask)[0] == number) for i, mask in enumerate(masks) for number in (1, 2) if mask.any()]
    assert (found.images, found.components) == (3, len(components))
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
    histograms = _Histograms()
    _count(histograms.elsewhere, np.array([2, 1, 1, 0, -0.0], np.float32))
    _count(histograms.defective, np.array([2, 1], np.float32))
    _count(histograms.weights, np.array([2, 1], np.float32), np.array([0.5, 0.5]))
    auroc, aupro = histograms.areas()
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


def direct(predictions: list[Prediction]) -> tuple[float, float]:
    """Pixel AUROC and AUPRO of maps on a scale of 0 and 1, from every pixel's score and every threshold there is."""
    elsewhere, defects = [], []
    usual = next(each.sample.mask.shape for each in predictions if each.sample.mask)
    for each in predictions:
        height, width = each.sample.mask.shape if each.sample.mask else usual
        scores = interpolate(np.where(np.isneginf(each.evidence), 0, each.evidence), width, height) - 1.0
        outside = np.isneginf(each.evidence).repeat(height // GRID, 0).repeat(width // GRID, 1)
        mask = each.sample.mask.pixels() if each.sample.mask else np.zeros((height, width), bool)
        elsewhere.append(scores[~mask & ~outside])
        components, count = label(mask & ~outside, np.ones((3, 3)))
        defects += [scores[components == number] for number in range(1, count + 1)]
    others, defective = np.concatenate(elsewhere), np.concatenate(defects)
    auroc = roc_auc_score([0] * len(others) + [1] * len(defective), np.concatenate([others, defective]))
    levels = np.unique(np.concatenate([others, defective]))[::-1]
    rates = [0.0, *((others >= level).mean() for level in levels)]
    overlaps = [0.0, *(np.mean([(each >= level).mean() for each in defects]) for level in levels)]
    grid = np.linspace(0, LIMIT, 30_001)
    return float(auroc), float(np.trapezoid(np.interp(grid, rates, overlaps), grid) / LIMIT)


def drawn(tmp_path: Path, seed: int, height: int, width: int, outside: Array | None = None) -> Prediction:
    """Noise with a glow over one of two defects, of an image of this size."""
    evidence = np.random.default_rng(seed).normal(0, 0.7, (GRID, GRID))
    evidence[3:6, 3:6] += 2.0
    if outside is not None:
        evidence[outside] = -np.inf
    mask = np.zeros((height, width), bool)
    mask[3 * height // 16 : 6 * height // 16, 3 * width // 16 : 5 * width // 16] = True
    mask[height // 2 : height // 2 + 2, width * 3 // 4 : width * 3 // 4 + 5] = True
    return defective(tmp_path, mask, evidence, f"{seed} {height} {width}")


RIGHT = np.zeros((GRID, GRID), np.bool_)
RIGHT[:, 10:] = True


@pytest.mark.parametrize("outside", [None, RIGHT])
def test_every_image_is_measured_at_its_own_size(tmp_path: Path, outside: Array | None) -> None:
    sizes = [(48, 32), (48, 32), (16, 64)]
    masked = [drawn(tmp_path, seed, *size, outside) for seed, size in enumerate(sizes)]
    evidence = np.random.default_rng(9).normal(0, 0.7, (GRID, GRID)).astype(np.float32)
    if outside is not None:
        evidence[outside] = -np.inf
    predictions = [*masked, prediction("good", 0.1, evidence=evidence)]
    found = localise(predictions)
    assert found is not None
    assert found.components == (6 if outside is None else 3)
    assert (found.pixel_auroc, found.aupro) == pytest.approx(direct(predictions), abs=2e-4)
    assert 0.3 < found.aupro < 0.95


def test_defects_outside_the_region_of_interest_take_no_part(tmp_path: Path) -> None:
    inside = squares(np.s_[64:128, 64:128])
    evidence = np.where(np.kron(RIGHT, np.ones((16, 16), bool)), -np.inf, np.where(inside, 2.0, 0.5))
    alone = defective(tmp_path, inside, evidence, "alone")
    both = defective(tmp_path, inside | squares(np.s_[10:20, 200:210]), evidence, "both")
    outside = defective(tmp_path, squares(np.s_[10:20, 200:210]), evidence, "outside")
    found = localise([alone])
    assert found is not None
    assert (found.pixel_auroc, found.aupro, found.region_iou) == (1.0, 1.0, 1.0)
    assert localise([both]) == found
    assert localise([alone, outside]) == found
    assert localise([outside]) is None


def test_defects_of_few_pixels_count_in_large_images(tmp_path: Path) -> None:
    """At a quarter of this size the defect would be a share of a pixel."""
    mask = np.zeros((1024, 1024), bool)
    mask[500:503, 700:703] = True
    found = localise([defective(tmp_path, mask, np.where(mask, 2.0, 0.0))])
    assert found is not None
    assert (found.aupro, found.region_iou, found.pointing_game.value) == (1.0, 1.0, 1.0)


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    one = drawn(tmp_path, 0, 1024, 1024)

    def peak(images: int) -> int:
        tracemalloc.start()
        try:
            localise([one, prediction("good", 0.1)] * images)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(6) < 1.1 * peak(1)
