"""The samples that training may use: real images, and synthetic anomalies made from the good ones."""

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
    """The anomalies to learn from where these are asked for: of both, synthetic alone where none is real."""
    return "synthetic" if asked == "both" and not any(sample.is_anomaly for sample in samples) else asked


@dataclass(frozen=True)
class TrainingSet:
    """Real samples, and after them synthetic ones. Everywhere in training, an index is a position in this order."""

    samples: list[Sample]
    source: Indices
    """Index of the good sample that each synthetic one was made from; of a real sample, its own."""
    anomalies: Anomalies = "real"
    """Anomalies that are learnt from."""

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
        """Samples to train on where these real ones may be seen: they, and the synthetic ones made from them alone."""
        if self.anomalies == "synthetic":
            real = real[~self.is_anomaly[real]]
        return np.concatenate([real, self._made_from(real)]) if self.is_synthetic.any() else real

    def calibration_indices(self, real: Indices) -> Indices:
        """Samples to choose calibration and thresholds on where these real ones may be seen.

        Synthetic anomalies are among them only where no real ones are learnt from.
        """
        if self.anomalies != "synthetic":
            return real
        good = real[~self.is_anomaly[real]]
        return np.concatenate([good, self._made_from(good)])

    def _made_from(self, real: Indices) -> Indices:
        return np.flatnonzero(self.is_synthetic & np.isin(self.source, real))
