import math

import pytest

from model.verdict import Calibration, Thresholds, logit, prior_shift, sigmoid


@pytest.mark.parametrize(("log_odds", "probability"), [(0.0, 0.5), (800.0, 1.0), (-800.0, 0.0), (math.log(3), 0.75)])
def test_sigmoid(log_odds: float, probability: float) -> None:
    assert sigmoid(log_odds) == pytest.approx(probability, abs=1e-15)


def test_logit_undoes_sigmoid() -> None:
    assert logit(sigmoid(-3.25)) == pytest.approx(-3.25)


def test_calibration_is_linear_in_log_odds() -> None:
    assert Calibration(slope=2.0, offset=-1.0, defect_rate=0.5)(1.5, shift=0.25) == pytest.approx(2.25)
    assert Calibration(1.0, 0.0, 0.5)(1.5) == 1.5
    assert Calibration(slope=2.0, offset=-1.0, defect_rate=0.5).inverse(2.0) == pytest.approx(1.5)


def test_at_one_percent_of_defects_a_reported_97_percent_is_42() -> None:
    """The worked example of the design: trained at 31 % defects."""
    assert sigmoid(logit(0.97) + prior_shift(0.31, 0.01)) == pytest.approx(0.42, abs=0.005)
    assert prior_shift(0.31, None) == 0.0


@pytest.mark.parametrize(
    ("probability", "label", "decision"),
    [
        (0.29, "good", "accept"),
        (0.30, "good", "review"),
        (0.41, "good", "review"),
        (0.42, "anomaly", "review"),
        (0.60, "anomaly", "reject"),
    ],
)
def test_label_and_decision(probability: float, label: str, decision: str) -> None:
    thresholds = Thresholds(review=0.30, label=0.42, reject=0.60)
    assert (thresholds.label_of(probability), thresholds.decision_of(probability)) == (label, decision)


def test_without_a_review_band_nothing_is_reviewed() -> None:
    assert {Thresholds().decision_of(p / 100) for p in range(101)} == {"accept", "reject"}


@pytest.mark.parametrize("values", [(0.5, 0.4, 0.6), (0.1, 0.7, 0.6), (-0.1, 0.5, 0.5), (0.5, 0.5, 1.1)])
def test_thresholds_out_of_order_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="review ≤ label ≤ reject"):
        Thresholds(*values)


@pytest.mark.parametrize("shift", [-4.0, 0.0, 2.5])
def test_moved_thresholds_give_the_same_verdicts(shift: float) -> None:
    thresholds = Thresholds(0.1, 0.4, 0.8)
    moved = thresholds.moved(shift)
    for log_odds in (-6.0, -2.3, -2.1, -0.5, -0.3, 1.3, 1.5, 6.0):
        before, after = sigmoid(log_odds), sigmoid(log_odds + shift)
        assert moved.label_of(after) == thresholds.label_of(before)
        assert moved.decision_of(after) == thresholds.decision_of(before)
    assert moved.moved(-shift).label == pytest.approx(0.4)


def test_thresholds_at_the_ends_stay_there() -> None:
    moved = Thresholds(0.0, 0.5, 1.0).moved(math.log(3))
    assert (moved.review, moved.label, moved.reject) == (0.0, pytest.approx(0.75), 1.0)
    assert Thresholds(0.3, 0.3, 0.3).moved(0.0) == Thresholds(0.3, 0.3, 0.3)
