"""What there is to learn from: real images, and anomalies made from the good ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data.samples import Sample
from training.data.splits import Indices

Anomalies = Literal["real", "synthetic", "both"]


def available(asked: Anomalies, samples: Sequence[Sample]) -> Anomalies:
    """What can be learnt from of what is asked for: of both, synthetic anomalies alone where no real one is there."""
    return "synthetic" if asked == "both" and not any(sample.is_anomaly for sample in samples) else asked


@dataclass(frozen=True)
class TrainingSet:
    """Real samples, then synthetic ones; indices mean this order."""

    samples: list[Sample]
    source: Indices
    """For a synthetic sample the real good one that it was made from; for a real one, itself."""
    anomalies: Anomalies = "real"
    """Which anomalies are learnt from."""

    @cached_property
    def is_anomaly(self) -> NDArray[np.bool_]:
        return np.array([sample.is_anomaly for sample in self.samples])

    @cached_property
    def is_synthetic(self) -> NDArray[np.bool_]:
        return np.asarray(self.source != np.arange(len(self.samples)))

    @property
    def real(self) -> Indices:
        return np.flatnonzero(~self.is_synthetic)

    def train_indices(self, real: Indices) -> Indices:
        """What a network may see to which these real samples are known: nothing made from any other."""
        if self.anomalies == "synthetic":
            real = real[~self.is_anomaly[real]]
        return np.concatenate([real, self._made_from(real)]) if self.is_synthetic.any() else real

    def calibration_indices(self, real: Indices) -> Indices:
        """What calibration and thresholds are chosen on: real anomalies, and synthetic ones only in place of them."""
        if self.anomalies != "synthetic":
            return real
        good = real[~self.is_anomaly[real]]
        return np.concatenate([good, self._made_from(good)])

    def _made_from(self, real: Indices) -> Indices:
        return np.flatnonzero(self.is_synthetic & np.isin(self.source, real))
