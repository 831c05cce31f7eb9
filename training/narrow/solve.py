"""A convolution's weights anew, by least squares on what it reads and what it should give."""

from typing import Final

import torch
from torch import Tensor

_ROUNDS: Final = 3


def solve(patches: Tensor, target: Tensor, noise: float) -> Tensor:
    """Weights K×O for which ReLU(patches · weights) is nearest to ReLU(target); patches m×K, target m×O.

    What lies below zero need only stay there: argmin |X W − t|² + d |W|² with t = z where z > 0, else min(X W, 0), in
    alternation (Zhang et al. 2015, section 3.2), on one Cholesky factor. d is the energy of rounding the input to
    `noise` times a uint8 step over all m, so that no weight counts on less than int8 will see.
    """
    step = float(patches[:, :-1].max()) / 255
    covariance = patches.T @ patches  # K×K
    ridge = noise * len(patches) * step**2 / 12 + 1e-7 * float(covariance.diagonal().mean())
    covariance.diagonal()[:-1] += ridge
    covariance.diagonal()[-1] += 1e-7 * float(covariance[-1, -1])
    factor = torch.linalg.cholesky(covariance.double())

    def fitted(wanted: Tensor) -> Tensor:
        return torch.cholesky_solve((patches.T @ wanted).double(), factor).float()

    positive, weights = target > 0, fitted(target)
    for _ in range(1, _ROUNDS):
        weights = fitted(torch.where(positive, target, (patches @ weights).clamp(max=0)))
    return weights
