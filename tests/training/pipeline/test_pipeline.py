"""A fitted pipeline: complete, post-processed as its recipe says, and refused where there is too little data."""

from pathlib import Path

import numpy as np
import pytest

from model.errors import DataError, ErrorBoundError
from model.verdict import Calibration, prior_shift
from tests.training.conftest import tiny_fine_tuning, tiny_patches, write_folder
from tests.training.pipeline.conftest import MODES, RATE, RULE, Fitted, Mode, Prepared, Watched, every_mode
from training.data.dataset import Dataset, check_samples
from training.data.samples import find_samples
from training.data.splits import Split, make_folds
from training.estimators.estimator import steps
from training.estimators.factory import estimator_for
from training.estimators.fine_tuning import softmax_calibration
from training.evaluation.figures import measure
from training.evaluation.post_processing import Method
from training.evaluation.thresholds import ErrorRateLimits, Fixed, LeastCost
from training.features.imagenet import Trunk
from training.pipeline import fit_pipeline
from training.progress import no_progress
from training.recipe import Patches, Recipe

# What comes of it


@every_mode
def test_it_learns_the_spots(fitted: Fitted, mode: Mode) -> None:
    predictions = fitted(mode).predictions
    scores = {kind: [p.log_odds for p in predictions if p.sample.is_anomaly == kind] for kind in (True, False)}
    assert np.mean(scores[True]) > np.mean(scores[False])
    if mode.recipe == tiny_patches() and mode.choices.get("anomalies") != "synthetic":
        assert np.mean([p.is_correct for p in predictions]) > 0.9


@every_mode
def test_every_image_is_predicted_once_by_thresholds_of_others(prepared: Prepared, fitted: Fitted, mode: Mode) -> None:
    predictions, protocol = fitted(mode).predictions, fitted(mode).protocol
    names = [p.sample.name for p in predictions]
    assert len(set(names)) == len(names)
    if mode is MODES["fine-tuning"]:
        assert len(names) == 6
        assert protocol == "6 held-out images (seed 7), trained on 16 others"
        assert {p.fold for p in predictions} == {0, 1}
        return
    training_set = prepared(mode).training_set
    assert sorted(names) == sorted(
        training_set.samples[i].name for i in training_set.calibration_indices(training_set.real)
    )
    assert {p.fold for p in predictions} == {1, 2, 3}
    assert protocol.startswith(f"{len(names)} images, each predicted once in 3-fold cross-validation")
    # Of a fold one; an image's own head moves both of a scale's levels alike.
    widths = {(p.fold, round(p.heatmap_scale.region_threshold - p.heatmap_scale.good_median, 4)) for p in predictions}
    assert len(widths) == len({width for _, width in widths}) == 3
    assert len({(p.fold, p.thresholds) for p in predictions}) == 3


@every_mode
def test_advance_hears_no_more_than_was_announced(prepared: Prepared, split: Split, mode: Mode) -> None:
    estimator, heard = prepared(mode), []

    def advance(remark: str = "") -> None:
        heard.append(remark)

    fit_pipeline(estimator, mode.method(estimator), advance)
    assert 0 < len(heard) <= steps(estimator)
    if isinstance(mode.recipe, Patches):
        assert len(heard) == 3 * 4  # rounds of three inner folds and of the whole


def test_folds_that_are_predicted_are_the_inner_folds(prepared: Prepared) -> None:
    estimator = prepared(MODES["masks"])
    held = estimator.cross_val_predict(estimator.training_set.real, no_progress).out_of_fold
    folds = make_folds(estimator.training_set.samples, 3, 7)
    for number, fold in enumerate(folds, 1):
        names = {sample.name for sample, part in zip(held.samples, held.fold_ids, strict=True) if part == number}
        assert names == {estimator.training_set.samples[i].name for i in fold.test}
    assert held.maps.shape == (22, 8, 8)


# How post-processing is chosen


@pytest.mark.parametrize("rule", [LeastCost(3), RULE, ErrorRateLimits(0.3)])
def test_the_rule_is_for_recipes_that_calibrate(dataset: Dataset, rule: LeastCost) -> None:
    method = estimator_for(tiny_patches()).method(dataset.samples, rule, defect_rate=RATE, use_masks=False)
    assert method == Method(tiny_patches().pooling, rule, RATE, None, False)
    fixed = estimator_for(tiny_fine_tuning(threshold=0.4)).method(dataset.samples, rule)
    assert fixed.rule == Fixed(0.4)
    assert fixed.calibration == Calibration(1.0, 0.0, pytest.approx(10 / 22))  # type: ignore[arg-type]


def test_class_weights_say_at_what_share_the_probabilities_hold() -> None:
    assert softmax_calibration(0.3, tiny_fine_tuning()).defect_rate == pytest.approx(0.3)
    assert softmax_calibration(0.25, tiny_fine_tuning(class_weights=(1.0, 3.0))).defect_rate == pytest.approx(0.5)


def test_the_softmax_is_read_at_the_share_that_it_was_trained_at(prepared: Prepared, split: Split) -> None:
    estimator = prepared(MODES["fine-tuning"])
    share = float(estimator.training_set.is_anomaly[split.train].mean())
    assert share != estimator.training_set.is_anomaly.mean()
    predictions = MODES["fine-tuning"].predict(estimator, split)
    assert {p.shift for p in predictions} == {prior_shift(share, RATE)}


# Too little data


@pytest.mark.parametrize("recipe", [tiny_fine_tuning(), tiny_patches()], ids=["fine-tuning", "patches"])
def test_too_few_images_are_a_clear_error(tmp_path: Path, trunk: Trunk, recipe: Recipe) -> None:
    dataset = check_samples(find_samples(write_folder(tmp_path, good=12, bad=1)))
    mode = Mode(recipe)
    with pytest.raises(DataError, match="class anomaly has 2 image"):
        mode.fit(mode.prepare(dataset, trunk))


def test_a_single_held_out_good_image_is_too_few_for_fine_tuning(tmp_path: Path, trunk: Trunk) -> None:
    dataset = check_samples(find_samples(write_folder(tmp_path, good=4, bad=4)))
    mode = MODES["fine-tuning"]
    with pytest.raises(DataError, match="heatmap scale needs good images"):
        mode.fit(mode.prepare(dataset, trunk))


def test_an_error_bound_that_takes_more_images_is_refused(prepared: Prepared) -> None:
    estimator = prepared(MODES["masks"])
    method = estimator_for(tiny_patches()).method(estimator.training_set.samples, ErrorRateLimits(0.01))
    with pytest.raises(ErrorBoundError, match="miss rate"):
        fit_pipeline(estimator, method, no_progress)


@pytest.mark.parametrize("anomalies", ["synthetic", "both"])
def test_good_images_alone_are_enough_to_train(tmp_path: Path, trunk: Trunk, anomalies: str) -> None:
    dataset = check_samples(find_samples(write_folder(tmp_path, good=9, bad=0)))
    mode = Mode(tiny_patches(), {"anomalies": anomalies})
    pipeline = mode.fit(Watched(mode.prepare(dataset, trunk)).estimator)
    assert {p.sample.kind for p in pipeline.predictions} == {"good", "synthetic"}
    assert pipeline.post_processor.calibration.defect_rate == pytest.approx(0.5)
    assert measure(pipeline.predictions, "").by_kind["synthetic"].images == 9


def test_good_images_alone_are_no_real_anomalies(tmp_path: Path, trunk: Trunk) -> None:
    mode = MODES["masks"]
    with pytest.raises(DataError, match=r"no image is of a defective part.*fit --anomalies synthetic"):
        mode.fit(mode.prepare(check_samples(find_samples(write_folder(tmp_path, good=9, bad=0))), trunk))
