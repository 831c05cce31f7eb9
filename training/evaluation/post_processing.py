"""What turns evidence maps into verdicts and heatmaps, fitted on images that the networks had not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.evidence import HeatmapScale, Pooling
from model.verdict import Calibration, Thresholds, prior_shift
from training.data.masks import coverage
from training.data.samples import Sample
from training.estimators.image_head import HeadWeights, ImageLogOdds, add_image_head, choose_head_weights
from training.evaluation.calibration import fit_platt
from training.evaluation.drift import PARTS_PER_FALSE_ALARM
from training.evaluation.heatmap_scale import choose_heatmap_scale
from training.evaluation.map_sizes import padded, without_padding
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Rule, choose_thresholds

Maps = NDArray[np.float32]
ODD_RATE: Final = 0.005


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Evidence maps of images by networks that had not seen them."""

    samples: list[Sample]
    maps: Maps
    """n×h×w, as `padded` gives them where images have maps of many sizes."""
    fold_ids: NDArray[np.intp]
    """n; what is decided for images of one fold is decided on the other folds."""
    image_log_odds: ImageLogOdds | None = None
    """n, by the image head, which the maps don't have yet."""

    @property
    def is_anomaly(self) -> NDArray[np.bool_]:
        return np.array([sample.is_anomaly for sample in self.samples])

    @classmethod
    def concatenate(cls, folds: "Sequence[OutOfFold]") -> "OutOfFold":
        """All of these folds' samples; without an image head where a fold has none."""
        image_log_odds = [fold.image_log_odds for fold in folds if fold.image_log_odds is not None]
        return cls(
            [sample for fold in folds for sample in fold.samples],
            padded([evidence for fold in folds for evidence in fold.maps]),
            np.concatenate([fold.fold_ids for fold in folds]),
            np.concatenate(image_log_odds) if len(image_log_odds) == len(folds) else None,
        )

    def of(self, chosen: NDArray[np.bool_]) -> "OutOfFold":
        """The images that are `chosen`, a mask of n."""
        samples = [sample for sample, is_chosen in zip(self.samples, chosen, strict=True) if is_chosen]
        image_log_odds = None if self.image_log_odds is None else self.image_log_odds[chosen]
        return OutOfFold(samples, self.maps[chosen], self.fold_ids[chosen], image_log_odds)


@dataclass(frozen=True)
class Method:
    """How a post-processor is fitted."""

    pooling: Pooling
    rule: Rule
    defect_rate: float | None = None
    """The production line's defect rate; None: the data's."""
    calibration: Calibration | None = None
    """None: Platt's, on the held-out images."""
    use_masks: bool = True
    """Whether masks may raise the region threshold."""
    odd_rate: float = ODD_RATE
    """Share of ordinary images that the gate may stop."""
    one_size: bool = False
    """Whether an image of another size is odd, since its frame would have another scale."""
    many_sizes: bool = False
    """Whether images have maps of many sizes."""
    head: HeadWeights | None = None
    """Weights of the image head; None: as stacking finds them."""
    other_poolings: tuple[Pooling, ...] = ()
    """What may pool better than `pooling`: the one whose calibrated log-odds lose least is taken."""
    parts_per_false_alarm: int = PARTS_PER_FALSE_ALARM
    """Average number of parts until drift is alarmed of where there is none."""


@dataclass(frozen=True)
class PostProcessor:
    """Everything after the evidence map."""

    pooling: Pooling
    calibration: Calibration
    thresholds: Thresholds
    heatmap_scale: HeatmapScale
    shift: float
    """Log-odds that the production line's defect rate adds (see `model.verdict.prior_shift`)."""
    head: HeadWeights
    """How much of the image head verdict and heatmap have."""
    many_sizes: bool = False
    """Whether maps are padded."""

    @property
    def accepted_below(self) -> float:
        """Calibrated log-odds, at the calibration's defect rate, below which a part is accepted."""
        return self.thresholds.accepted_below(self.shift)

    def moved(self, slope: float, offset: float) -> "PostProcessor":
        """The post-processor with the same verdicts on another variant's evidence, where slope·evidence + offset is
        this one's."""
        ours, scale = self.calibration, self.heatmap_scale
        return replace(
            self,
            calibration=Calibration(ours.slope * slope, ours.slope * offset + ours.offset, ours.defect_rate),
            heatmap_scale=replace(
                scale,
                good_median=(scale.good_median - offset) / slope,
                region_threshold=(scale.region_threshold - offset) / slope,
            ),
        )

    def log_odds(self, images: OutOfFold) -> NDArray[np.float64]:
        """Calibrated log-odds n of images, at the calibration's defect rate."""
        predictions = self.predictions(images.samples, images.maps, images.image_log_odds)
        return np.array([each.log_odds for each in predictions])

    def predictions(
        self, samples: Sequence[Sample], maps: Maps, image_log_odds: ImageLogOdds | None, fold: int = 0
    ) -> list[Prediction]:
        """Predictions of samples with these maps, n×h×w, and log-odds n by the image head."""
        maps = add_image_head(maps, image_log_odds, self.head.verdict)
        log_odds = [self.calibration(pooled) for pooled in self.pooling(maps).tolist()]
        own = [without_padding(each) for each in maps] if self.many_sizes else maps
        beyond = np.zeros(len(maps)) if image_log_odds is None else self.head.beyond * image_log_odds
        scales = [self.heatmap_scale.moved(each) for each in beyond.tolist()]
        return [
            Prediction(sample, value, self.thresholds, evidence, scale, self.shift, fold)
            for sample, value, evidence, scale in zip(samples, log_odds, own, scales, strict=True)
        ]


def fit_post_processor(out_of_fold: OutOfFold, method: Method) -> PostProcessor:
    """Fit calibration, thresholds and heatmap scale. Raises DataError or ErrorBoundError where the images are too
    few."""
    is_anomaly = out_of_fold.is_anomaly
    pooling = _choose_pooling(out_of_fold, method)
    head = _head(pooling(out_of_fold.maps), out_of_fold, method)
    log_odds = pooling(add_image_head(out_of_fold.maps, out_of_fold.image_log_odds, head.verdict))
    shown = add_image_head(out_of_fold.maps, out_of_fold.image_log_odds, head.heatmap)
    calibration = method.calibration or fit_platt(log_odds, is_anomaly)
    calibrated = np.array([calibration(value) for value in log_odds.tolist()])
    shift = prior_shift(calibration.defect_rate, method.defect_rate)
    masked = np.array([sample.mask is not None and method.use_masks for sample in out_of_fold.samples])
    masks = _coverage(out_of_fold.of(masked), method)
    return PostProcessor(
        pooling=pooling,
        calibration=calibration,
        thresholds=choose_thresholds(method.rule, calibrated, is_anomaly, shift),
        heatmap_scale=choose_heatmap_scale(shown[~is_anomaly], shown[masked], masks),
        shift=shift,
        head=head,
        many_sizes=method.many_sizes,
    )


def _head(pooled: NDArray[np.float64], out_of_fold: OutOfFold, method: Method) -> HeadWeights:
    return method.head or choose_head_weights(pooled, out_of_fold.image_log_odds, out_of_fold.is_anomaly)


def _coverage(masked: OutOfFold, method: Method) -> Maps:
    """The defective share of each patch of these images, n×h×w; 0 beyond an image's own map."""
    if not method.many_sizes:
        return coverage(masked.samples, *masked.maps.shape[1:])
    shares = np.zeros_like(masked.maps)
    for share, sample, evidence in zip(shares, masked.samples, masked.maps, strict=True):
        height, width = without_padding(evidence).shape
        share[:height, :width] = coverage([sample], height, width)[0]
    return shares


def _choose_pooling(out_of_fold: OutOfFold, method: Method) -> Pooling:
    """The pooling whose log-odds have the least cross-entropy once they are calibrated, both classes weighing alike."""
    if not method.other_poolings:
        return method.pooling
    is_anomaly = out_of_fold.is_anomaly
    importance = np.where(is_anomaly, 0.5 / max(1, is_anomaly.sum()), 0.5 / max(1, (~is_anomaly).sum()))

    def loss(pooling: Pooling) -> float:
        pooled = pooling(out_of_fold.maps)
        if out_of_fold.image_log_odds is not None:
            pooled = pooled + _head(pooled, out_of_fold, method).verdict * out_of_fold.image_log_odds
        calibration = fit_platt(pooled, is_anomaly)
        calibrated = np.array([calibration(value) for value in pooled.tolist()])
        return float(importance @ np.logaddexp(0, np.where(is_anomaly, -calibrated, calibrated)))

    return min((method.pooling, *method.other_poolings), key=loss)


def cross_val_post_process(out_of_fold: OutOfFold, method: Method) -> list[Prediction]:
    """Predictions of each fold by a post-processor fitted on the other folds, in the order of the samples."""
    predictions: list[tuple[int, Prediction]] = []
    for fold in np.unique(out_of_fold.fold_ids).tolist():
        inside = out_of_fold.fold_ids == fold
        post_processor = fit_post_processor(out_of_fold.of(~inside), method)
        own = out_of_fold.of(inside)
        of_fold = post_processor.predictions(own.samples, own.maps, own.image_log_odds, fold)
        predictions += zip(np.flatnonzero(inside).tolist(), of_fold, strict=True)
    return [prediction for _, prediction in sorted(predictions, key=lambda pair: pair[0])]


def halves(out_of_fold: OutOfFold, seed: int) -> OutOfFold:
    """The same images in two folds, drawn by `seed`, each class divided evenly."""
    rng = np.random.default_rng(seed)
    fold_ids = np.zeros(len(out_of_fold.samples), np.intp)
    for members in (np.flatnonzero(out_of_fold.is_anomaly), np.flatnonzero(~out_of_fold.is_anomaly)):
        fold_ids[rng.permutation(members)[len(members) // 2 :]] = 1
    return replace(out_of_fold, fold_ids=fold_ids)
