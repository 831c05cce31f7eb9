"""Whether a narrow trunk does as well as the full one: decided on held-out verdicts of both on the same images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.trunk_choice import TrunkFigures, TrunkTrial
from training.evaluation.intervals import DRAWS, resampled
from training.evaluation.ranking import Ranking

MARGIN: Final = 0.003
"""Largest loss of AUROC, and of balanced accuracy, that a narrow trunk may bring."""
CERTAINTY: Final = 0.9
MOST_FLIPS: Final = 0.005
"""Share of labels that may differ, one at least, whatever that says of balanced accuracy."""
KIND_MARGIN: Final = 0.01
"""Largest loss of AUROC on a kind of defect that was not learnt from."""

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

    def flips(self, other: "Verdicts") -> int:
        """Images whose label is another by the other trunk."""
        return int((self.labels != other.labels).sum())

    def statistics(self, is_anomaly: Bools, weights: Floats) -> Floats:
        """AUROC and balanced accuracy where each image counts as often as `weights`, m×n, say: m×2."""
        right = self.labels == is_anomaly
        shares = [(weights * (right & part)).sum(1) / weights[:, part].sum(1) for part in (is_anomaly, ~is_anomaly)]
        return np.column_stack([Ranking.of(self.log_odds, is_anomaly, weights).auroc(), np.mean(shares, axis=0)])


def is_hopeless(full: Verdicts, narrow: Verdicts, is_anomaly: Bools, part: float) -> bool:
    """Whether the narrow trunk has lost too much on this part of the images even if it loses nothing on the rest."""
    auroc, balanced = (_losses(full, narrow, is_anomaly, np.ones((1, len(is_anomaly))))[0] * part).tolist()
    return auroc > MARGIN or (balanced > MARGIN and full.flips(narrow) > most_flips(len(is_anomaly) / part))


def compare(share: float, full: Verdicts, narrow: Verdicts, is_anomaly: Bools) -> TrunkTrial:
    """A trunk with `share` of the channels passes where its AUROC and balanced accuracy are lower by 0.3 points at
    most, with 90 % certainty; of balanced accuracy it is enough that next to no label differs.

    A paired bootstrap (Efron & Tibshirani 1993, section 13.3): both trunks are compared on the same draws of images. Of
    few defects it can't be so certain: where the full trunk's regression is learnt from other patches, one label of
    351 differs, and it wouldn't pass either (docs/experiments.md).
    """
    drawn = np.concatenate(
        [_losses(full, narrow, is_anomaly, weights) for weights in resampled(is_anomaly, seed=0, draws=DRAWS)]
    )
    auroc, balanced = np.quantile(drawn, CERTAINTY, axis=0).tolist()
    images, flips = len(is_anomaly), full.flips(narrow)
    most = most_flips(images)
    worse = []
    if auroc > MARGIN:
        worse.append(f"its AUROC may be lower by {_points(auroc)} (at most {MARGIN * 100:g})")
    if balanced > MARGIN and flips > most:
        worse.append(
            f"its balanced accuracy may be lower by {_points(balanced)} (at most {MARGIN * 100:g}, or {most} labels)"
        )
    good = f"its AUROC may be lower by {_points(auroc)} at most, its balanced accuracy by {_points(balanced)}"
    return TrunkTrial(
        share=share,
        images=images,
        full=full.figures(is_anomaly),
        figures=narrow.figures(is_anomaly),
        flips=flips,
        auroc_loss=auroc,
        balanced_accuracy_loss=balanced,
        passed=not worse,
        reason=" and ".join(worse) or f"{good}, with {CERTAINTY:.0%} certainty; {flips} of {images} labels differ",
        unseen_kinds={},
    )


def given_up(trial: TrunkTrial, part: float) -> TrunkTrial:
    """The same after a comparison on this part of the images alone (see `is_hopeless`)."""
    reason = f"it was given up after {part:.0%} of the images: it had lost too much for the rest to mend"
    return replace(trial, passed=False, reason=reason)


def is_lost(full: float, narrow: float) -> bool:
    """Whether the narrow trunk's AUROC of a kind that was not learnt from is too much lower."""
    return full - narrow > KIND_MARGIN


def with_unseen_kinds(trial: TrunkTrial, aurocs: Mapping[str, tuple[float, float]]) -> TrunkTrial:
    """The same with these AUROCs of the full trunk and of the narrow one; it fails where that loses a kind."""
    lost = [kind for kind, both in aurocs.items() if is_lost(*both)]
    if not lost:
        return replace(trial, unseen_kinds=dict(aurocs))
    reason = f"where it has not learnt from {lost[0]}, it finds less of it"
    return replace(trial, passed=False, reason=reason, unseen_kinds=dict(aurocs))


def _losses(full: Verdicts, narrow: Verdicts, is_anomaly: Bools, weights: Floats) -> Floats:
    """What the narrow trunk loses of AUROC and of balanced accuracy, m×2."""
    return full.statistics(is_anomaly, weights) - narrow.statistics(is_anomaly, weights)


def most_flips(images: float) -> int:
    """Labels of so many images that may differ, whatever that says of balanced accuracy."""
    return max(1, int(MOST_FLIPS * images))


def _points(loss: float) -> str:
    return f"{max(0.0, loss) * 100:.1f} points"
