"""Narrow trunks beside the full one, cross-validated on the same folds: the narrowest that does no harm is taken, or
clears good images before the full one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.trunk_choice import CascadeTrial, TrunkChoice, TrunkTrial
from training.data.samples import GOOD
from training.data.splits import Indices, Split, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import CrossValidated, FittedCascade, FoldResult, predict
from training.estimators.inner_folds import FoldPrediction, cross_validated, predict_fold, predict_folds
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patch_regression import PatchRegression
from training.estimators.patches import PreparedPatches
from training.evaluation.clearing import Clearing, Pair, fit_clearing, try_cascade
from training.evaluation.post_processing import (
    Method,
    OutOfFold,
    PostProcessor,
    cross_val_post_process,
    fit_post_processor,
)
from training.evaluation.ranking import Ranking
from training.evaluation.trunk_choice import Verdicts, compare, given_up, is_hopeless, is_lost, with_unseen_kinds
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
        """Predict each fold with the full trunk, twice, and with one narrow trunk after the other until one passes; fit
        the chosen one on all. Where none passes, the narrowest may still clear good images before the full one."""
        full = list(predict_folds(self.full, real, advance))
        redrawn = self._compare(1.0, full, list(predict_folds(replace(self.full, draw=1), real, advance)))
        self._say("the full trunk on other patches", redrawn)
        trials: list[TrunkTrial] = []
        of_narrowest: list[FoldPrediction] = []
        for narrow in self.narrow:
            trial, of_narrow = self._try(narrow, full, real, advance, to_the_end=not trials and self._may_cascade)
            self._say(f"a trunk with {trial.share:.1%} of the channels", trial)
            if trial.passed:
                choice = TrunkChoice(trial.share, redrawn, [*trials, trial])
                return replace(cross_validated(narrow, real, of_narrow, advance), trunk_choice=choice)
            trials.append(trial)
            of_narrowest = of_narrowest or of_narrow
        fitted = cross_validated(self.full, real, full, advance)
        if not self._may_cascade:
            return replace(fitted, trunk_choice=TrunkChoice(1.0, redrawn, trials))
        cascade, tried = self._cascade(full, of_narrowest, real, advance)
        return replace(fitted, trunk_choice=TrunkChoice(1.0, redrawn, trials, tried), cascade=cascade)

    @property
    def _may_cascade(self) -> bool:
        """Whether all images have one tile: whose evidence is the image's."""
        one_tile = self.recipe.tiles == 1 and not self.method.many_sizes
        return one_tile and self.training_set.anomalies != "synthetic"

    def _cascade(
        self, full: Sequence[FoldPrediction], narrow: Sequence[FoldPrediction], real: Indices, advance: Advance
    ) -> tuple[FittedCascade | None, CascadeTrial]:
        """The narrowest trunk before the full one, where that does no harm, and how it did."""
        ours, theirs, narrowest = _concatenated(full), _concatenated(narrow), self.narrow[0]
        tried, unseen = try_cascade(narrowest.share, ours, theirs, self.method), dict[str, Pair]()
        if tried.trial.passed:
            unseen = {kind: self._unseen(kind, real, narrowest) for kind in self._kinds(real)}
            tried = try_cascade(narrowest.share, ours, theirs, self.method, list(unseen.values()))
            aurocs = {kind: self._without(kind, ours, theirs, unseen).auroc(*unseen[kind]) for kind in unseen}
            tried = replace(tried, trial=with_unseen_kinds(tried.trial, aurocs))
        self._say(f"cleared by a trunk with {narrowest.share:.1%} of the channels: {tried.cleared:.1%}", tried.trial)
        if not tried.trial.passed:
            return None, tried
        fitted = narrowest.fit(self.training_set.train_indices(real), advance)
        return FittedCascade(fitted, fit_clearing(ours, theirs, self.method, list(unseen.values())), tried), tried

    def _without(self, kind: str, full: OutOfFold, narrow: OutOfFold, unseen: Mapping[str, Pair]) -> Clearing:
        """What may be cleared by verdicts on the other kinds, learnt from or not."""
        others = np.array([sample.kind != kind for sample in full.samples])
        return fit_clearing(full, narrow, self.method, [unseen[each] for each in unseen if each != kind], others)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """The trunk is chosen within the training part, like everything else."""
        return predict_fold(self, split, method, advance, fold)

    def _try(
        self,
        narrow: PreparedNarrowPatches,
        full: Sequence[FoldPrediction],
        real: Indices,
        advance: Advance,
        *,
        to_the_end: bool,
    ) -> tuple[TrunkTrial, list[FoldPrediction]]:
        """How a narrow trunk did, and what it predicted: as many folds as it took, or all."""
        parts: list[FoldPrediction] = []
        for of_fold in predict_folds(narrow, real, advance):
            parts.append(of_fold)
            share = len(parts) / len(full)
            if not to_the_end and 1 < len(parts) < len(full) and self._is_hopeless(full[: len(parts)], parts, share):
                return given_up(self._compare(narrow.share, full[: len(parts)], parts), share), parts
        trial = self._compare(narrow.share, full, parts)
        if trial.passed:
            by = [fit_post_processor(_concatenated(each), self.method) for each in (full, parts)]
            trial = with_unseen_kinds(trial, self._unseen_aurocs(real, narrow, by))
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

    def _kinds(self, real: Indices) -> list[str]:
        """Kinds of defect to leave out in turn; none where there is but one."""
        kinds = sorted({self.training_set.samples[i].kind for i in real} - {GOOD})
        return kinds if len(kinds) > 1 and self.training_set.anomalies != "synthetic" else []

    def _unseen_aurocs(
        self, real: Indices, narrow: PreparedNarrowPatches, by: Sequence[PostProcessor]
    ) -> dict[str, tuple[float, float]]:
        """AUROCs of either trunk's verdicts on each kind that neither has learnt from, up to the first that is lost.
        `by`: the full trunk's post-processor, and the narrow one's."""
        found: dict[str, tuple[float, float]] = {}
        for kind in self._kinds(real):
            trunks = self._unseen(kind, real, narrow)
            of_full, of_narrow = (
                float(Ranking.of(post_processor.log_odds(each), each.is_anomaly).auroc()[0])
                for post_processor, each in zip(by, trunks, strict=True)
            )
            found[kind] = of_full, of_narrow
            if is_lost(of_full, of_narrow):
                break
        return found

    def _unseen(self, kind: str, real: Indices, narrow: PreparedNarrowPatches) -> Pair:
        """Evidence of a kind's images, and of the first fold's good ones, by either trunk, learnt from what is
        neither."""
        training_set, samples = self.training_set, self.training_set.samples
        first = make_folds([samples[i] for i in real], self.recipe.inner_folds, self.recipe.seed)[0]
        good = real[first.test][~training_set.is_anomaly[real[first.test]]]
        test = np.concatenate([good, [i for i in real if samples[i].kind == kind]])
        groups = {samples[i].group for i in test}
        known = training_set.train_indices(np.array([i for i in real if samples[i].group not in groups]))
        of_full, of_narrow = (predict(training_set, each.fit(known), test, 0) for each in (self.full, narrow))
        return of_full, of_narrow

    def _say(self, name: str, trial: TrunkTrial) -> None:
        self.say(
            f"  {name}: AUROC {trial.figures.auroc:.4f} ({trial.full.auroc:.4f}), balanced accuracy "
            f"{trial.figures.balanced_accuracy:.1%} ({trial.full.balanced_accuracy:.1%}), {trial.flips} flips of "
            f"{trial.images}; {trial.reason}"
        )


def _concatenated(parts: Sequence[FoldPrediction]) -> OutOfFold:
    return OutOfFold.concatenate([part.out_of_fold for part in parts])
