"""Both trunks, cross-validated on the same folds: the narrow one is taken where it is shown to do no harm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.trunk_choice import TrunkChoice
from training.data.samples import GOOD
from training.data.splits import Indices, Split, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import CrossValidated, PreparedEstimator
from training.estimators.inner_folds import FoldPrediction, cross_validated, predict_fold, predict_folds
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patch_regression import PatchRegression
from training.estimators.patches import PreparedPatches
from training.evaluation.post_processing import Method, OutOfFold, cross_val_post_process
from training.evaluation.prediction import Prediction
from training.evaluation.ranking import Ranking
from training.evaluation.trunk_choice import Verdicts, choose_trunk, give_up, is_hopeless, worst_unseen_kind
from training.features.measuring import Measures
from training.progress import Advance, no_progress
from training.recipe import Patches


@dataclass(frozen=True, eq=False)
class PreparedTrunkComparison:
    """The same samples, ready for either trunk."""

    full: PreparedPatches
    narrow: PreparedNarrowPatches
    method: Method
    """How verdicts are made of evidence: labels are compared too."""
    say: Callable[[str], None]
    """Told which trunk was taken, and why."""

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
        return self.full.fit_steps + self.narrow.fit_steps

    def fit(self, indices: Indices, advance: Advance = no_progress) -> PatchRegression:
        """With the full trunk: without a comparison there is nothing to say for another."""
        return self.full.fit(indices, advance)

    def cross_val_predict(self, real: Indices, advance: Advance) -> CrossValidated:
        """Predict each fold with both trunks, as long as the narrow one may win, and fit the chosen one on all."""
        full: list[FoldPrediction] = []
        narrow: list[FoldPrediction] = []
        folds_of_full = predict_folds(self.full, real, advance)
        for of_full, of_narrow in zip(folds_of_full, predict_folds(self.narrow, real, advance), strict=True):
            full.append(of_full)
            narrow.append(of_narrow)
            if (choice := self._early(full, narrow)) is not None:
                break
        else:
            choice = self._unless_a_kind_is_lost(self._compare(full, narrow), real)
        self.say(f"  trunk: {choice.trunk}; {choice.reason}")
        chosen: PreparedEstimator = self.narrow if choice.trunk == "narrow" else self.full
        parts = narrow if choice.trunk == "narrow" else [*full, *folds_of_full]
        return replace(cross_validated(chosen, real, parts, advance), trunk_choice=choice)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> list[Prediction]:
        """The trunk is chosen within the training part, like everything else."""
        return predict_fold(self, split, method, advance, fold)

    def _early(self, full: Sequence[FoldPrediction], narrow: Sequence[FoldPrediction]) -> TrunkChoice | None:
        """The full trunk, if it is clear already; thresholds are each fold's by the others, so two are needed."""
        share = len(full) / self.recipe.inner_folds
        if not 1 < len(full) < self.recipe.inner_folds:
            return None
        verdicts = self._verdicts(full), self._verdicts(narrow)
        is_anomaly = _concatenated(full).is_anomaly
        return give_up(*verdicts, is_anomaly, share) if is_hopeless(*verdicts, is_anomaly, share) else None

    def _compare(self, full: Sequence[FoldPrediction], narrow: Sequence[FoldPrediction]) -> TrunkChoice:
        is_anomaly = _concatenated(full).is_anomaly
        return choose_trunk(self._verdicts(full), self._verdicts(narrow), is_anomaly)

    def _verdicts(self, parts: Sequence[FoldPrediction]) -> Verdicts:
        predictions = cross_val_post_process(_concatenated(parts), self.method)
        return Verdicts(
            np.array([prediction.log_odds for prediction in predictions]),
            np.array([prediction.label == "anomaly" for prediction in predictions]),
        )

    def _unless_a_kind_is_lost(self, choice: TrunkChoice, real: Indices) -> TrunkChoice:
        """The same choice, with the AUROC of each kind of defect that neither trunk has learnt from."""
        samples = [self.training_set.samples[i] for i in real]
        kinds = sorted({sample.kind for sample in samples} - {GOOD})
        if choice.trunk == "full" or len(kinds) < 2 or self.training_set.anomalies == "synthetic":
            return choice
        test = make_folds(samples, self.recipe.inner_folds, self.recipe.seed)[0].test
        good = [i for i in real[test] if not self.training_set.is_anomaly[i]]
        found = {kind: self._unseen(kind, np.array(good), real) for kind in kinds}
        if (worst := worst_unseen_kind(found)) is None:
            return replace(choice, unseen_kinds=found)
        reason = f"the narrow trunk was not taken: where it has not learnt from {worst}, it finds less of it"
        return replace(choice, trunk="full", reason=reason, unseen_kinds=found)

    def _unseen(self, kind: str, good: Indices, real: Indices) -> tuple[float, float]:
        """AUROC of a kind against these good samples, by either trunk, learnt from what is neither."""
        samples = self.training_set.samples
        of_kind = np.array([i for i in real if samples[i].kind == kind])
        test = np.concatenate([good, of_kind])
        groups = {samples[i].group for i in test}
        known = self.training_set.train_indices(np.array([i for i in real if samples[i].group not in groups]))
        scores = (self.recipe.pooling(estimator.fit(known).evidence(test)) for estimator in (self.full, self.narrow))
        full, narrow = (float(Ranking.of(s, self.training_set.is_anomaly[test]).auroc()[0]) for s in scores)
        return full, narrow


def _concatenated(parts: Sequence[FoldPrediction]) -> OutOfFold:
    return OutOfFold.concatenate([part.out_of_fold for part in parts])
