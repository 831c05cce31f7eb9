"""What the narrow trunk of a cascade may clear: found on held-out verdicts of both trunks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.trunk_choice import CascadeTrial
from training.estimators.image_head import add_image_head
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    PostProcessor,
    cross_val_post_process,
    fit_post_processor,
)
from training.evaluation.prediction import Prediction
from training.evaluation.ranking import Ranking
from training.evaluation.trunk_choice import MOST_FLIPS, Verdicts, compare, most_flips

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_CLEARED_WRONGLY: Final = tuple(MOST_FLIPS / 2**halvings for halvings in range(1, 6))
"""Expected share of all images that are cleared though the full trunk doesn't accept them: the first that does no harm
is taken."""
_WEAK_PENALTY: Final = 1000.0
LEAST_CLEARED: Final = 0.4
"""Share of good images that must be cleared for a cascade to pay."""


@dataclass(frozen=True, eq=False)
class HeldOutPair:
    """Calibrated log-odds of the same n images by both trunks, neither of which had seen them."""

    full: Floats
    narrow: Floats
    accepted_below: Floats
    """n: the full trunk's log-odds below which each image is accepted, found without its fold."""
    fold_ids: NDArray[np.intp]

    def margin(self, wrongly: float) -> float:
        """How far below what is accepted an image's log-odds by the narrow trunk must lie to be cleared; ∞: none is.

        None of these images is cleared that the full trunk doesn't accept. Of others a share of `wrongly` is expected
        to be, by a logistic regression of that on the narrow trunk's log-odds.
        """
        distance, stopped = self.narrow - self.accepted_below, self.full >= self.accepted_below
        if stopped.all() or not stopped.any():
            return math.inf
        risk = LogisticRegression(C=_WEAK_PENALTY).fit(distance[:, np.newaxis], stopped)
        ascending = np.sort(distance[distance < distance[stopped].min()])
        if not len(ascending):
            return math.inf
        expected = np.cumsum(risk.predict_proba(ascending[:, np.newaxis])[:, 1])
        within = int(np.searchsorted(expected, wrongly * len(distance)))
        return max(0.0, -float(ascending[within - 1])) if within else math.inf

    def cleared(self, wrongly: float) -> Bools:
        """Which images are cleared, n: each fold's by the margin of the others."""
        cleared = np.zeros(len(self.full), np.bool_)
        for fold in np.unique(self.fold_ids):
            inside = self.fold_ids == fold
            margin = self.of(~inside).margin(wrongly)
            cleared[inside] = self.narrow[inside] <= self.accepted_below[inside] - margin
        return cleared

    @classmethod
    def concatenate(cls, pairs: "Sequence[HeldOutPair]") -> "HeldOutPair":
        """All of their images."""
        return cls(
            np.concatenate([pair.full for pair in pairs]),
            np.concatenate([pair.narrow for pair in pairs]),
            np.concatenate([pair.accepted_below for pair in pairs]),
            np.concatenate([pair.fold_ids for pair in pairs]),
        )

    def of(self, chosen: Bools) -> "HeldOutPair":
        """The images that are `chosen`, a mask of n."""
        return HeldOutPair(self.full[chosen], self.narrow[chosen], self.accepted_below[chosen], self.fold_ids[chosen])


@dataclass(frozen=True, eq=False)
class Clearing:
    """When a narrow trunk clears an image, and what its evidence is on the full trunk's scale."""

    full: PostProcessor
    narrow: PostProcessor
    margin: float
    """See `HeldOutPair.margin`."""

    @property
    def slope(self) -> float:
        """slope·evidence + offset of the narrow trunk has, by the full one's calibration, the log-odds of its own."""
        return self.narrow.calibration.slope / self.full.calibration.slope

    @property
    def offset(self) -> float:
        """See `slope`."""
        return self.full.calibration.inverse(self.narrow.calibration.offset)

    def cleared(self, narrow: OutOfFold) -> Bools:
        """Which of n images, by the narrow trunk's evidence."""
        return self.narrow.log_odds(narrow) <= self.full.accepted_below - self.margin

    def held_out(self, unseen: "Pair", folds: OutOfFold) -> HeldOutPair:
        """Log-odds of images by both trunks, each in the fold that it has in `folds`."""
        full, narrow = unseen
        fold_of = dict(zip((sample.name for sample in folds.samples), folds.fold_ids.tolist(), strict=True))
        return HeldOutPair(
            self.full.log_odds(full),
            self.narrow.log_odds(narrow),
            np.full(len(full.samples), self.full.accepted_below),
            np.array([fold_of[sample.name] for sample in full.samples], np.intp),
        )

    def merged(self, full: OutOfFold, narrow: OutOfFold) -> OutOfFold:
        """The evidence that decides on the same n images, as the full trunk's."""
        cleared = self.cleared(narrow)
        theirs = add_image_head(narrow.maps, narrow.image_log_odds, self.narrow.head.verdict)
        mapped, heads = (self.slope * theirs + self.offset).astype(np.float32), full.image_log_odds
        if heads is not None and self.full.head.verdict:  # it will be added, and the narrow trunk's own be shown
            own = np.zeros_like(heads) if narrow.image_log_odds is None else narrow.image_log_odds
            scaled = np.float32(self.slope * self.narrow.head.verdict / self.full.head.verdict) * own
            heads = np.where(cleared, scaled, heads)
            mapped = add_image_head(mapped, heads, -self.full.head.verdict)
        return replace(full, maps=np.where(cleared[:, None, None], mapped, full.maps), image_log_odds=heads)

    def auroc(self, full: OutOfFold, narrow: OutOfFold) -> tuple[float, float]:
        """AUROC of the full trunk alone, and of both, of the same images."""
        alone = self.full.log_odds(full)
        both = np.where(self.cleared(narrow), self.narrow.log_odds(narrow), alone)
        of_full, of_both = (float(Ranking.of(each, full.is_anomaly).auroc()[0]) for each in (alone, both))
        return of_full, of_both

    def missed(self, full: OutOfFold, narrow: OutOfFold) -> int:
        """Defective images that are cleared though the full trunk doesn't accept them."""
        stopped = self.full.log_odds(full) >= self.full.accepted_below
        return int((self.cleared(narrow) & stopped & full.is_anomaly).sum())


Pair = tuple[OutOfFold, OutOfFold]
"""The same images by the full trunk and by the narrow one, neither of which has learnt from their kind."""


def fit_clearing(
    full: OutOfFold,
    narrow: OutOfFold,
    method: Method,
    wrongly: float,
    unseen: Sequence[Pair] = (),
    known: Bools | None = None,
) -> Clearing:
    """On held-out evidence of the same n images by both trunks; the margin on those alone that are `known`, and on
    those of `unseen` (see `HeldOutPair.margin`). Raises as `fit_post_processor` does."""
    of_full = fit_post_processor(full, method)
    alike = replace(method, pooling=of_full.pooling, other_poolings=())
    clearing = Clearing(of_full, fit_post_processor(narrow, alike), margin=0.0)
    pair = _pair(cross_val_post_process(full, method), cross_val_post_process(narrow, alike), full.fold_ids)
    pairs = [pair if known is None else pair.of(known), *(clearing.held_out(each, full) for each in unseen)]
    return replace(clearing, margin=HeldOutPair.concatenate(pairs).margin(wrongly))


def try_cascade(
    share: float,
    full: OutOfFold,
    narrow: OutOfFold,
    method: Method,
    wrongly: float,
    unseen: Sequence[Pair] = (),
) -> CascadeTrial:
    """How the narrow trunk, with this share of the channels, and the full one together do on these images, beside the
    full one alone: each fold is cleared by what the others say, those of `unseen` included.

    It passes where next to no label differs, whatever that says of AUROC: how accepted parts rank among each other is
    the narrow trunk's.
    """
    is_anomaly, ours = full.is_anomaly, cross_val_post_process(full, method)
    pair = _pair(ours, cross_val_post_process(narrow, method), full.fold_ids)
    clearing = Clearing(fit_post_processor(full, method), fit_post_processor(narrow, method), margin=0.0)
    together = HeldOutPair.concatenate([pair, *(clearing.held_out(each, full) for each in unseen)])
    cleared = together.cleared(wrongly)[: len(is_anomaly)]
    labels = np.array([each.label == "anomaly" for each in ours])
    both = Verdicts(np.where(cleared, pair.narrow, pair.full), labels & ~cleared)
    trial = compare(share, Verdicts(pair.full, labels), both, is_anomaly)
    spared, most = float(cleared[~is_anomaly].mean()), most_flips(len(is_anomaly))
    found = (
        f"{trial.flips} of {trial.images} labels differ (at most {most}), and it clears {spared:.0%} of good images "
        f"(at least {LEAST_CLEARED:.0%}, for it to pay)"
    )
    passed = trial.flips <= most and spared >= LEAST_CLEARED
    return CascadeTrial(replace(trial, passed=passed, reason=found), spared, wrongly)


def with_missed(tried: CascadeTrial, by: Mapping[str, Clearing], unseen: Mapping[str, Pair]) -> CascadeTrial:
    """The same with what becomes of each kind of defect that was not learnt from, `by` verdicts on the other kinds: it
    fails where an image of one is cleared that the full trunk doesn't accept.

    AUROC is told, and doesn't decide: it is lower, too, where an image that the full trunk accepts is ranked among good
    ones otherwise, which no verdict depends on.
    """
    aurocs = {kind: by[kind].auroc(*pair) for kind, pair in unseen.items()}
    missed = {kind: by[kind].missed(*pair) for kind, pair in unseen.items()}
    trial, lost = replace(tried.trial, unseen_kinds=aurocs), [kind for kind, count in missed.items() if count]
    if lost:
        cleared = f"it clears {missed[lost[0]]} of it that the full one doesn't accept"
        trial = replace(trial, passed=False, reason=f"where it has not learnt from {lost[0]}, {cleared}")
    return replace(tried, trial=trial, missed=missed)


def _pair(ours: Sequence[Prediction], theirs: Sequence[Prediction], fold_ids: NDArray[np.intp]) -> HeldOutPair:
    return HeldOutPair(
        np.array([each.log_odds for each in ours]),
        np.array([each.log_odds for each in theirs]),
        np.array([each.thresholds.accepted_below(each.shift) for each in ours]),
        fold_ids,
    )
