"""Figures of how good a model was measured to be, each with its uncertainty. Positive is anomaly."""

from dataclasses import dataclass
from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: Amount
    low: Amount
    high: Amount


@dataclass(frozen=True)
class KindFigures:
    """Figures of the images of one kind: good, or a kind of defect."""

    errors: Count
    """Images whose label is wrong."""
    images: Count
    auroc: Share | None = None
    """AUROC of this kind of defect against all good images; None: the kind is good."""


@dataclass(frozen=True)
class Decisions:
    """How many images of one class got each decision."""

    accept: Count
    review: Count
    reject: Count

    @property
    def images(self) -> int:
        return self.accept + self.review + self.reject


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error over 15 equal-mass bins: how far probabilities are from the shares of anomalies.

    Right probabilities have such an error too, since images are few: half of the time above `chance_median`, once in
    twenty above `chance_95`.
    """

    value: Share
    chance_median: Share
    chance_95: Share


@dataclass(frozen=True)
class Localisation:
    """How well heatmaps lie on masks, at each image's own size, over images with a mask and good images."""

    images: Count
    """Images with a mask."""
    components: Count
    """Connected components of those masks: defects."""
    pixel_auroc: Share
    """AUROC of defective pixels against all others."""
    aupro: Share
    """Mean overlap with components over false-positive rates of pixels up to 30 %, 1 at best (Bergmann et al. 2021)."""
    pointing_game: Estimate
    """Share of images with a mask whose brightest pixel lies on it, without tolerance (Zhang et al. 2018)."""
    region_iou: Share
    """Intersection over union of a component and the region that fits it best, 0 without any; mean over components."""
    component_recall: Estimate
    """Share of components that some region touches."""


@dataclass(frozen=True)
class Figures:
    """Figures on images that the measured model had not seen.

    Intervals are Wilson's for shares of images, combined from those for balanced accuracy (Newcombe 1998), else a
    stratified bootstrap's.
    """

    protocol: str
    """Which images were predicted by which models, in words."""
    true_positives: Count
    true_negatives: Count
    false_positives: Count
    false_negatives: Count
    accuracy: Estimate
    balanced_accuracy: Estimate
    auroc: Estimate
    average_precision: Estimate
    miss_rate_at_1_percent: Estimate
    """Share of defects missed at the threshold that rejects at most 1 % of these good images."""
    miss_rate_at_5_percent: Estimate
    """Share of defects missed at the threshold that rejects at most 5 % of these good images."""
    log_loss: Estimate
    """Mean cross-entropy in nats, like the Brier score and the calibration error at the calibration's defect rate."""
    brier_score: Estimate
    calibration_error: CalibrationError
    good_decisions: Decisions
    defect_decisions: Decisions
    by_kind: dict[str, KindFigures]
    good_images_with_region: Estimate
    """Share of good images whose heatmap shows a region."""
    good_heatmap_median: Share
    """Median of the heatmap's values over good images."""
    localisation: Localisation | None = None
    """None: no image has a mask."""
