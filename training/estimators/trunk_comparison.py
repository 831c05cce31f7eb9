"""Narrow trunks beside the full one, cross-validated on the same folds: one that does no harm is taken, or clears good
images before the full one, whichever means least work."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.hypercolumn import narrow_widths
from model.trunk_choice import CascadeTrial, TrunkChoice, TrunkTrial
from training.data.splits import Indices, Split
from training.data.training_set import TrainingSet
from training.estimators.estimator import CrossValidated, FittedCascade, FoldResult
from training.estimators.inner_folds import FoldPrediction, cross_validated, predict_fold, predict_folds
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patch_regression import PatchRegression
from training.estimators.patches import PreparedPatches
from training.estimators.unseen_kinds import UnseenKinds
from training.evaluation.clearing import (
    LEAST_CLEARED,
    MOST_CLEARED_WRONGLY,
    Clearing,
    Pair,
    fit_clearing,
    try_cascade,
    with_missed,
)
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    cross_val_post_process,
    fit_post_processor,
)
from training.evaluation.trunk_choice import Verdicts, compare, given_up, is_hopeless, with_unseen_kinds
from training.features.measuring import Measures
from training.progress import Advance, no_progress
from training.recipe import Patches


@dataclass(frozen=True, eq=False)
class PreparedTrunkComparison:
    """The same samples, ready for any of the trunks."""

    full: PreparedPatches
    narrow: Sequence[PreparedNarrowPatches]
    """Narrowest first."""
    method: Method
    """How verdicts are made of evidence: labels are compared too."""
    say: Callable[[str], None]
    """Told how each trunk did."""

    @property
    def training_set(self) -> TrainingSet:
        return self.full.training_set

    @property
    def recipe(self) -> Patches:
        return self.full.recipe

    @property
    def measures(self) -> Measures:
        return self.full.measures

    @property
    def fit_steps(self) -> int:
        return self.full.fit_steps * self.recipe.trunks_compared

    def fit(self, indices: Indices, advance: Advance = no_progress) -> PatchRegression:
        """With the full trunk: without a comparison there is nothing to say for another."""
        return self.full.fit(indices, advance)

    def cross_val_predict(self, real: Indices, advance: Advance) -> CrossValidated:
        """Predict each fold with the full trunk, twice, and with one narrow trunk after the other, which may decide
        alone or clear good images before the full one; fit what means least work for a good image on all."""
        full = list(predict_folds(self.full, real, advance))
        redrawn = self._compare(1.0, full, list(predict_folds(replace(self.full, draw=1), real, advance)))
        self._say("the full trunk on other patches", redrawn)
        trials, cascades, unseen = list[TrunkTrial](), list[CascadeTrial](), UnseenKinds(self.full, real)
        least, clearing = 1.0, None
        for narrow in self.narrow:
            if (own := self._work(narrow.share)) >= least:
                break
            trial, of_narrow = self._try(narrow, full, unseen, advance)
            self._say(f"a trunk with {trial.share:.1%} of the channels", trial)
            trials.append(trial)
            if trial.passed:
                choice = TrunkChoice(trial.share, redrawn, trials, cascades)
                return replace(cross_validated(narrow, real, of_narrow, advance), trunk_choice=choice)
            if self._may_cascade:
                tried = self._try_cascade(narrow, full, of_narrow, unseen)
                cascades.append(tried)
                if tried.trial.passed and own + 1 - tried.cleared < least:
                    least, clearing = own + 1 - tried.cleared, (narrow, of_narrow, tried)
        fitted = cross_validated(self.full, real, full, advance)
        choice = TrunkChoice(1.0, redrawn, trials, cascades, clearing[0].share if clearing else None)
        cascade = self._fit_cascade(*clearing, full, unseen, advance) if clearing else None
        return replace(fitted, trunk_choice=choice, cascade=cascade)

    def _work(self, share: float) -> float:
        """What an image costs a trunk with this share of the channels, beside the full one."""
        full = self.recipe.hypercolumn
        return replace(full, trunk=narrow_widths(share)).multiply_adds / full.multiply_adds

    @property
    def _may_cascade(self) -> bool:
        """Whether all images have one tile: whose evidence is the image's."""
        one_tile = self.recipe.tiles == 1 and not self.method.many_sizes
        return one_tile and self.training_set.anomalies != "synthetic"

    def _try_cascade(
        self,
        narrow: PreparedNarrowPatches,
        full: Sequence[FoldPrediction],
        of_narrow: Sequence[FoldPrediction],
        unseen: UnseenKinds,
    ) -> CascadeTrial:
        """How a narrow trunk before the full one did: as careful as it must be to pass, as long as that pays."""
        ours, theirs = _concatenated(full), _concatenated(of_narrow)
        for wrongly in MOST_CLEARED_WRONGLY:
            tried = try_cascade(narrow.share, ours, theirs, self.method, wrongly)
            if tried.trial.passed:
                pairs = unseen.pairs(narrow)
                tried = try_cascade(narrow.share, ours, theirs, self.method, wrongly, list(pairs.values()))
                by = {kind: self._without(kind, ours, theirs, pairs, wrongly) for kind in pairs}
                tried = with_missed(tried, by, pairs)
            if tried.trial.passed or tried.cleared < LEAST_CLEARED:
                break
        self._say(f"cleared by a trunk with {narrow.share:.1%} of the channels: {tried.cleared:.1%}", tried.trial)
        return tried

    def _fit_cascade(
        self,
        narrow: PreparedNarrowPatches,
        of_narrow: Sequence[FoldPrediction],
        tried: CascadeTrial,
        full: Sequence[FoldPrediction],
        unseen: UnseenKinds,
        advance: Advance,
    ) -> FittedCascade:
        """A narrow trunk that has passed before the full one, learnt from all."""
        pairs = list(unseen.pairs(narrow).values())
        clearing = fit_clearing(_concatenated(full), _concatenated(of_narrow), self.method, tried.wrongly, pairs)
        fitted = narrow.fit(self.training_set.train_indices(unseen.real), advance)
        return FittedCascade(fitted, clearing, tried)

    def _without(
        self, kind: str, full: OutOfFold, narrow: OutOfFold, unseen: Mapping[str, Pair], wrongly: float
    ) -> Clearing:
        """What may be cleared by verdicts on the other kinds, learnt from or not."""
        others = np.array([sample.kind != kind for sample in full.samples])
        pairs = [unseen[each] for each in unseen if each != kind]
        return fit_clearing(full, narrow, self.method, wrongly, pairs, others)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """The trunk is chosen within the training part, like everything else."""
        return predict_fold(self, split, method, advance, fold)

    def _try(
        self,
        narrow: PreparedNarrowPatches,
        full: Sequence[FoldPrediction],
        unseen: UnseenKinds,
        advance: Advance,
    ) -> tuple[TrunkTrial, list[FoldPrediction]]:
        """How a narrow trunk did, and what it predicted: all folds where it may clear images, or as many as it took."""
        parts: list[FoldPrediction] = []
        for of_fold in predict_folds(narrow, unseen.real, advance):
            parts.append(of_fold)
            share = len(parts) / len(full)
            may_give_up = not self._may_cascade and 1 < len(parts) < len(full)
            if may_give_up and self._is_hopeless(full[: len(parts)], parts, share):
                return given_up(self._compare(narrow.share, full[: len(parts)], parts), share), parts
        trial = self._compare(narrow.share, full, parts)
        if trial.passed:
            by = [fit_post_processor(_concatenated(each), self.method) for each in (full, parts)]
            trial = with_unseen_kinds(trial, unseen.aurocs(narrow, by))
        return trial, parts

    def _is_hopeless(self, full: Sequence[FoldPrediction], narrow: Sequence[FoldPrediction], share: float) -> bool:
        """Of at least two folds: thresholds are each one's by the others."""
        return is_hopeless(self._verdicts(full), self._verdicts(narrow), _concatenated(full).is_anomaly, share)

    def _compare(self, share: float, full: Sequence[FoldPrediction], other: Sequence[FoldPrediction]) -> TrunkTrial:
        return compare(share, self._verdicts(full), self._verdicts(other), _concatenated(full).is_anomaly)

    def _verdicts(self, parts: Sequence[FoldPrediction]) -> Verdicts:
        predictions = cross_val_post_process(_concatenated(parts), self.method)
        return Verdicts(
            np.array([prediction.log_odds for prediction in predictions]),
            np.array([prediction.label == "anomaly" for prediction in predictions]),
        )

    def _say(self, name: str, trial: TrunkTrial) -> None:
        self.say(
            f"  {name}: AUROC {trial.figures.auroc:.4f} ({trial.full.auroc:.4f}), balanced accuracy "
            f"{trial.figures.balanced_accuracy:.1%} ({trial.full.balanced_accuracy:.1%}), {trial.flips} flips of "
            f"{trial.images}; {trial.reason}"
        )


def _concatenated(parts: Sequence[FoldPrediction]) -> OutOfFold:
    return OutOfFold.concatenate([part.out_of_fold for part in parts])
