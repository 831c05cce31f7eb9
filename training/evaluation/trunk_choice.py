"""The narrow trunk or the full one: decided on held-out verdicts of both on the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from model.trunk_choice import TrunkChoice, TrunkFigures
from training.evaluation.intervals import resampled
from training.evaluation.ranking import Ranking

MARGIN: Final = 0.003
"""Largest loss of AUROC, and of balanced accuracy, that a narrow trunk may bring."""
CERTAINTY: Final = 0.9
KIND_MARGIN: Final = 0.01
"""Largest loss of AUROC on a kind of defect that was not learnt from."""
_DRAWS: Final = 1000

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Verdicts:
    """One trunk's verdicts of n held-out images."""

    log_odds: Floats
    labels: Bools
    """Whether the label is anomaly."""

    def figures(self, is_anomaly: Bools) -> TrunkFigures:
        auroc, balanced = self.statistics(is_anomaly, np.ones((1, len(is_anomaly))))[0].tolist()
        return TrunkFigures(auroc, balanced, int((self.labels != is_anomaly).sum()))

    def statistics(self, is_anomaly: Bools, weights: Floats) -> Floats:
        """AUROC and balanced accuracy where each image counts as often as `weights`, m×n, say: m×2."""
        right = self.labels == is_anomaly
        shares = [(weights * (right & part)).sum(1) / weights[:, part].sum(1) for part in (is_anomaly, ~is_anomaly)]
        return np.column_stack([Ranking.of(self.log_odds, is_anomaly, weights).auroc(), np.mean(shares, axis=0)])


def is_hopeless(full: Verdicts, narrow: Verdicts, is_anomaly: Bools, share: float) -> bool:
    """Whether the narrow trunk has lost too much on this share of the images even if it loses nothing on the rest."""
    return bool((_losses(full, narrow, is_anomaly, np.ones((1, len(is_anomaly)))) * share > MARGIN).any())


def choose_trunk(full: Verdicts, narrow: Verdicts, is_anomaly: Bools) -> TrunkChoice:
    """Narrow where AUROC and balanced accuracy are lower by 0.3 points at most, with 90 % certainty.

    A paired bootstrap (Efron & Tibshirani 1993, section 13.3): both trunks are compared on the same draws of images.
    """
    drawn = np.concatenate(
        [_losses(full, narrow, is_anomaly, weights) for weights in resampled(is_anomaly, seed=0, draws=_DRAWS)]
    )
    bounds = np.quantile(drawn, CERTAINTY, axis=0).tolist()
    worse = [
        f"its {name} may be lower by {bound * 100:.1f} points (at most {MARGIN * 100:g})"
        for name, bound in zip(("AUROC", "balanced accuracy"), bounds, strict=True)
        if bound > MARGIN
    ]
    if worse:
        return _choice("full", f"the narrow trunk was not taken: {' and '.join(worse)}", full, narrow, is_anomaly)
    reason = f"the narrow trunk's AUROC and balanced accuracy are lower by {MARGIN * 100:g} points at most"
    return _choice("narrow", f"{reason}, with {CERTAINTY:.0%} certainty", full, narrow, is_anomaly)


def give_up(full: Verdicts, narrow: Verdicts, is_anomaly: Bools, share: float) -> TrunkChoice:
    """The full trunk, after a comparison on this share of the images alone (see `is_hopeless`)."""
    reason = f"the narrow trunk was given up after {share:.0%} of the images: it had lost too much for the rest to mend"
    return _choice("full", reason, full, narrow, is_anomaly)


def worst_unseen_kind(aurocs: Mapping[str, tuple[float, float]]) -> str | None:
    """The kind on which the narrow trunk loses most, if that is more than it may."""
    losses = {kind: full - narrow for kind, (full, narrow) in aurocs.items()}
    worst = max(losses, key=lambda kind: losses[kind], default=None)
    return worst if worst is not None and losses[worst] > KIND_MARGIN else None


def _losses(full: Verdicts, narrow: Verdicts, is_anomaly: Bools, weights: Floats) -> Floats:
    """What the narrow trunk loses of AUROC and of balanced accuracy, m×2."""
    return full.statistics(is_anomaly, weights) - narrow.statistics(is_anomaly, weights)


def _choice(
    trunk: Literal["full", "narrow"], reason: str, full: Verdicts, narrow: Verdicts, is_anomaly: Bools
) -> TrunkChoice:
    return TrunkChoice(trunk, reason, len(is_anomaly), full.figures(is_anomaly), narrow.figures(is_anomaly), {})
