import numpy as np
import pytest

from model.manifest import KindErrors
from tests.training.predictions import prediction
from training.figures import balanced_accuracy, measure, rate, table


def test_positive_is_anomaly() -> None:
    figures = measure(
        [
            *[prediction("good", 0.1)] * 7,
            prediction("good", 0.9),
            *[prediction("dent", 0.8)] * 3,
            prediction("dent", 0.2),
            prediction("crack", 0.5),
        ],
        "thirteen images",
    )
    counts = (figures.true_positives, figures.true_negatives, figures.false_positives, figures.false_negatives)
    assert counts == (4, 7, 1, 1)
    assert figures.accuracy.value == pytest.approx(11 / 13)
    assert figures.balanced_accuracy.value == pytest.approx((4 / 5 + 7 / 8) / 2)
    assert figures.errors_by_kind == {"good": KindErrors(1, 8), "crack": KindErrors(0, 1), "dent": KindErrors(1, 4)}
    # 5 × 8 pairs: the defect at 0.2 is below the good one at 0.9, as are the other four
    assert figures.auroc == pytest.approx(35 / 40)
    assert "TP 4  TN 7  FP 1  FN 1" in table(figures)


def test_each_prediction_has_its_own_threshold() -> None:
    assert prediction("dent", 0.3, threshold=0.3).is_right
    assert not prediction("dent", 0.3, threshold=0.31).is_right


def test_wilsons_interval() -> None:
    """Newcombe 1998, table I: 81 of 263."""
    estimate = rate(81, 263)
    assert (estimate.low, estimate.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))


def test_interval_of_balanced_accuracy_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        bad, good = rng.binomial(60, 0.85), rng.binomial(150, 0.95)
        estimate = balanced_accuracy(rate(int(bad), 60), rate(int(good), 150))
        assert estimate.value == pytest.approx((bad / 60 + good / 150) / 2)
        covered.append(estimate.low <= 0.90 <= estimate.high)
    assert 0.92 <= np.mean(covered) <= 0.98


def test_no_error_in_few_images_is_no_certainty() -> None:
    estimate = balanced_accuracy(rate(3, 3), rate(7, 7))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low < 0.75
