"""Cross-validation within the samples that may be learnt from: what regressions of patches are calibrated by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.data.splits import Indices, Split, make_folds
from training.estimators.estimator import CrossValidated, FoldResult, PreparedEstimator, measure, predict
from training.evaluation.gate_limits import HeldOutMeasures, fit_appearance
from training.evaluation.post_processing import Method, OutOfFold, fit_post_processor
from training.progress import Advance


@dataclass(frozen=True, eq=False)
class FoldPrediction:
    """What a model of the other folds finds in one fold's samples."""

    out_of_fold: OutOfFold
    measures: HeldOutMeasures
    """Of the real ones among them."""


def predict_folds(estimator: PreparedEstimator, real: Indices, advance: Advance) -> Iterator[FoldPrediction]:
    """Predictions of each fold of these samples, or of what stands in for their anomalies, by a model of the others."""
    training_set, recipe = estimator.training_set, estimator.recipe
    predicted = training_set.calibration_indices(real)
    splits = make_folds([training_set.samples[i] for i in predicted], recipe.inner_folds, recipe.seed)
    for number, split in enumerate(splits, 1):
        known = np.intersect1d(predicted[split.train], training_set.real)
        # No name is kept for a fold's model: its features leave the disk before the next one's are computed.
        yield _predict(estimator, known, predicted[split.test], advance, number)


def _predict(
    estimator: PreparedEstimator, known: Indices, test: Indices, advance: Advance, fold: int
) -> FoldPrediction:
    training_set = estimator.training_set
    model = estimator.fit(training_set.train_indices(known), advance)
    appearance = fit_appearance(model.features(known))
    return FoldPrediction(predict(training_set, model, test, fold), measure(estimator, model, appearance, test, fold))


def cross_validated(
    estimator: PreparedEstimator, real: Indices, parts: Sequence[FoldPrediction], advance: Advance
) -> CrossValidated:
    """The model of all these samples, beside what `predict_folds` gave."""
    training_set, recipe = estimator.training_set, estimator.recipe
    out_of_fold = OutOfFold.concatenate([part.out_of_fold for part in parts])
    protocol = (
        f"{len(out_of_fold.samples)} images, each predicted once in {recipe.inner_folds}-fold cross-validation of the "
        f"whole pipeline (seed {recipe.seed}); the exported network was trained on all of them"
    )
    model = estimator.fit(training_set.train_indices(real), advance)
    predicted = training_set.calibration_indices(real)
    appearance = fit_appearance(model.features(np.intersect1d(predicted, training_set.real)))
    measures = HeldOutMeasures.concatenate([part.measures for part in parts])
    return CrossValidated(model, out_of_fold, protocol, appearance, measures)


def predict_fold(estimator: PreparedEstimator, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
    """Fit on `split.train`, choosing calibration, thresholds and heatmap scale within it, and predict `split.test`."""
    fitted = estimator.cross_val_predict(split.train, advance)
    post_processor = fit_post_processor(fitted.out_of_fold, method)
    test = predict(estimator.training_set, fitted.model, split.test, fold)
    if cascade := fitted.cascade:
        test = cascade.clearing.merged(test, predict(estimator.training_set, cascade.narrow, split.test, fold))
    predictions = post_processor.predictions(test.samples, test.maps, test.image_log_odds, fold)
    return FoldResult(predictions, fitted.trunk_choice)
