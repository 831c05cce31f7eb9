"""What a report is about, beside the predictions and the figures measured on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.image import FullScale
from model.verdict import Thresholds


@dataclass(frozen=True)
class DataFacts:
    """The images that were learnt from and measured on."""

    kinds: Mapping[str, int]
    duplicates: int
    """Images that are copies of another one."""
    sizes: Mapping[str, int]
    """How many images are so many pixels "width×height"."""
    fingerprint: str
    """SHA-256 over every image's content and kind."""


@dataclass(frozen=True)
class CurvePoint:
    """What was reached with so many defects in training, once for each random draw of them."""

    defects: int
    values: Sequence[float]


@dataclass(frozen=True)
class LearningCurve:
    """A measure (say "AUROC") over the number of defects that training had."""

    measure: str
    points: Sequence[CurvePoint]


@dataclass(frozen=True)
class Subject:
    """The product, the model and how both came about. Every text in it may be a stranger's: it is escaped."""

    model: str
    version: int | None
    """None: nothing was exported, or it gets its number only after this page is written."""
    created: str
    """ISO 8601, UTC."""
    command: str
    recipe: Mapping[str, Any]
    input_size: int
    """Side of the network's input in pixels, at which pictures and regions are made."""
    full_scale: FullScale | None
    """White of the 16-bit photos; None where there are none."""
    data: DataFacts
    seconds: Mapping[str, float]
    """How long each phase took."""
    rule: str
    """How the thresholds were chosen, as a sentence."""
    about: str = ""
    """What was measured: a version, and where it is found, or a procedure."""
    statements: Sequence[str] = ()
    """What may be said of missed defects and rejected good parts; a promise, or why there is none."""
    warnings: Sequence[str] = ()
    """What a reader must know before trusting the figures, say that the data is too thin."""
    thresholds: Thresholds | None = None
    """That the version was exported with; None: nothing was exported."""
    defect_rate: float | None = None
    """The line's share of defects; None: not told, the data's own share stands."""
    calibrated_at: float | None = None
    """The share of defects at which probabilities hold where the line's isn't told; None: the measured images'."""
    one_network: bool = False
    """Whether one network judged all images, and folds only chose thresholds for each other."""
    cost_ratio: float = 10.0
    """What a missed defect costs, in good parts rejected."""
    error_before_calibration: float | None = None
    """Calibration error of the network's own probabilities."""
    learning_curve: LearningCurve | None = None
