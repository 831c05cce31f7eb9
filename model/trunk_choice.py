"""Why a version has a narrow trunk, or the full one: what both came to on the same held-out images."""

from dataclasses import dataclass
from typing import Literal

from model.figures import Count, Share


@dataclass(frozen=True)
class TrunkFigures:
    """Figures of one trunk's verdicts."""

    auroc: Share
    balanced_accuracy: Share
    errors: Count
    """Images whose label is wrong."""


@dataclass(frozen=True)
class TrunkChoice:
    """The trunk that was chosen, and the comparison that chose it."""

    trunk: Literal["full", "narrow"]
    reason: str
    """Why, as a sentence."""
    images: Count
    """Images that both trunks predicted out of fold: fewer than all where it was clear before."""
    full: TrunkFigures
    narrow: TrunkFigures
    unseen_kinds: dict[str, tuple[Share, Share]]
    """AUROC of each kind of defect, full and narrow, where neither trunk nor regression had seen the kind; empty where
    that was not compared."""
