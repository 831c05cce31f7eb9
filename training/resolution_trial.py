"""Where no mask tells how small defects are: resolutions are tried on some of the images, and the cheapest is taken
that no larger one clearly beats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from model.errors import DataError
from training.data.samples import Sample
from training.data.splits import Indices, Split
from training.data.training_set import TrainingSet
from training.estimators.estimator import FoldResult, PreparedEstimator
from training.estimators.factory import estimator_for
from training.estimators.inner_folds import predict_folds
from training.estimators.patch_estimator import PatchEstimator
from training.evaluation.intervals import DRAWS, resampled
from training.evaluation.post_processing import Method, OutOfFold, cross_val_post_process
from training.evaluation.ranking import Ranking
from training.evaluation.thresholds import BestBalancedAccuracy
from training.progress import Advance, Reporter, no_progress
from training.recipe import Patches, Recipe
from training.resolution import describe, work
from training.training_run import TrainingRun

LEAST_GAIN: Final = 0.005
"""By which the AUROC at a larger resolution must be higher, for what it costs."""
CERTAINTY: Final = 0.95
"""Of that, by a paired bootstrap."""
_MOST_TILES: Final = 2000
"""Work of a trial, as a multiple of one tile of the preset, over all images and resolutions."""
_FEWEST, _MOST = 12, 50
"""Images of each class that are tried."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ResolutionChoice:
    """Which of the recipes was taken, and why."""

    recipe: Patches
    sentence: str


@dataclass(frozen=True, eq=False)
class _Candidate:
    recipe: Patches
    """As it would be trained in the end."""
    prepared: PreparedEstimator
    method: Method

    def log_odds(self, indices: Indices) -> Floats:
        """Of these samples, each by a network, and by a pooling, that were chosen without its fold."""
        parts = [part.out_of_fold for part in predict_folds(self.prepared, indices, no_progress)]
        predictions = cross_val_post_process(OutOfFold.concatenate(parts), self.method)
        of_sample = {prediction.sample.name: prediction.log_odds for prediction in predictions}
        return np.array([of_sample[self.prepared.training_set.samples[i].name] for i in indices])


@dataclass(frozen=True, eq=False)
class ResolutionTrial:
    """Some of a run's images, ready for regression at each of several resolutions."""

    drawn: Indices
    """The run's samples that are tried."""
    samples: Sequence[Sample]
    sizes: Mapping[str, int]
    candidates: Sequence[_Candidate]
    """The cheapest first."""
    input_size: int
    """The preset's."""

    def choose(self, real: Indices) -> ResolutionChoice:
        """What is best for these of the run's samples, by those among them that are tried."""
        indices = np.flatnonzero(np.isin(self.drawn, real))
        try:
            scores = [candidate.log_odds(indices) for candidate in self.candidates]
        except DataError as error:
            return self._choice(self.candidates[0].recipe, f"no other could be tried: {error}")
        is_anomaly = np.array([self.samples[i].is_anomaly for i in indices.tolist()])
        chosen = choose_scores(scores, is_anomaly)
        tried = ", ".join(
            f"{float(Ranking.of(each, is_anomaly).auroc()[0]):.3f} in {_tiles(candidate.recipe)}"
            for each, candidate in zip(scores, self.candidates, strict=True)
        )
        return self._choice(
            self.candidates[chosen].recipe,
            f"AUROC of {len(indices)} images, cross-validated, is {tried}: more work is taken where it is higher by "
            f"{LEAST_GAIN:g} with {CERTAINTY:.0%} certainty",
        )

    def _choice(self, recipe: Patches, reason: str) -> ResolutionChoice:
        (described,) = describe(recipe, self.input_size, self.sizes, None)
        return ResolutionChoice(recipe, f"{described}; {reason}")


def choose_scores(scores: Sequence[Floats], is_anomaly: NDArray[np.bool_]) -> int:
    """Which of these scores n, the cheapest first: the first that none after it clearly beats."""
    draws = list(resampled(is_anomaly, seed=0, draws=DRAWS))
    aurocs = [np.concatenate([Ranking.of(each, is_anomaly, weights).auroc() for weights in draws]) for each in scores]
    for number, own in enumerate(aurocs):
        gains = [np.quantile(other - own, 1 - CERTAINTY) for other in aurocs[number + 1 :]]
        if not any(gain > LEAST_GAIN for gain in gains):
            return number
    raise AssertionError("the last one has none after it")


@dataclass(frozen=True, eq=False)
class PreparedResolutions:
    """A run at several resolutions, of which each fold's is chosen within what the fold learns from. Features of all
    images are computed for those that are chosen."""

    runs: Sequence[TrainingRun]
    """One a resolution, the cheapest first."""
    trial: ResolutionTrial
    _prepared: dict[int, PreparedEstimator] = field(default_factory=dict, init=False)
    """By position in `runs`: those that were chosen."""

    @property
    def training_set(self) -> TrainingSet:
        """The real samples alone, which all resolutions have in common."""
        samples = self.runs[0].dataset.samples
        return TrainingSet(samples, np.arange(len(samples)), self.runs[0].anomalies)

    @property
    def recipe(self) -> Recipe:
        return self.runs[0].recipe

    @property
    def fit_steps(self) -> int:
        return self.recipe.trunks_compared * self.trial.candidates[0].prepared.fit_steps

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """See `FoldPredictor`. Maps are pooled as suits the chosen resolution."""
        choice = self.trial.choose(split.train)
        self.runs[0].reporter.line(f"  {choice.sentence}")
        number = next(number for number, run in enumerate(self.runs) if run.recipe == choice.recipe)
        own = self.runs[number].method
        method = replace(method, one_size=own.one_size, many_sizes=own.many_sizes, other_poolings=own.other_poolings)
        return self._estimator(number).predict_fold(split, method, advance, fold)

    def _estimator(self, number: int) -> PreparedEstimator:
        if number not in self._prepared:
            with self.runs[number].reporter.timed("features"):
                run = replace(self.runs[number], reporter=_quiet())
                self._prepared[number] = estimator_for(run.recipe).prepare(run)
        return self._prepared[number]


def prepare_trial(runs: Sequence[TrainingRun], input_size: int) -> ResolutionTrial:
    """Compute the features of some of the images at each of these runs' resolutions, the cheapest first."""
    dataset = runs[0].dataset
    recipes = [run.recipe for run in runs if isinstance(run.recipe, Patches)]
    each = _images_of_each_class(sum(work(recipe, input_size) for recipe in recipes))
    drawn = _drawn(dataset.samples, each, recipes[0].seed)
    samples = [dataset.samples[i] for i in drawn]
    some = replace(dataset, samples=samples, digests=[dataset.digests[i] for i in drawn])
    candidates = []
    with runs[0].reporter.task(f"trying {len(recipes)} resolutions on {len(drawn)} images", len(recipes)) as advance:
        for recipe in recipes:
            tried = msgspec.structs.replace(recipe, flips=0, trunk="full")
            estimator = PatchEstimator(tried)
            method = estimator.method(samples, BestBalancedAccuracy())
            own = replace(runs[0], dataset=some, recipe=tried, method=method, reporter=_quiet(), anomalies="real")
            candidates.append(_Candidate(recipe, estimator.prepare(own), method))
            advance()
    return ResolutionTrial(drawn, samples, dataset.sizes, candidates, input_size)


def _quiet() -> Reporter:
    """Within another task, whose bar a terminal shows."""
    return Reporter(Console(quiet=True))


def _images_of_each_class(work_of_all: float) -> int:
    return int(np.clip(_MOST_TILES / (2 * work_of_all), _FEWEST, _MOST))


def _drawn(samples: Sequence[Sample], each: int, seed: int) -> Indices:
    """Up to `each` of either class, by the seed."""
    is_anomaly, rng = np.array([sample.is_anomaly for sample in samples]), np.random.default_rng(seed)
    return np.sort(np.concatenate([rng.permutation(np.flatnonzero(of))[:each] for of in (is_anomaly, ~is_anomaly)]))


def _tiles(recipe: Patches) -> str:
    return f"{recipe.tiles} tile{'s' * (recipe.tiles > 1)} of {recipe.input_size}×{recipe.input_size}"
