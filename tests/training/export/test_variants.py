import numpy as np
import pytest

from model.evidence import HeatmapScale, Pooling
from model.verdict import Calibration, Thresholds
from training.evaluation.post_processing import PostProcessor
from training.export.variants import agreeing, agreement

JUDGE = PostProcessor(Pooling(), Calibration(2.0, 1.0, 0.5), Thresholds(0.4, 0.5, 0.6), HeatmapScale(-1.0, 1.0), 0.0)
REFERENCE = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
IS_ANOMALY = REFERENCE > 0


def test_a_line_brings_log_odds_back() -> None:
    slope, offset = agreeing(REFERENCE, REFERENCE / 2 - 4)
    assert (slope, offset) == (pytest.approx(2.0), pytest.approx(8.0))


@pytest.mark.parametrize("found", [np.full(6, 5.0), -REFERENCE])
def test_a_line_never_turns_the_order(dataset: np.ndarray) -> None:
    slope, offset = agreeing(REFERENCE, dataset)
    assert slope == 1.0
    assert offset == pytest.approx(REFERENCE.mean() - dataset.mean())


def test_the_same_log_odds_agree() -> None:
    same = agreement(JUDGE, JUDGE, REFERENCE, REFERENCE, IS_ANOMALY)
    assert (same.images, same.median_log_odds_change, same.changed_verdicts, same.auroc_change) == (6, 0.0, 0, 0.0)
    assert same.violations == []


def test_what_differs_is_counted() -> None:
    """Log-odds change by twice the difference; one verdict turns from accept to reject, one to review alone."""
    dataset = REFERENCE + np.array([0.0, 0.0, 1.5, 0.0, 0.0, 0.0])
    moved = agreement(JUDGE, JUDGE, REFERENCE, dataset, IS_ANOMALY)
    assert (moved.changed_verdicts, moved.median_log_odds_change, moved.auroc_change) == (1, 0.0, 0.0)
    swapped = agreement(JUDGE, JUDGE, REFERENCE, REFERENCE + np.array([0, 0, 2.5, 0, 0, 0]), IS_ANOMALY)
    assert swapped.auroc_change == pytest.approx(-1 / 9)
    reviewed = agreement(JUDGE, JUDGE, REFERENCE, np.where(REFERENCE == -1.0, -0.55, REFERENCE), IS_ANOMALY)
    assert reviewed.changed_verdicts == 1
    assert agreement(JUDGE, JUDGE, REFERENCE, REFERENCE + 0.25, IS_ANOMALY).median_log_odds_change == pytest.approx(0.5)


def test_one_class_has_no_auroc() -> None:
    assert agreement(JUDGE, JUDGE, REFERENCE, REFERENCE, np.zeros(6, bool)).auroc_change is None
