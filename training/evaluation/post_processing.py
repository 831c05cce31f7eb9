"""What turns evidence maps into verdicts and pictures, chosen on images that the networks had not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.evidence import HeatmapScale, Pooling
from model.verdict import Calibration, Thresholds, prior_shift
from training.data.masks import coverage
from training.data.samples import Sample
from training.estimators.image_head import ImageLogOdds, add_image_head, choose_image_weight
from training.evaluation.calibration import fit_platt
from training.evaluation.heatmap_scale import choose_heatmap_scale
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Rule, choose

Maps = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Evidence maps of images by networks that had not seen them."""

    samples: list[Sample]
    maps: Maps
    """n×h×w."""
    parts: NDArray[np.intp]
    """n; what is decided for images of one part is decided on the other parts."""
    context: ImageLogOdds | None = None
    """n, the log-odds of whole images, which the maps don't have yet."""

    @property
    def is_anomaly(self) -> NDArray[np.bool_]:
        return np.array([sample.is_anomaly for sample in self.samples])

    @classmethod
    def concatenate(cls, folds: "Sequence[OutOfFold]") -> "OutOfFold":
        """All of these folds' samples; without log-odds of whole images where a fold has none."""
        contexts = [fold.context for fold in folds if fold.context is not None]
        return cls(
            [sample for fold in folds for sample in fold.samples],
            np.concatenate([fold.maps for fold in folds]),
            np.concatenate([fold.parts for fold in folds]),
            np.concatenate(contexts) if len(contexts) == len(folds) else None,
        )

    def of(self, chosen: NDArray[np.bool_]) -> "OutOfFold":
        samples = [sample for sample, is_chosen in zip(self.samples, chosen, strict=True) if is_chosen]
        context = None if self.context is None else self.context[chosen]
        return OutOfFold(samples, self.maps[chosen], self.parts[chosen], context)


@dataclass(frozen=True)
class Method:
    """How a judge is chosen."""

    pooling: Pooling
    rule: Rule
    defect_rate: float | None = None
    """The line's share of defects; None: the data's."""
    calibration: Calibration | None = None
    """None: Platt's, on the held-out images."""
    use_masks: bool = True
    """Whether masks may raise the region level."""


@dataclass(frozen=True)
class PostProcessor:
    """Everything after the evidence map."""

    pooling: Pooling
    calibration: Calibration
    thresholds: Thresholds
    scale: HeatmapScale
    shift: float
    context_weight: float = 0.0
    """How many times the context is added to the map."""

    def moved(self, slope: float, offset: float) -> "PostProcessor":
        """The judge of another variant's evidence that says the same, where slope·evidence + offset is this one's."""
        ours = self.calibration
        return replace(
            self,
            calibration=Calibration(ours.slope * slope, ours.slope * offset + ours.offset, ours.defect_share),
            scale=HeatmapScale((self.scale.dark - offset) / slope, (self.scale.region - offset) / slope),
        )

    def predictions(
        self, samples: Sequence[Sample], maps: Maps, context: ImageLogOdds | None, fold: int = 0
    ) -> list[Prediction]:
        """What is said of samples with these maps, n×h×w, and this context, n."""
        maps = add_image_head(maps, context, self.context_weight)
        return [
            Prediction(sample, self.calibration(pooled), self.thresholds, evidence, self.scale, self.shift, fold)
            for sample, pooled, evidence in zip(samples, self.pooling(maps).tolist(), maps, strict=True)
        ]


def fit_post_processor(held: OutOfFold, method: Method) -> PostProcessor:
    """Calibration, thresholds and levels. Raises DataError or PromiseError where the images can't carry them."""
    weight = choose_image_weight(method.pooling(held.maps), held.context, held.is_anomaly)
    maps = add_image_head(held.maps, held.context, weight)
    log_odds = method.pooling(maps)
    calibration = method.calibration or fit_platt(log_odds, held.is_anomaly)
    calibrated = np.array([calibration(value) for value in log_odds.tolist()])
    shift = prior_shift(calibration.defect_share, method.defect_rate)
    masked = np.array([sample.mask is not None and method.use_masks for sample in held.samples])
    masks = coverage(held.of(masked).samples, *maps.shape[1:])
    return PostProcessor(
        pooling=method.pooling,
        calibration=calibration,
        thresholds=choose(method.rule, calibrated, held.is_anomaly, shift),
        scale=choose_heatmap_scale(maps[~held.is_anomaly], maps[masked], masks),
        shift=shift,
        context_weight=weight,
    )


def cross_val_post_process(held: OutOfFold, method: Method) -> list[Prediction]:
    """Each part judged as the other parts decide; in the order of `held.samples`."""
    predictions: list[tuple[int, Prediction]] = []
    for part in np.unique(held.parts).tolist():
        inside = held.parts == part
        judge = fit_post_processor(held.of(~inside), method)
        own = held.of(inside)
        found = judge.predictions(own.samples, own.maps, own.context, part)
        predictions += zip(np.flatnonzero(inside).tolist(), found, strict=True)
    return [prediction for _, prediction in sorted(predictions, key=lambda pair: pair[0])]


def halves(held: OutOfFold, seed: int) -> OutOfFold:
    """The same images in two parts, drawn by `seed`, each class divided evenly."""
    rng = np.random.default_rng(seed)
    parts = np.zeros(len(held.samples), np.intp)
    for members in (np.flatnonzero(held.is_anomaly), np.flatnonzero(~held.is_anomaly)):
        parts[rng.permutation(members)[len(members) // 2 :]] = 1
    return replace(held, parts=parts)
