"""Why a version has a narrow trunk, or the full one: what each came to on the same held-out images."""

from dataclasses import dataclass, field
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
class TrunkTrial:
    """A trunk beside the full one."""

    share: Share
    """Share of each layer's channels that it has; 1: the full trunk."""
    images: Count
    """Images that both trunks predicted out of fold: fewer than all where it was clear before."""
    full: TrunkFigures
    """The full trunk's."""
    figures: TrunkFigures
    """Its own."""
    flips: Count
    """Images whose label is not the full trunk's."""
    auroc_loss: float
    """How much lower its AUROC may be: the upper bound of a one-sided 90 % interval."""
    balanced_accuracy_loss: float
    """The same of balanced accuracy."""
    passed: bool
    reason: str
    """Why it passed, or didn't, as a sentence about it."""
    unseen_kinds: dict[str, tuple[Share, Share]]
    """AUROC of each kind of defect, the full trunk's and its own, where neither trunk nor regression had seen the kind:
    of a trunk that is to decide alone up to the first that is lost; empty where that was not compared."""


@dataclass(frozen=True)
class CascadeTrial:
    """A narrow trunk that clears good images, and the full one for all others, beside the full one alone."""

    trial: TrunkTrial
    """Its verdicts beside the full trunk's; `share` is the narrow one's."""
    cleared: Share
    """Share of the good images that the narrow trunk cleared: the full one is spared so many."""
    wrongly: Share
    """Share of all images that were expected to be cleared though the full trunk doesn't accept them."""
    missed: dict[str, Count] = field(default_factory=dict)
    """Of each kind of defect the images that were cleared though the full trunk doesn't accept them, where neither
    trunk, nor regression, nor margin had seen the kind; empty where that was not compared."""


@dataclass(frozen=True)
class TrunkChoice:
    """The trunk that was chosen, and the trials that chose it: of least work for a good image."""

    share: Share
    """Share of each layer's channels that the chosen trunk has; 1: the full trunk."""
    redrawn: TrunkTrial
    """The full trunk once more, its regression on other patches: what the trials' differences are held against."""
    trials: list[TrunkTrial]
    """Narrow trunks that were tried, narrowest first: wider ones aren't, once they can't mean less work."""
    cascades: list[CascadeTrial] = field(default_factory=list)
    """Narrow trunks before the full one, those of `trials` that may not decide alone; empty: there was none, images
    have several tiles, or there were synthetic anomalies alone."""
    clearing_share: Share | None = None
    """Share of the channels of the narrow trunk that clears images before the full one; null: none does."""

    @property
    def trunk(self) -> Literal["full", "narrow", "cascade"]:
        """What was chosen."""
        if self.share < 1:
            return "narrow"
        return "full" if self.clearing_share is None else "cascade"

    @property
    def cascade(self) -> CascadeTrial | None:
        """The trial of the chosen cascade; None: none was chosen."""
        return next((each for each in self.cascades if each.trial.share == self.clearing_share), None)
