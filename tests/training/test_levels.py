import numpy as np
import pytest

from tests.training.predictions import prediction
from training.figures import measure
from training.levels import check_darkness, choose_levels, with_darkness


def maps(count: int, seed: int, peak: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
    values = np.random.default_rng(seed).normal(-5, 1, (count, 7, 7)).astype(np.float32)
    values[:, 3, 3] += peak
    return values


NONE = np.zeros((0, 7, 7), np.float32)


def test_few_further_good_images_reach_the_region_level() -> None:
    shares = []
    for seed in range(40):
        scale = choose_levels(maps(60, seed), NONE, NONE)
        shares.append((maps(500, 1000 + seed).max(axis=(1, 2)) >= scale.region).mean())
    assert np.mean(shares) == pytest.approx(0.05, abs=0.015)


def test_with_few_images_none_of_them_reaches_it() -> None:
    good = maps(10, 0)
    scale = choose_levels(good, NONE, NONE)
    assert scale.region > good.max()
    assert scale.dark == pytest.approx(np.median(good))


def test_masks_raise_the_level_to_where_regions_fit_them() -> None:
    defective = maps(20, 1)
    defective[:, 2:5, 2:5] += 8  # a halo around the defect
    defective[:, 3, 3] += 10
    coverage = np.zeros_like(defective)
    coverage[:, 3, 3] = 1.0
    without, with_masks = choose_levels(maps(60, 0), NONE, NONE), choose_levels(maps(60, 0), defective, coverage)
    assert with_masks.region > without.region
    assert ((defective >= with_masks.region) == (coverage > 0)).mean() > 0.99


def test_masks_never_lower_it() -> None:
    assert choose_levels(maps(60, 0), maps(9, 1), np.zeros((9, 7, 7), np.float32)) == choose_levels(
        maps(60, 0), NONE, NONE
    )
    coverage = np.ones((20, 7, 7), dtype=np.float32)
    assert choose_levels(maps(60, 0), maps(20, 1), coverage).region == choose_levels(maps(60, 0), NONE, NONE).region


def test_darkness_is_looked_at_on_other_images_than_the_levels_came_from() -> None:
    check = check_darkness(maps(200, 0), NONE, NONE, seed=0)
    assert check is not None
    assert check.images == 200
    assert 2 <= check.with_region <= 24
    assert check.median < 0.05
    figures = measure([prediction("good", 0.1), prediction("dent", 0.9)], "two")
    seen = with_darkness(figures, [check, check])
    assert seen.good_with_region is not None
    assert seen.good_with_region.value == pytest.approx(check.with_region / 200)
    assert seen.good_picture_median == pytest.approx(check.median)


def test_one_good_image_is_too_few_to_look() -> None:
    assert check_darkness(maps(1, 0), NONE, NONE, seed=0) is None
    figures = measure([prediction("good", 0.1), prediction("dent", 0.9)], "two")
    assert with_darkness(figures, [None]) == figures
