"""Learning which places are defective: logistic regression on ImageNet's features, again and again on hard places.

Beside it, where the hypercolumn has context, a regression of whole pictures on the means of the same features.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.network import VGG16CAM
from training.data.splits import Indices
from training.data.training_set import TrainingSet
from training.estimators.image_head import fit_context
from training.estimators.logistic import Line, Scale, fit_logistic
from training.estimators.mahalanobis import Distance
from training.estimators.network import fresh_network
from training.features.extraction import Features
from training.features.imagenet import Trunk
from training.progress import Advance, no_progress
from training.recipe import Places

Floats = NDArray[np.float32]
_MOST_GUESSED = 0.04
"""Of an image's places."""
_FIRST_ITERATIONS, _LATER_ITERATIONS = 60, 30
_FULL = 0.25
"""A place is certainly defective from this share of it on."""


@dataclass(frozen=True, eq=False)
class PatchModel:
    """A line for places and one for whole pictures, and the features to read them on."""

    line: Line
    whole: Line | None
    """Of the features' means; None: there was nothing to learn it from."""
    learner: "PatchLearner"

    def maps(self, indices: Indices) -> Floats:
        """Evidence maps n×h×w of these samples, without context."""
        side = self.learner.side
        return np.stack([self.line(self.learner.columns[i]).reshape(side, side) for i in indices])

    def context(self, indices: Indices) -> Floats | None:
        """The log-odds n of these samples as wholes; None: the model has none."""
        return None if self.whole is None else self.whole(self.learner.means[indices])

    def network(self, context_weight: float = 0.0) -> VGG16CAM:
        """The whole network, on the CPU, with so much of the context at every place."""
        hypercolumn = self.learner.recipe.hypercolumn
        weights, bias = np.zeros(hypercolumn.inputs, np.float32), self.line.bias
        weights[: hypercolumn.channels] = self.line.weights
        if self.whole is not None:
            weights[hypercolumn.channels :] = context_weight * self.whole.weights
            bias += context_weight * self.whole.bias
        rows, biases = np.array([-0.5, 0.5], np.float32)[:, None] * weights, np.array([-bias / 2, bias / 2], np.float32)
        network = fresh_network(self.learner.trunk, hypercolumn, self.learner.recipe.seed, "cpu")
        network.set_weights({"dense.weight": rows, "dense.bias": biases})
        return network.eval()


@dataclass(frozen=True, eq=False)
class PatchLearner:
    """Everything that a regression of places needs of the samples."""

    material: TrainingSet
    columns: Features
    """V·N×(h·w)×C: the features of every place, of all samples as they are, then of all in each further view."""
    coverage: Floats
    """V·N×(h·w): the defective share of each place; NaN where an anomaly has no mask."""
    trunk: Trunk
    recipe: Places

    @property
    def side(self) -> int:
        return self.recipe.input_size // self.recipe.hypercolumn.stride

    @property
    def steps(self) -> int:
        return self.recipe.rounds

    @cached_property
    def means(self) -> Floats:
        """V·N×C: each picture's features, averaged over its places."""
        return np.stack([places.mean(axis=0) for places in self.columns])

    def learn(self, chosen: Indices, advance: Advance = no_progress) -> PatchModel:
        """Regress on these samples' places alone, in all views; the same seed gives the same line.

        Good places are drawn at random, and each round adds those that the last one took for the most defective
        (bootstrapping, Sung & Poggio 1998; Felzenszwalb et al. 2010, section 4.4). Where an anomaly has no mask, its
        defective places are guessed: first those farthest from good ones, then those that the last line found
        (MI-SVM's alternation, Andrews et al. 2003, section 4).
        """
        recipe = self.recipe
        rng = np.random.default_rng(recipe.seed)
        good, bad = (self._in_all_views(part) for part in self._by_class(chosen))
        unmasked = bad[np.isnan(self.coverage[bad, 0])]
        drawn = self._drawn_good(good, rng)
        known = self._known(np.setdiff1d(bad, unmasked), rng)
        scale = Scale.of(np.concatenate([drawn, known.features]))
        features, targets = [scale(drawn), scale(known.features)], [np.zeros(len(drawn), np.float32), known.targets]
        score: Callable[[Floats], Floats] | None = Distance.of(features[0]) if len(unmasked) else None
        line: Line | None = None
        for number in range(1, recipe.rounds + 1):
            guessed = self._guessed(unmasked, good, scale, score) if score is not None else features[0][:0]
            line = fit_logistic(
                np.concatenate([*features, guessed]),
                np.concatenate([*targets, np.ones(len(guessed), np.float32)]),
                recipe.penalty,
                start=line,
                iterations=_FIRST_ITERATIONS if line is None else _LATER_ITERATIONS,
            )
            if len(unmasked):
                score = line
            if number < recipe.rounds:
                features.append(self._hardest(good, scale, line))
                targets.append(np.zeros(len(features[-1]), np.float32))
            advance()
        assert line is not None
        return PatchModel(line.unstandardised(scale), self._whole(chosen), self)

    def _whole(self, chosen: Indices) -> Line | None:
        """How anomalies were made would show in whole pictures, so synthetic ones don't count."""
        real = chosen[~self.material.is_synthetic[chosen]]
        if not self.recipe.hypercolumn.context or not self.material.is_anomaly[real].any():
            return None
        shown = self._in_all_views(real)
        is_anomaly = np.tile(self.material.is_anomaly[real], len(shown) // len(real))
        return fit_context(self.means[shown], is_anomaly, self.recipe.context_penalty)

    def _by_class(self, chosen: Indices) -> tuple[Indices, Indices]:
        is_anomaly = self.material.is_anomaly[chosen]
        return chosen[~is_anomaly], chosen[is_anomaly]

    def _in_all_views(self, chosen: Indices) -> Indices:
        """Where their features are."""
        return np.concatenate([chosen + first for first in range(0, len(self.columns), len(self.material.samples))])

    def _drawn_good(self, good: Indices, rng: np.random.Generator) -> Floats:
        each = self._each(self.recipe.good_places, good)
        return np.concatenate([self.columns[i][rng.choice(self.columns.shape[1], each, replace=False)] for i in good])

    def _known(self, masked: Indices, rng: np.random.Generator) -> "_Labelled":
        """Places on defects, and as many beside them, of images with a mask."""
        found = _Labelled([np.zeros((0, self.columns.shape[2]), np.float32)], [np.zeros(0, np.float32)])
        for i in masked:
            on, beside = np.flatnonzero(self.coverage[i] > 0), np.flatnonzero(self.coverage[i] == 0)
            for places in (on, beside):
                some = rng.permutation(places)[: self.recipe.defect_places]
                found.parts.append(self.columns[i][some])
                found.labels.append(np.minimum(1, self.coverage[i][some] / np.float32(_FULL)))
        return found

    def _guessed(self, unmasked: Indices, good: Indices, scale: Scale, score: Callable[[Floats], Floats]) -> Floats:
        """The places of each image that score above nearly all good places; at least its strongest."""
        some = good[:: -(-len(good) // 60)]
        level = np.quantile(
            np.concatenate([score(scale(self.columns[i])) for i in some]), 1 - self.recipe.guessed_share
        )
        found = []
        for i in unmasked:
            places = scale(self.columns[i])
            scores = score(places)
            count = int(np.clip((scores > level).sum(), 1, max(1, _MOST_GUESSED * len(scores))))
            found.append(places[np.argpartition(-scores, count - 1)[:count]])
        return np.concatenate(found)

    def _hardest(self, good: Indices, scale: Scale, line: Line) -> Floats:
        each = self._each(self.recipe.hard_places, good)
        raw = line.unstandardised(scale)
        return np.concatenate(
            [scale(self.columns[i][np.argpartition(-raw(self.columns[i]), each - 1)[:each]]) for i in good]
        )

    def _each(self, together: int, images: Indices) -> int:
        return int(min(self.columns.shape[1], -(-together // len(images))))


@dataclass(frozen=True, eq=False)
class _Labelled:
    parts: list[Floats] = field(default_factory=list)
    labels: list[Floats] = field(default_factory=list)

    @property
    def features(self) -> Floats:
        return np.concatenate(self.parts)

    @property
    def targets(self) -> Floats:
        return np.concatenate(self.labels).astype(np.float32)
