"""Kinds of defect that are left out in turn: what trunks make of them where nothing was learnt from the kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from training.data.samples import GOOD
from training.data.splits import Indices, make_folds
from training.estimators.estimator import predict
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patches import PreparedPatches
from training.evaluation.clearing import Pair
from training.evaluation.post_processing import OutOfFold, PostProcessor
from training.evaluation.ranking import Ranking
from training.evaluation.trunk_choice import is_lost


@dataclass(frozen=True, eq=False)
class UnseenKinds:
    """Each kind's images, and good ones, predicted by trunks that have learnt from neither. What was predicted is
    kept: widths are compared with the same full trunk."""

    full: PreparedPatches
    real: Indices
    """Samples that may be learnt from."""
    _of_full: dict[str, OutOfFold] = field(default_factory=dict)
    _of_narrow: dict[tuple[str, float], OutOfFold] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """Kinds of defect to leave out in turn; none where there is but one."""
        training_set = self.full.training_set
        kinds = sorted({training_set.samples[i].kind for i in self.real} - {GOOD})
        return kinds if len(kinds) > 1 and training_set.anomalies != "synthetic" else []

    def pair(self, kind: str, narrow: PreparedNarrowPatches) -> Pair:
        """Evidence of the kind's images, and of the first fold's good ones, by either trunk."""
        if kind not in self._of_full:
            self._of_full[kind] = self._predicted(kind, self.full)
        if (kind, narrow.share) not in self._of_narrow:
            self._of_narrow[kind, narrow.share] = self._predicted(kind, narrow)
        return self._of_full[kind], self._of_narrow[kind, narrow.share]

    def pairs(self, narrow: PreparedNarrowPatches) -> dict[str, Pair]:
        """Those of every kind."""
        return {kind: self.pair(kind, narrow) for kind in self.kinds}

    def aurocs(self, narrow: PreparedNarrowPatches, by: Sequence[PostProcessor]) -> dict[str, tuple[float, float]]:
        """AUROCs of either trunk's verdicts on each kind, up to the first that is lost. `by`: the full trunk's
        post-processor, and the narrow one's."""
        found: dict[str, tuple[float, float]] = {}
        for kind in self.kinds:
            of_full, of_narrow = (
                float(Ranking.of(post_processor.log_odds(each), each.is_anomaly).auroc()[0])
                for post_processor, each in zip(by, self.pair(kind, narrow), strict=True)
            )
            found[kind] = of_full, of_narrow
            if is_lost(of_full, of_narrow):
                break
        return found

    def _predicted(self, kind: str, trunk: PreparedPatches | PreparedNarrowPatches) -> OutOfFold:
        training_set, real, recipe = self.full.training_set, self.real, self.full.recipe
        samples = training_set.samples
        first = make_folds([samples[i] for i in real], recipe.inner_folds, recipe.seed)[0]
        good = real[first.test][~training_set.is_anomaly[real[first.test]]]
        test = np.concatenate([good, [i for i in real if samples[i].kind == kind]])
        groups = {samples[i].group for i in test}
        known = training_set.train_indices(np.array([i for i in real if samples[i].group not in groups]))
        return predict(training_set, trunk.fit(known), test, 0)
