from dataclasses import replace

import pytest

from model.verdict import Thresholds
from tests.training.predictions import prediction
from training.evaluation.figures import measure
from training.evaluation.prediction import Prediction
from training.report.decisions import DecisionSummary, summarise_decisions


def summarised(predictions: list[Prediction], defect_rate: float | None = None) -> DecisionSummary:
    return summarise_decisions(predictions, measure(predictions, "some images"), defect_rate)


def seven(review: float = 0.5, reject: float = 0.5) -> list[Prediction]:
    said = [("good", 0.1), ("good", 0.2), ("good", 0.45), ("good", 0.9), ("dent", 0.3), ("dent", 0.6), ("dent", 0.8)]
    return [replace(prediction(kind, p), thresholds=Thresholds(review, 0.5, reject)) for kind, p in said]


def test_misses_are_what_is_accepted() -> None:
    seen = summarised(seven())
    assert not seen.has_review
    assert (seen.missed.value, seen.rejected.value) == (pytest.approx(1 / 3), pytest.approx(1 / 4))
    assert seen.expectation is None


def test_review_is_neither() -> None:
    seen = summarised(seven(0.25, 0.7), defect_rate=0.1)
    assert seen.has_review
    assert (seen.missed.value, seen.rejected.value) == (0.0, 0.25)
    assert seen.reviewed == pytest.approx(3 / 7)
    line = seen.expectation
    assert line is not None
    assert line.defects == pytest.approx(10_000)
    assert line.rejected.value == pytest.approx(22_500)
    assert line.review == pytest.approx(10_000 * 2 / 3 + 90_000 / 4)
    assert line.precision is not None
    assert line.precision.value == pytest.approx(10_000 / 3 / (10_000 / 3 + 22_500))
    assert line.precision.low < line.precision.value < line.precision.high


def test_folds_choose_their_own_thresholds() -> None:
    two = [
        replace(each, fold=i % 2, thresholds=Thresholds(*[0.4 + 0.15 * (i % 2)] * 3)) for i, each in enumerate(seven())
    ]
    seen = summarised(two)
    assert seen.reject_from.varies
    assert (seen.reject_from.low, seen.reject_from.high) == (0.4, pytest.approx(0.55))
    assert [(fold.number, fold.missed, fold.defects, fold.rejected, fold.goods) for fold in seen.folds] == [
        (0, 1, 2, 1, 2),
        (1, 0, 1, 1, 2),
    ]
    assert summarised(seven()).folds == []
