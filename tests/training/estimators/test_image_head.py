"""How much a whole image counts beside its patches."""

import numpy as np
import pytest

from training.estimators.image_head import HeadWeights, add_image_head, choose_head_weights, fit_image_head
from training.evaluation.ranking import Ranking

IS_ANOMALY = np.arange(200) >= 140


def scores(seed: int, gap: float, deviation: float = 1.0) -> np.ndarray:
    """Log-odds of 140 good images and 60 defective ones, `gap` deviations apart."""
    return deviation * (np.random.default_rng(seed).normal(size=200) + gap * IS_ANOMALY)


def as_float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def auroc(values: np.ndarray) -> float:
    return float(Ranking.of(values, IS_ANOMALY).auroc()[0])


def test_what_tells_little_counts_little() -> None:
    patches = scores(0, 2.0)
    weights = [choose_head_weights(patches, as_float32(scores(1, gap)), IS_ANOMALY).verdict for gap in (0.0, 0.2, 0.4)]
    assert 0 <= weights[0] < weights[1] < weights[2]
    assert auroc(patches + weights[2] * scores(1, 0.4)) > auroc(patches)


@pytest.mark.parametrize("patches", [scores(0, 2.0), scores(0, 0.0), scores(0, -1.0)])
def test_heatmaps_never_show_more_than_a_quarter_of_the_patches(patches: np.ndarray) -> None:
    image = scores(1, 4.0)
    weights = choose_head_weights(patches, as_float32(image), IS_ANOMALY)
    assert weights.heatmap == pytest.approx(0.25 * patches.std() / image.std(), rel=1e-3)
    assert weights.beyond >= 0


def test_the_verdict_has_as_much_as_ranks_best() -> None:
    patches, image = scores(0, 2.0), scores(1, 4.0)
    weights = choose_head_weights(patches, as_float32(image), IS_ANOMALY)
    assert weights.share < 0.5
    assert auroc(patches + weights.verdict * image) > auroc(patches + weights.heatmap * image) > auroc(patches)


def test_units_change_nothing() -> None:
    patches, image = scores(0, 1.5), scores(1, 1.5)
    weights = choose_head_weights(patches, as_float32(image), IS_ANOMALY)
    for moved, factor in (((5 * patches + 3, image), 5.0), ((patches, 10 * image - 7), 0.1)):
        found = choose_head_weights(moved[0], as_float32(moved[1]), IS_ANOMALY)
        assert found.verdict == pytest.approx(factor * weights.verdict, rel=1e-3)
        assert found.heatmap == pytest.approx(factor * weights.heatmap, rel=1e-3)


@pytest.mark.parametrize("image", [as_float32(scores(1, -2.0)), np.full(200, 3, np.float32), None])
def test_what_tells_nothing_or_the_contrary_has_no_weight(image: np.ndarray | None) -> None:
    assert choose_head_weights(scores(0, 1.5), image, IS_ANOMALY) == HeadWeights()


def test_every_patch_has_the_same_more() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    image = np.array([1, -2, 0], np.float32)
    added = add_image_head(maps, image, 0.5) - maps
    assert added == pytest.approx(np.broadcast_to(np.array([0.5, -1, 0])[:, None, None], maps.shape), abs=1e-6)
    assert add_image_head(maps, None, 0.5) is maps


def test_a_line_for_whole_images_is_found_in_their_means() -> None:
    rng = np.random.default_rng(2)
    means = rng.normal(size=(200, 30)).astype(np.float32)
    means[:, 7] += 3 * IS_ANOMALY
    line = fit_image_head(means, IS_ANOMALY, 0.05)
    assert np.abs(line.weights).argmax() == 7
    assert auroc(line(means)) > 0.97
