from dataclasses import replace

import numpy as np
import pytest

from model.verdict import prior_shift
from tests.training.predictions import prediction
from training.evaluation.figures import measure
from training.evaluation.prediction import Prediction
from training.report.curves import Curves, trace


def curves(predictions: list[Prediction], defect_rate: float | None = None, cost_ratio: float = 10.0) -> Curves:
    figures = measure(predictions, "some images")
    return trace(predictions, figures, defect_rate=defect_rate, cost_ratio=cost_ratio)


@pytest.fixture
def predictions() -> list[Prediction]:
    """120 images; probabilities repeat, so that some are equal."""
    rng = np.random.default_rng(3)
    made = []
    for i in range(120):
        is_bad = i % 3 == 0
        probability = round(float(np.clip(rng.normal(0.65 if is_bad else 0.3, 0.2), 0.06, 0.94)), 1 + i % 2)
        made.append(prediction("dent" if is_bad else "good", probability, name=f"{i}.png"))
    return made


def test_area_under_roc_is_auroc(predictions: list[Prediction]) -> None:
    roc = curves(predictions).roc
    area = np.trapezoid(roc.detection_rate, roc.false_reject_rate)
    assert area == pytest.approx(measure(predictions, "some images").auroc.value)


def test_gaps_of_reliability_bins_are_the_calibration_error(predictions: list[Prediction]) -> None:
    figures = measure(predictions, "some images")
    bins = curves(predictions).reliability
    assert sum(part.images for part in bins) == len(predictions)
    gaps = sum(part.images * abs(part.anomalies.value - part.probability) for part in bins) / len(predictions)
    assert gaps == pytest.approx(figures.calibration_error.value)
    assert all(part.anomalies.low <= part.anomalies.value <= part.anomalies.high for part in bins)


def test_reliability_does_not_depend_on_order(predictions: list[Prediction]) -> None:
    assert curves(predictions).reliability == curves(predictions[::-1]).reliability


def test_cost_of_each_threshold() -> None:
    """At 10 % defects and 5:1: a miss rate of 1/2 costs 250, a false-reject rate of 1/4 costs 225 in 1,000 parts."""
    goods = [prediction("good", p) for p in (0.1, 0.2, 0.3, 0.6)]
    cost = curves([*goods, prediction("dent", 0.5), prediction("dent", 0.9)], defect_rate=0.1, cost_ratio=5.0).cost
    assert cost.chosen == pytest.approx(225)
    assert (cost.accept_all, cost.reject_all) == (pytest.approx(500), pytest.approx(900))
    assert cost.cost[-1] == pytest.approx(cost.accept_all)
    assert cost.cost[0] == pytest.approx(cost.reject_all)
    by_threshold = dict(zip(np.round(cost.log_odds, 3), cost.cost, strict=True))
    assert by_threshold[0.0] == pytest.approx(225)  # the defect at 0.5 is still found
    assert by_threshold[2.197] == pytest.approx(250)
    assert min(cost.cost) == pytest.approx(225)


def test_precision_at_the_lines_share_of_defects() -> None:
    """One of two good parts and both defects rejected: 2/3 of these images, but 2/11 where 1 in 10 is defective."""
    predictions = [prediction(kind, p) for kind, p in (("good", 0.1), ("good", 0.6), ("dent", 0.5), ("dent", 0.9))]
    shift = prior_shift(0.5, 0.1)
    curve = curves([replace(each, shift=shift) for each in predictions], defect_rate=0.1).precision_recall
    assert curve.line_precision is not None
    everything = [curve.detection_rate.index(1.0), curve.detection_rate.index(0.0)]
    assert curve.detection_rate[0] == 1.0
    assert curve.line_precision[everything[0]] == pytest.approx(0.1 / (0.1 + 0.9 * 0.5))
    assert curve.line_precision[everything[1]] == 1.0


def test_histogram_holds_every_image(predictions: list[Prediction]) -> None:
    extreme = [replace(predictions[0], log_odds=80.0), replace(predictions[1], log_odds=-80.0), *predictions[2:]]
    scores = curves(extreme).scores
    assert (sum(scores.good), sum(scores.anomaly)) == (80, 40)
    assert max(map(abs, scores.edges)) <= 12
