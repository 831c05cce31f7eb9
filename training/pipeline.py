"""The fitted pipeline: a network, the post-processing that reads its evidence, and predictions to measure both by."""

from dataclasses import dataclass

from model.trunk_choice import TrunkChoice
from training.data.training_set import TrainingSet
from training.estimators.estimator import FittedEstimator, PreparedEstimator
from training.evaluation.post_processing import Method, PostProcessor, cross_val_post_process, fit_post_processor
from training.evaluation.prediction import Prediction
from training.progress import Advance


@dataclass(frozen=True, eq=False)
class FittedPipeline:
    """A network with its post-processing."""

    training_set: TrainingSet
    model: FittedEstimator
    post_processor: PostProcessor
    predictions: list[Prediction]
    """Predictions of held-out images, by other networks of the same recipe or by this one, each post-processed as the
    other folds decide."""
    protocol: str
    """Which images those are, and which networks predicted them."""
    trunk_choice: TrunkChoice | None = None
    """Why the network has a narrow trunk or the full one; None: that was not compared."""


def fit_pipeline(estimator: PreparedEstimator, method: Method, advance: Advance) -> FittedPipeline:
    """Train on all real samples, and on what is made from them, and choose calibration and thresholds out of fold.

    Raises DataError where there are too few for that, ErrorBoundError where there are too few for the rule's limits.
    """
    training_set = estimator.training_set
    fitted = estimator.cross_val_predict(training_set.real, advance)
    return FittedPipeline(
        training_set,
        fitted.model,
        fit_post_processor(fitted.out_of_fold, method),
        cross_val_post_process(fitted.out_of_fold, method),
        fitted.protocol,
        fitted.trunk_choice,
    )
