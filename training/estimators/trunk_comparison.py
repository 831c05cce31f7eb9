"""Narrow trunks beside the full one, cross-validated on the same folds: the narrowest that does no harm is taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.trunk_choice import TrunkChoice, TrunkTrial
from training.data.samples import GOOD
from training.data.splits import Indices, Split, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import CrossValidated, FoldResult, PreparedEstimator
from training.estimators.inner_folds import FoldPrediction, cross_validated, predict_fold, predict_folds
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patch_regression import PatchRegression
from training.estimators.patches import PreparedPatches
from training.evaluation.post_processing import Method, OutOfFold, cross_val_post_process
from training.evaluation.ranking import Ranking
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
        """Predict each fold with the full trunk, twice, and with one narrow trunk after the other until one passes; fit
        the chosen one on all."""
        chosen: PreparedEstimator = self.full
        full = parts = list(predict_folds(self.full, real, advance))
        redrawn = self._compare(1.0, full, list(predict_folds(replace(self.full, draw=1), real, advance)))
        trials: list[TrunkTrial] = []
        self._say("the full trunk on other patches", redrawn)
        for narrow in self.narrow:
            trial, of_narrow = self._try(narrow, full, real, advance)
            trials.append(trial)
            self._say(f"a trunk with {trial.share:.1%} of the channels", trial)
            if trial.passed:
                chosen, parts = narrow, of_narrow
                break
        choice = TrunkChoice(trials[-1].share if trials[-1].passed else 1.0, redrawn, trials)
        return replace(cross_validated(chosen, real, parts, advance), trunk_choice=choice)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """The trunk is chosen within the training part, like everything else."""
        return predict_fold(self, split, method, advance, fold)

    def _try(
        self, narrow: PreparedNarrowPatches, full: Sequence[FoldPrediction], real: Indices, advance: Advance
    ) -> tuple[TrunkTrial, list[FoldPrediction]]:
        """How a narrow trunk did, and what it predicted: as many folds as it took."""
        parts: list[FoldPrediction] = []
        for of_fold in predict_folds(narrow, real, advance):
            parts.append(of_fold)
            share = len(parts) / len(full)
            if 1 < len(parts) < len(full) and self._is_hopeless(full[: len(parts)], parts, share):
                return given_up(self._compare(narrow.share, full[: len(parts)], parts), share), parts
        trial = self._compare(narrow.share, full, parts)
        return (with_unseen_kinds(trial, self._unseen_kinds(narrow, real)) if trial.passed else trial), parts

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

    def _unseen_kinds(self, narrow: PreparedNarrowPatches, real: Indices) -> dict[str, tuple[float, float]]:
        """AUROC of each kind of defect, by the full trunk and by this one, where neither has learnt from the kind."""
        samples = [self.training_set.samples[i] for i in real]
        kinds = sorted({sample.kind for sample in samples} - {GOOD})
        if len(kinds) < 2 or self.training_set.anomalies == "synthetic":
            return {}
        test = make_folds(samples, self.recipe.inner_folds, self.recipe.seed)[0].test
        good = np.array([i for i in real[test] if not self.training_set.is_anomaly[i]])
        return {kind: self._unseen(kind, good, real, narrow) for kind in kinds}

    def _unseen(self, kind: str, good: Indices, real: Indices, narrow: PreparedNarrowPatches) -> tuple[float, float]:
        """AUROC of a kind against these good samples, by either trunk, learnt from what is neither."""
        samples = self.training_set.samples
        of_kind = np.array([i for i in real if samples[i].kind == kind])
        test = np.concatenate([good, of_kind])
        groups = {samples[i].group for i in test}
        known = self.training_set.train_indices(np.array([i for i in real if samples[i].group not in groups]))
        scores = (self.recipe.pooling(estimator.fit(known).evidence(test)) for estimator in (self.full, narrow))
        of_full, of_narrow = (float(Ranking.of(s, self.training_set.is_anomaly[test]).auroc()[0]) for s in scores)
        return of_full, of_narrow

    def _say(self, name: str, trial: TrunkTrial) -> None:
        self.say(
            f"  {name}: AUROC {trial.figures.auroc:.4f} ({trial.full.auroc:.4f}), balanced accuracy "
            f"{trial.figures.balanced_accuracy:.1%} ({trial.full.balanced_accuracy:.1%}), {trial.flips} flips of "
            f"{trial.images}; {trial.reason}"
        )


def _concatenated(parts: Sequence[FoldPrediction]) -> OutOfFold:
    return OutOfFold.concatenate([part.out_of_fold for part in parts])
