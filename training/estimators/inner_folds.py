"""Cross-validation within the samples that may be learnt from: what regressions of patches are calibrated by."""

from collections.abc import Iterator, Sequence

import numpy as np

from training.data.splits import Indices, Split, make_folds
from training.estimators.estimator import CrossValidated, PreparedEstimator, predict
from training.evaluation.post_processing import Method, OutOfFold, fit_post_processor
from training.evaluation.prediction import Prediction
from training.progress import Advance


def predict_folds(estimator: PreparedEstimator, real: Indices, advance: Advance) -> Iterator[OutOfFold]:
    """Evidence of each fold of these samples, or of what stands in for their anomalies, by a model of the others."""
    training_set, recipe = estimator.training_set, estimator.recipe
    predicted = training_set.calibration_indices(real)
    splits = make_folds([training_set.samples[i] for i in predicted], recipe.inner_folds, recipe.seed)
    for number, split in enumerate(splits, 1):
        known = np.intersect1d(predicted[split.train], training_set.real)
        # No name is kept for a fold's model: its features leave the disk before the next one's are computed.
        yield predict(
            training_set, estimator.fit(training_set.train_indices(known), advance), predicted[split.test], number
        )


def cross_validated(
    estimator: PreparedEstimator, real: Indices, parts: Sequence[OutOfFold], advance: Advance
) -> CrossValidated:
    """The model of all these samples, beside what `predict_folds` gave."""
    out_of_fold, recipe = OutOfFold.concatenate(parts), estimator.recipe
    protocol = (
        f"{len(out_of_fold.samples)} images, each predicted once in {recipe.inner_folds}-fold cross-validation of the "
        f"whole pipeline (seed {recipe.seed}); the exported network was trained on all of them"
    )
    model = estimator.fit(estimator.training_set.train_indices(real), advance)
    return CrossValidated(model, out_of_fold, protocol)


def predict_fold(
    estimator: PreparedEstimator, split: Split, method: Method, advance: Advance, fold: int
) -> list[Prediction]:
    """Fit on `split.train`, choosing calibration, thresholds and heatmap scale within it, and predict `split.test`."""
    fitted = estimator.cross_val_predict(split.train, advance)
    post_processor = fit_post_processor(fitted.out_of_fold, method)
    test = predict(estimator.training_set, fitted.model, split.test, fold)
    return post_processor.predictions(test.samples, test.maps, test.image_log_odds, fold)
