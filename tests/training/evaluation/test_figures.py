from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from model.evidence import HeatmapScale
from model.figures import Decisions, Figures, KindFigures
from model.verdict import Thresholds, prior_shift, sigmoid
from tests.training.predictions import prediction
from training.evaluation.figures import measure, table
from training.evaluation.prediction import Prediction


def drawn(count: int = 300, seed: int = 0) -> list[Prediction]:
    """Probabilities that are right, of two kinds of defect and good images."""
    rng = np.random.default_rng(seed)
    made = []
    for log_odds in rng.normal(-1, 2.5, count).tolist():
        probability = sigmoid(log_odds)
        kind = rng.choice(["crack", "dent"]) if rng.random() < probability else "good"
        made.append(prediction(str(kind), probability))
    return made


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
    # 5 × 8 pairs: the defect at 0.2 is below the good one at 0.9, as are the other four
    assert figures.auroc.value == pytest.approx(35 / 40)
    assert figures.by_kind == {
        "good": KindFigures(1, 8),
        "crack": KindFigures(0, 1, pytest.approx(7 / 8)),  # type: ignore[arg-type]
        "dent": KindFigures(1, 4, pytest.approx(28 / 32)),  # type: ignore[arg-type]
    }
    assert "TP 4  TN 7  FP 1  FN 1" in table(figures)


def test_each_prediction_has_its_own_threshold() -> None:
    assert prediction("dent", 0.3, threshold=0.3).is_correct
    assert not prediction("dent", 0.3, threshold=0.31).is_correct


def test_losses_are_scikit_learns() -> None:
    predictions = drawn()
    truth = [each.sample.is_anomaly for each in predictions]
    probabilities = [each.probability for each in predictions]
    figures = measure(predictions, "300 images")
    assert figures.log_loss.value == pytest.approx(log_loss(truth, probabilities))
    assert figures.brier_score.value == pytest.approx(brier_score_loss(truth, probabilities))
    assert figures.auroc.value == pytest.approx(roc_auc_score(truth, probabilities))
    assert 0 < figures.calibration_error.value < figures.calibration_error.chance_95


def test_certainty_beyond_a_floats_reach_is_still_ranked_and_priced() -> None:
    predictions = [
        replace(prediction(kind, 0.5), log_odds=log_odds)
        for kind, log_odds in (("good", 700.0), ("dent", 800.0), ("good", -800.0))
    ]
    figures = measure(predictions, "three images")
    assert figures.auroc.value == 1.0
    assert figures.log_loss.value == pytest.approx(700 / 3)


def test_overconfidence_is_seen() -> None:
    predictions = [replace(each, log_odds=4 * each.log_odds) for each in drawn()]
    error = measure(predictions, "300 images").calibration_error
    assert error.value > error.chance_95 > error.chance_median


def test_intervals_of_ranking_cover_the_truth_about_as_often_as_they_say() -> None:
    """Of many draws' AUROC, most lie in the interval of one: a stratified draw of the same sizes."""
    rng = np.random.default_rng(2)

    def sample() -> list[Prediction]:
        good, bad = sigmoid_of(rng.normal(0, 1, 80)), sigmoid_of(rng.normal(1.5, 1, 60))
        return [*(prediction("good", p) for p in good), *(prediction("dent", p) for p in bad)]

    truth = 0.8556  # of normal distributions 1.5 deviations apart: Φ(1.5/√2)
    covered = []
    for _ in range(40):
        auroc = measure(sample(), "140 images").auroc
        covered.append(auroc.low <= truth <= auroc.high)
    assert np.mean(covered) >= 0.85
    assert 0.03 < auroc.high - auroc.low < 0.2


def sigmoid_of(log_odds: np.ndarray) -> list[float]:
    return [sigmoid(value) for value in log_odds.tolist()]


def test_miss_rates_at_a_rate_of_false_rejects() -> None:
    good = [prediction("good", p) for p in np.linspace(0.01, 0.5, 100)]
    defects = [prediction("dent", p) for p in (0.3, 0.478, 0.498, 0.7, 0.8)]
    figures = measure(good + defects, "105 images")
    assert figures.miss_rate_at_1_percent.value == pytest.approx(2 / 5)
    assert figures.miss_rate_at_5_percent.value == pytest.approx(1 / 5)
    none_missed = measure(good + defects[3:], "102 images").miss_rate_at_1_percent
    assert (none_missed.value, none_missed.low) == (0.0, 0.0)
    assert none_missed.high > 0.5  # two defects are no certainty


def test_decisions_by_class() -> None:
    band = Thresholds(0.3, 0.5, 0.7)
    predictions = [
        replace(prediction(kind, p), thresholds=band)
        for kind, p in (("good", 0.1), ("good", 0.2), ("good", 0.4), ("dent", 0.6), ("dent", 0.7), ("dent", 0.29))
    ]
    figures = measure(predictions, "six images")
    assert (figures.good_decisions, figures.defect_decisions) == (Decisions(2, 1, 0), Decisions(1, 1, 1))
    assert "defects: 1 accepted, 1 to review, 1 rejected" in table(figures)


def test_a_lines_share_of_defects_moves_verdicts_but_not_the_losses() -> None:
    predictions = drawn()
    at_line = measure([replace(each, shift=prior_shift(0.3, 0.02)) for each in predictions], "300 images")
    as_is = measure(predictions, "300 images")
    assert at_line.true_positives < as_is.true_positives
    assert at_line.auroc == as_is.auroc
    assert at_line.log_loss == as_is.log_loss
    assert at_line.calibration_error == as_is.calibration_error


def test_images_are_ranked_as_the_line_would_see_them() -> None:
    """Folds whose calibrations hold at different shares agree only after their shifts."""
    predictions = [prediction("good", 0.5), replace(prediction("dent", 0.4), shift=2.0)]
    assert measure(predictions, "two images").auroc.value == 1.0


def test_heatmaps_of_good_images_are_read_on_their_own_scale() -> None:
    bright = np.full((7, 7), 0.5, np.float32)
    bright[2, 3] = 1.0
    good = [
        prediction("good", 0.1, evidence=bright),
        replace(prediction("good", 0.1, evidence=bright), heatmap_scale=HeatmapScale(0.0, 2.0)),
        *[prediction("good", 0.1)] * 2,
    ]
    figures = measure([*good, prediction("dent", 0.9, evidence=bright)], "five images")
    assert figures.good_images_with_region.value == 0.25
    # of 49 values each: half below those at 0.5 of level 2, so between sigmoid(−4) and sigmoid(−3)
    assert figures.good_heatmap_median == pytest.approx((sigmoid(-4) + sigmoid(-3)) / 2, rel=1e-4)


def test_masks_are_measured_where_there_are_any(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:32, 16:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    evidence = np.where(mask > 0, 2.0, 0.0).astype(np.float32)
    masked = prediction("dent", 0.9, evidence=evidence, mask=tmp_path / "mask.png")
    figures = measure([prediction("good", 0.1), masked], "two images")
    assert figures.localisation is not None
    assert figures.localisation.pixel_auroc > 0.99
    assert "on 1 masks: pixel AUROC" in table(figures)
    assert measure([prediction("good", 0.1), prediction("dent", 0.9)], "two images").localisation is None


def test_figures_are_the_same_each_time_and_pass_through_json() -> None:
    figures = measure(drawn(60), "60 images")
    assert measure(drawn(60), "60 images") == figures
    assert msgspec.json.decode(msgspec.json.encode(figures), type=Figures) == figures
