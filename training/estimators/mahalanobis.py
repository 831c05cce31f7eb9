"""Distance of a patch from good ones, the first guess at defects where no mask shows them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_SHRINKAGE: Final = 0.01


@dataclass(frozen=True, eq=False)
class MahalanobisDistance:
    """Squared Mahalanobis distance from good patches (PaDiM, Defard et al. 2021, equation 2, one Gaussian for all)."""

    mean: Floats
    whitening: Floats
    """C×C: its product with a deviation has unit covariance on good patches."""

    @classmethod
    def fit(cls, good: Floats) -> "MahalanobisDistance":
        """Distance from features n×C of good patches; the covariance is shrunk towards a multiple of the identity."""
        mean = good.mean(axis=0)
        centred = good - mean
        covariance = centred.T @ centred / len(good)
        flat = np.eye(len(covariance), dtype=np.float32) * (np.trace(covariance) / len(covariance))
        root = np.linalg.cholesky((1 - _SHRINKAGE) * covariance + _SHRINKAGE * flat)
        return cls(mean, np.linalg.inv(root).astype(np.float32))

    def __call__(self, features: Floats) -> Floats:
        """Distances n of features n×C."""
        return np.asarray(np.square((features - self.mean) @ self.whitening.T).sum(axis=1))
