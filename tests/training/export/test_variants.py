import numpy as np
import pytest

from model.evidence import HeatmapScale, Pooling
from model.verdict import Calibration, Thresholds
from training.estimators.image_head import HeadWeights
from training.evaluation.post_processing import PostProcessor
from training.export.variants import agreement, linear_map

FLOAT32 = PostProcessor(
    Pooling(), Calibration(2.0, 1.0, 0.5), Thresholds(0.4, 0.5, 0.6), HeatmapScale(-1.0, 1.0), 0.0, HeadWeights()
)
REFERENCE = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
IS_ANOMALY = REFERENCE > 0
NONE = np.zeros(6, bool)


def test_a_linear_map_brings_log_odds_back() -> None:
    slope, offset = linear_map(REFERENCE, REFERENCE / 2 - 4)
    assert (slope, offset) == (pytest.approx(2.0), pytest.approx(8.0))


@pytest.mark.parametrize("log_odds", [np.full(6, 5.0), -REFERENCE])
def test_a_linear_map_never_turns_the_order(log_odds: np.ndarray) -> None:
    slope, offset = linear_map(REFERENCE, log_odds)
    assert slope == 1.0
    assert offset == pytest.approx(REFERENCE.mean() - log_odds.mean())


def test_the_same_log_odds_agree() -> None:
    same = agreement(FLOAT32, FLOAT32, REFERENCE, REFERENCE, IS_ANOMALY, NONE)
    assert (same.images, same.median_log_odds_change, same.changed_verdicts, same.auroc_change) == (6, 0.0, 0, 0.0)
    assert same.violations == []


def test_what_differs_is_counted() -> None:
    """Log-odds change by twice the difference; one verdict turns from accept to reject, one to review alone."""
    log_odds = REFERENCE + np.array([0.0, 0.0, 1.5, 0.0, 0.0, 0.0])
    moved = agreement(FLOAT32, FLOAT32, REFERENCE, log_odds, IS_ANOMALY, NONE)
    assert (moved.changed_verdicts, moved.median_log_odds_change, moved.auroc_change) == (1, 0.0, 0.0)
    swapped = agreement(FLOAT32, FLOAT32, REFERENCE, REFERENCE + np.array([0, 0, 2.5, 0, 0, 0]), IS_ANOMALY, NONE)
    assert swapped.auroc_change == pytest.approx(-1 / 9)
    reviewed = agreement(FLOAT32, FLOAT32, REFERENCE, np.where(REFERENCE == -1.0, -0.55, REFERENCE), IS_ANOMALY, NONE)
    assert reviewed.changed_verdicts == 1
    assert agreement(
        FLOAT32, FLOAT32, REFERENCE, REFERENCE + 0.25, IS_ANOMALY, NONE
    ).median_log_odds_change == pytest.approx(0.5)


def test_an_image_that_one_alone_can_inspect_is_counted_once() -> None:
    differs = np.array([False, True, True, False, False, False])
    assert agreement(FLOAT32, FLOAT32, REFERENCE, REFERENCE, IS_ANOMALY, differs).changed_verdicts == 2
    moved = REFERENCE + np.array([0.0, 0.0, 1.5, 0.0, 0.0, 0.0])
    assert agreement(FLOAT32, FLOAT32, REFERENCE, moved, IS_ANOMALY, differs).changed_verdicts == 2


def test_one_class_has_no_auroc() -> None:
    assert agreement(FLOAT32, FLOAT32, REFERENCE, REFERENCE, np.zeros(6, bool), NONE).auroc_change is None
