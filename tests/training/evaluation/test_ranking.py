import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.evaluation.ranking import Ranking


@pytest.mark.parametrize("decimals", [6, 0])  # without and with many ties
@pytest.mark.parametrize("seed", range(5))
def test_areas_are_scikit_learns(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random(80) < 0.3
    scores = np.round(rng.normal(size=80) + truth, decimals)
    weights = rng.integers(0, 4, (3, 80)).astype(float)
    ranking = Ranking.of(scores, truth, weights)
    for row, auroc, precision in zip(weights, ranking.auroc(), ranking.average_precision(), strict=True):
        assert auroc == pytest.approx(roc_auc_score(truth, scores, sample_weight=row))
        assert precision == pytest.approx(average_precision_score(truth, scores, sample_weight=row))


def test_miss_rate_where_few_good_images_are_rejected() -> None:
    """Of 100 good images one may be rejected at 1 %: the cut lies above the second highest, at 98."""
    good, bad = np.arange(100.0), np.array([50.0, 97.5, 98.0, 98.5, 200.0])
    ranking = Ranking.of(np.concatenate([good, bad]), np.arange(105) >= 100)
    assert ranking.miss_rate(0.01) == pytest.approx(3 / 5)
    assert ranking.miss_rate(0.009) == pytest.approx(4 / 5)
    assert ranking.miss_rate(0.5) == pytest.approx(0.0)


def test_with_few_good_images_none_may_be_rejected() -> None:
    scores, truth = np.array([1.0, 2.0, 3.0, 3.0]), np.array([False, True, False, True])
    assert Ranking.of(scores, truth).miss_rate(0.05) == 1.0


def test_without_weights_each_counts_once() -> None:
    scores, truth = np.array([1.0, 3.0, 2.0]), np.array([False, True, True])
    assert Ranking.of(scores, truth).auroc().tolist() == [1.0]
