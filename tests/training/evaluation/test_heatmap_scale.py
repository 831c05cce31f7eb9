import numpy as np
import pytest
from scipy.stats import binom, norm

from model.errors import DataError
from training.evaluation import heatmap_scale
from training.evaluation.heatmap_scale import choose_heatmap_scale


def maps(count: int, seed: int, peak: float = 0.0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(-5, 1, (count, 7, 7)).astype(np.float32)
    values[:, 3, 3] += peak
    return values


NONE = np.zeros((0, 7, 7), np.float32)


@pytest.mark.parametrize("images", [59, 100, 240])
def test_more_than_5_percent_of_further_good_images_reach_it_in_5_percent_of_cases_at_most(images: int) -> None:
    draws = 300
    levels = np.array([choose_heatmap_scale(maps(images, seed), NONE, NONE).region_threshold for seed in range(draws)])
    shares = 1 - norm.cdf(levels + 5) ** 49
    assert 0 < (shares > 0.05).sum() <= binom.ppf(0.999, draws, 0.05)
    assert shares.mean() > 0.01


def test_with_few_images_none_of_them_reaches_it() -> None:
    good = maps(10, 0)
    scale = choose_heatmap_scale(good, NONE, NONE)
    assert scale.region_threshold > good.max()
    assert scale.good_median == pytest.approx(np.median(good))


def test_masks_raise_the_level_to_where_regions_fit_them() -> None:
    defective = maps(20, 1)
    defective[:, 2:5, 2:5] += 8  # a halo around the defect
    defective[:, 3, 3] += 10
    coverage = np.zeros_like(defective)
    coverage[:, 3, 3] = 1.0
    without, with_masks = (
        choose_heatmap_scale(maps(60, 0), NONE, NONE),
        choose_heatmap_scale(maps(60, 0), defective, coverage),
    )
    assert with_masks.region_threshold > without.region_threshold
    assert ((defective >= with_masks.region_threshold) == (coverage > 0)).mean() > 0.99


def test_faint_defects_keep_their_regions_where_strong_ones_would_be_outlined_better_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heatmap_scale, "SMOOTHINGS", (0.0,))
    defective = maps(40, 1)
    defective[:30, 2:5, 2:5] += 12
    defective[:30, 3, 3] += 10
    defective[30:, 3, 3] += 6  # above every good patch, and below the halo of the others
    coverage = np.zeros_like(defective)
    coverage[:, 3, 3] = 1.0
    scale = choose_heatmap_scale(maps(60, 0), defective, coverage)
    with_region = (defective[:, 3, 3] >= scale.region_threshold).sum()
    assert with_region >= 38
    strong = choose_heatmap_scale(maps(60, 0), defective[:30], coverage[:30])
    assert (defective[30:, 3, 3] < strong.region_threshold).all()
    assert scale.region_threshold > choose_heatmap_scale(maps(60, 0), NONE, NONE).region_threshold


def test_masks_never_lower_it() -> None:
    assert choose_heatmap_scale(maps(60, 0), maps(9, 1), np.zeros((9, 7, 7), np.float32)) == choose_heatmap_scale(
        maps(60, 0), NONE, NONE
    )
    coverage = np.ones((20, 7, 7), dtype=np.float32)
    assert (
        choose_heatmap_scale(maps(60, 0), maps(20, 1), coverage).region_threshold
        == choose_heatmap_scale(maps(60, 0), NONE, NONE).region_threshold
    )


def test_without_a_good_image_there_is_no_scale() -> None:
    with pytest.raises(DataError, match=r"heatmap scale needs good images that the network hasn't seen.*fewer folds"):
        choose_heatmap_scale(NONE, maps(5, 0), np.ones((5, 7, 7), np.float32))


def defects(side: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Evidence of 30 images with a defect of side×side patches, and the masks."""
    rng = np.random.default_rng(2)
    coverage = np.zeros((30, 14, 14), np.float32)
    coverage[:, 4 : 4 + side, 5 : 5 + side] = 1
    return rng.normal(-5, noise, coverage.shape).astype(np.float32) + 3 * coverage, coverage


def good(noise: float) -> np.ndarray:
    return np.random.default_rng(1).normal(-5, noise, (60, 14, 14)).astype(np.float32)


def test_maps_are_smoothed_where_regions_overlap_the_masks_better_then() -> None:
    wide, sharp = (choose_heatmap_scale(good(noise), *defects(side, noise)) for side, noise in ((6, 3.0), (1, 0.2)))
    assert wide.smoothing > 0
    assert sharp.smoothing == 0
    assert choose_heatmap_scale(good(3.0), NONE, NONE).smoothing == 0
    maps, masks = defects(6, 3.0)
    assert choose_heatmap_scale(good(3.0), maps, np.zeros_like(masks)).smoothing == 0


def test_the_scale_is_that_of_smoothed_maps() -> None:
    scale = choose_heatmap_scale(good(3.0), *defects(6, 3.0))
    shown = scale.smoothed(good(3.0))
    assert scale.good_median == pytest.approx(float(np.median(shown)))
    assert (shown.max(axis=(1, 2)) >= scale.region_threshold).mean() <= 0.05
    assert scale.region_threshold < good(3.0).max()
