import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from model.evidence import HeatmapScale, Pooling, enlarge, smooth


def test_mean_pooling_is_the_mean_over_patches() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 14, 14)).astype(np.float32)
    assert np.allclose(Pooling()(maps), maps.astype(np.float64).mean(axis=(1, 2)), atol=1e-12)


@pytest.mark.parametrize("top_share", [0.005, 0.01, 0.1, 0.333, 0.5, 0.999, 1.0])
def test_top_share_pooling_is_the_mean_of_the_strongest_patches(top_share: float) -> None:
    maps = np.random.default_rng(0).normal(size=(4, 13, 15)).astype(np.float32)
    count = max(1, round(top_share * 195))
    naive = [sorted(evidence.ravel().tolist(), reverse=True)[:count] for evidence in maps]
    assert Pooling(top_share).top_k(195) == count
    assert Pooling(top_share)(maps) == pytest.approx([sum(values) / count for values in naive], abs=1e-12)


def test_all_patches_are_the_mean_to_the_bit_and_ties_do_no_harm() -> None:
    maps = np.round(np.random.default_rng(1).normal(size=(2, 8, 8))).astype(np.float32)
    assert Pooling(1.0)(maps).tolist() == maps.astype(np.float64).mean(axis=(1, 2)).tolist()
    assert Pooling(0.1)(np.full((2, 8, 8), 3, np.float32)).tolist() == [3.0, 3.0]
    assert Pooling(0.1)(maps).tolist() == [np.sort(evidence.ravel())[-6:].mean(dtype=np.float64) for evidence in maps]


def test_at_least_one_patch_counts() -> None:
    evidence = np.array([[[1.0, 7.0], [-2.0, 3.0]]], np.float32)
    assert Pooling(1e-9)(evidence).tolist() == [7.0]
    assert Pooling(1e-9).top_k(1) == 1


def test_one_map_pools_like_a_stack_of_them() -> None:
    maps = np.random.default_rng(2).normal(size=(3, 6, 6)).astype(np.float32)
    assert [float(Pooling(0.2)(evidence)) for evidence in maps] == Pooling(0.2)(maps).tolist()


def test_heatmap_is_dark_at_the_good_median_and_half_at_the_region_threshold() -> None:
    scale = HeatmapScale(good_median=-3.0, region_threshold=1.0)
    values = scale(np.array([-3.0, 1.0, 5.0, -1e9, 1e9]))
    assert values.tolist() == pytest.approx([1 / (1 + np.exp(4)), 0.5, 1 / (1 + np.exp(-4)), 0.0, 1.0], abs=1e-6)


def test_heatmap_is_monotone_and_the_same_for_every_image() -> None:
    scale = HeatmapScale(good_median=0.0, region_threshold=2.0)
    evidence = np.sort(np.random.default_rng(0).normal(size=100))
    assert (np.diff(scale(evidence)) > 0).all()
    assert scale(evidence[:1])[0] == scale(evidence)[0]


@pytest.mark.parametrize(("good_median", "region_threshold"), [(1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_thresholds_in_the_wrong_order_are_refused(good_median: float, region_threshold: float) -> None:
    with pytest.raises(ValueError, match="must lie above"):
        HeatmapScale(good_median, region_threshold)


def test_smoothing_is_a_gaussians_mean_of_the_patches_that_count() -> None:
    maps = np.random.default_rng(3).normal(size=(2, 9, 13)).astype(np.float32)
    maps[:, 2:4, 5:] = -np.inf
    counts = ~np.isneginf(maps)
    for evidence, own in zip(maps, counts, strict=True):
        sums, weights = (
            gaussian_filter(each.astype(np.float64), 1.5, mode="constant", truncate=20)
            for each in (np.where(own, evidence, 0), own)
        )
        assert smooth(evidence, 1.5)[own] == pytest.approx((sums / weights)[own], abs=1e-6)
    assert np.array_equal(np.isneginf(smooth(maps, 1.5)), ~counts)
    assert np.array_equal(smooth(maps, 1.5), np.stack([smooth(evidence, 1.5) for evidence in maps]))
    assert smooth(maps, 1.5).dtype == np.float32


def test_what_is_flat_stays_so_and_without_a_deviation_everything_does() -> None:
    evidence = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    assert smooth(evidence, 0.0) is evidence
    assert smooth(np.full((5, 7), 3, np.float32), 2.0).tolist() == np.full((5, 7), 3).tolist()
    assert smooth(evidence + 4, 1.0) == pytest.approx(smooth(evidence, 1.0) + 4, abs=1e-5)


def test_a_heatmap_shows_smoothed_evidence() -> None:
    evidence = np.random.default_rng(3).normal(size=(6, 6)).astype(np.float32)
    evidence[4:, :3] = -np.inf
    plain, smoothed = HeatmapScale(-1.0, 2.0), HeatmapScale(-1.0, 2.0, smoothing=1.0)
    assert np.array_equal(smoothed.heatmap(evidence, 24), plain.heatmap(smooth(evidence, 1.0), 24))
    assert not np.array_equal(smoothed.heatmap(evidence, 24), plain.heatmap(evidence, 24))
    assert smoothed.moved(0.5) == HeatmapScale(-0.5, 2.5, smoothing=1.0)


def test_enlarging_keeps_position_and_range() -> None:
    evidence = np.zeros((4, 4), dtype=np.float32)
    evidence[1, 2] = 8.0
    large = enlarge(evidence, 64)
    assert large.shape == (64, 64)
    assert np.unravel_index(large.argmax(), large.shape) in {(r, c) for r in (23, 24) for c in (39, 40)}
    assert 7.0 < large.max() <= 8.0
    assert large.min() == 0.0
