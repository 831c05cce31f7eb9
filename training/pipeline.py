"""From material to a network and the judge that reads its maps, with held-out predictions to measure both by."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.errors import DataError
from model.verdict import Calibration
from training.data.samples import Sample
from training.data.splits import Indices, Split, hold_out, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import Learner, Model
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    PostProcessor,
    cross_val_post_process,
    fit_post_processor,
    halves,
)
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Fixed, Rule
from training.progress import Advance
from training.recipe import Published, Recipe


@dataclass(frozen=True, eq=False)
class FittedPipeline:
    """A network with its judge."""

    model: Model
    judge: PostProcessor
    predictions: list[Prediction]
    """Of held-out images, by other networks of the same recipe or by this one; each judged as the others decide."""
    how: str
    """Which images those are, and who judged them."""


def method_of(
    recipe: Recipe, material: TrainingSet, rule: Rule, *, defect_rate: float | None = None, use_masks: bool = True
) -> Method:
    """How this recipe's judge is chosen: the published one has a fixed threshold and the network's own softmax."""
    if not isinstance(recipe, Published):
        return Method(recipe.pooling, rule, defect_rate, None, use_masks)
    calibration = uncalibrated(_share(material, material.real), recipe)
    return Method(recipe.pooling, Fixed(recipe.threshold), defect_rate, calibration, use_masks)


def uncalibrated(share: float, recipe: Published) -> Calibration:
    """The network's own softmax. Class weights in the cross-entropy act like another share of anomalies in the data."""
    good, anomaly = recipe.class_weights
    return Calibration(1.0, 0.0, anomaly * share / (anomaly * share + good * (1 - share)))


def steps(learner: Learner, recipe: Recipe) -> int:
    """How often `train` calls `advance`, at most."""
    return learner.steps * (1 if isinstance(recipe, Published) else recipe.inner_folds + 1)


def train(learner: Learner, real: Indices, recipe: Recipe, method: Method, advance: Advance) -> FittedPipeline:
    """Train on these real samples, and on what is made from them.

    The published recipe keeps a part of them out; the others train on all, after having kept out parts in turn.
    Raises DataError where there are too few for that, ErrorBoundError where the rule promises more than they carry.
    """
    if isinstance(recipe, Published):
        split = hold_out([learner.material.samples[i] for i in real], recipe.held_out, recipe.seed)
        model = learner.learn(real[split.train], advance)
        held = halves(_judged(learner, model, real[split.test], 0), recipe.seed)
        how = f"{len(split.test)} held-out images (seed {recipe.seed}), trained on {len(split.train)} others"
    else:
        held = held_out(learner, real, recipe.inner_folds, recipe.seed, advance)
        model = learner.learn(learner.material.train_indices(real), advance)
        how = (
            f"{len(held.samples)} images, each judged once in {recipe.inner_folds}-fold cross-validation of the whole "
            f"procedure (seed {recipe.seed}); the exported network was trained on all of them"
        )
    return FittedPipeline(model, fit_post_processor(held, method), cross_val_post_process(held, method), how)


def check_split(samples: Sequence[Sample], split: Split, recipe: Recipe) -> None:
    """Raise DataError now, not after hours, where `train` or `judge_once` would for want of images, or of groups."""
    if not isinstance(recipe, Published):
        make_folds([samples[i] for i in split.train], recipe.inner_folds, recipe.seed)
    elif sum(not samples[i].is_anomaly for i in split.test) < 2:
        raise DataError(
            f"of {len(split.test)} images that are held out only one is good, and the levels of pictures need two: add "
            "good images, use fewer folds or finer groups"
        )


def judge_once(
    learner: Learner, split: Split, recipe: Recipe, method: Method, advance: Advance, fold: int
) -> list[Prediction]:
    """Train on `split.train` and judge `split.test`, which has no influence on any prediction or threshold.

    Only the levels of the published recipe's pictures come from the test part, for each half from the other.
    """
    material = learner.material
    model = learner.learn(material.train_indices(split.train), advance)
    if isinstance(recipe, Published):
        method = replace(method, calibration=uncalibrated(_share(material, split.train), recipe))
        predictions = cross_val_post_process(halves(_judged(learner, model, split.test, fold), recipe.seed), method)
        return [_of_fold(prediction, fold) for prediction in predictions]
    judge = fit_post_processor(held_out(learner, split.train, recipe.inner_folds, recipe.seed, advance), method)
    samples = [material.samples[i] for i in split.test]
    return judge.predictions(samples, model.maps(split.test), model.context(split.test), fold)


def held_out(learner: Learner, real: Indices, folds: int, seed: int, advance: Advance) -> OutOfFold:
    """These samples, or what stands in for their anomalies, each judged by a network that hadn't seen it."""
    material = learner.material
    judged = material.judged(real)
    parts = []
    for number, split in enumerate(make_folds([material.samples[i] for i in judged], folds, seed), 1):
        known = np.intersect1d(judged[split.train], material.real)
        model = learner.learn(material.train_indices(known), advance)
        parts.append(_judged(learner, model, judged[split.test], number))
    contexts = [part.context for part in parts if part.context is not None]
    return OutOfFold(
        [sample for part in parts for sample in part.samples],
        np.concatenate([part.maps for part in parts]),
        np.concatenate([part.fold_ids for part in parts]),
        np.concatenate(contexts) if len(contexts) == len(parts) else None,
    )


def _judged(learner: Learner, model: Model, indices: Indices, part: int) -> OutOfFold:
    samples = [learner.material.samples[i] for i in indices]
    return OutOfFold(samples, model.maps(indices), np.full(len(indices), part, np.intp), model.context(indices))


def _share(material: TrainingSet, indices: Indices) -> float:
    return float(material.is_anomaly[indices].mean())


def _of_fold(prediction: Prediction, fold: int) -> Prediction:
    return replace(prediction, fold=fold)
