"""The fitted pipeline: a network, the post-processing that reads its evidence, and predictions to measure both by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.appearance import Appearance
from model.gate import Gate
from model.trunk_choice import TrunkChoice
from training.data.training_set import TrainingSet
from training.estimators.estimator import FittedCascade, FittedEstimator, PreparedEstimator
from training.evaluation.gate_limits import HeldOutMeasures, fit_gate, with_held_out
from training.evaluation.post_processing import Method, PostProcessor, cross_val_post_process, fit_post_processor
from training.evaluation.prediction import Prediction
from training.features.measuring import APPEARANCE
from training.progress import Advance
from training.synthetic.samples import KIND


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
    gate: Gate
    appearance: Appearance
    """What the gate's last check compares with."""
    measures: HeldOutMeasures
    """That its limits come from."""
    trunk_choice: TrunkChoice | None = None
    """Why the network has a narrow trunk or the full one; None: that was not compared."""
    cascade: FittedCascade | None = None
    """What clears images before `model`; None: nothing does."""


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
        _with_distances(cross_val_post_process(fitted.out_of_fold, method), fitted.measures),
        fitted.protocol,
        fit_gate(fitted.measures, fitted.appearance, method.odd_rate, one_size=method.one_size),
        with_held_out(fitted.appearance, fitted.measures),
        fitted.measures,
        fitted.trunk_choice,
        fitted.cascade,
    )


def _with_distances(predictions: Sequence[Prediction], measures: HeldOutMeasures) -> list[Prediction]:
    """The predictions, those of real samples with how far these look from the others."""
    distances = iter(measures.values[:, APPEARANCE].tolist())
    return [each if each.sample.kind == KIND else replace(each, distance=next(distances)) for each in predictions]
