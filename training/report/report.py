"""A report: what it is about, the predictions it shows, and the figures measured on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model.figures import Figures
from model.image import FullScale
from model.trunk_choice import TrunkChoice
from model.verdict import Thresholds
from training.evaluation.prediction import Prediction


@dataclass(frozen=True)
class DataSummary:
    """The images that were learnt from and measured on."""

    kinds: Mapping[str, int]
    """Images of each kind."""
    duplicates: int
    """Images that are copies of another one."""
    sizes: Mapping[str, int]
    """Images of each size in pixels, "width×height"."""
    fingerprint: str
    """SHA-256 over every image's content and kind."""


@dataclass(frozen=True)
class CurvePoint:
    """A measure's values after learning from so many defects, one for each random draw of them."""

    defects: int
    values: Sequence[float]


@dataclass(frozen=True)
class LearningCurve:
    """A measure (say "AUROC") over the number of defects in training."""

    measure: str
    points: Sequence[CurvePoint]


@dataclass(frozen=True)
class Subject:
    """The product, the model and how both came about. Every text in it may be a stranger's: it is escaped."""

    model: str
    version: int | None
    """None: nothing was exported, or it gets its number only after the report is written."""
    created: str
    """ISO 8601, UTC."""
    command: str
    recipe: Mapping[str, Any]
    input_size: int
    """Longer side of the heatmaps, in pixels, in which regions are found: the network's input, or a frame's."""
    full_scale: FullScale | None
    """White of the 16-bit images; None where there are none."""
    data: DataSummary
    seconds: Mapping[str, float]
    """Duration of each phase."""
    rule: str
    """The rule by which the thresholds were chosen, as a sentence."""
    about: str = ""
    """What was measured: a version, and where it is found, or a recipe."""
    statements: Sequence[str] = ()
    """Sentences on missed defects and rejected good parts, with their bounds."""
    warnings: Sequence[str] = ()
    """What a reader needs to know before trusting the figures, say that there are too few images."""
    thresholds: Thresholds | None = None
    """The exported version's; None: nothing was exported."""
    defect_rate: float | None = None
    """The production line's; None: not given, the data's stands."""
    calibrated_at: float | None = None
    """The defect rate at which probabilities hold where the line's isn't given; None: the measured images'."""
    one_network: bool = False
    """Whether one network predicted all images, and folds only chose thresholds for each other."""
    cost_ratio: float = 10.0
    """Cost of a missed defect, in good parts rejected."""
    error_before_calibration: float | None = None
    """Calibration error of the network's own probabilities."""
    learning_curve: LearningCurve | None = None
    trunk_choice: TrunkChoice | None = None
    """Why the network has a narrow trunk or the full one; None: that was not compared."""


@dataclass(frozen=True)
class Report:
    """All that a page is made from."""

    subject: Subject
    predictions: Sequence[Prediction]
    figures: Figures
    """Measured on the predictions."""

    def amended(self, **members: Any) -> "Report":
        """The same with these members of its subject."""
        return replace(self, subject=replace(self.subject, **members))
