"""Logistic regression with soft targets, both classes weighing alike, by L-BFGS."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

Floats = NDArray[np.float32]
_DAMPING: Final = 0.3
"""Share of the mean deviation that is added to each feature's."""


@dataclass(frozen=True, eq=False)
class LinearModel:
    """log-odds = weights · features + bias."""

    weights: Floats
    bias: float

    def __call__(self, features: Floats) -> Floats:
        """Log-odds … of features …×C."""
        return np.asarray(features @ self.weights + np.float32(self.bias))

    def unstandardised(self, scale: "FeatureScale") -> "LinearModel":
        """The same model for features as they were before they were standardised."""
        weights = self.weights / scale.deviation
        return LinearModel(weights, self.bias - float(weights.astype(np.float64) @ scale.mean))


@dataclass(frozen=True, eq=False)
class FeatureScale:
    """Mean and deviation C by which features are standardised."""

    mean: Floats
    deviation: Floats

    @classmethod
    def fit(cls, features: Floats) -> "FeatureScale":
        """The scale of features n×C; deviations are damped, so that rare features stay small."""
        deviation = features.std(axis=0)
        return cls(features.mean(axis=0), deviation + np.float32(_DAMPING) * deviation.mean())

    def __call__(self, features: Floats) -> Floats:
        """Standardised features …×C."""
        return np.asarray((features - self.mean) / self.deviation)


def fit_logistic(
    features: Floats | Tensor,
    targets: Floats | Tensor,
    l2_penalty: float,
    *,
    start: LinearModel | None = None,
    iterations: int = 100,
) -> LinearModel:
    """The model of least cross-entropy, both classes weighing alike, plus `l2_penalty` times the squared weights.

    `features` n×C, standardised; `targets` n in 0..1; it is computed where they are. The problem is
    convex: `start` only shortens the way.
    L-BFGS with strong Wolfe line search (Nocedal & Wright 2006, algorithms 7.5 and 3.5).
    """
    x, t = torch.as_tensor(features), torch.as_tensor(targets)
    defective = t > 0
    importance = torch.where(defective, 0.5 / defective.sum(), 0.5 / (~defective).sum())
    weights = torch.zeros(x.shape[1]) if start is None else torch.from_numpy(start.weights.copy())
    weights, bias = weights.to(x.device), torch.tensor(0.0 if start is None else start.bias, device=x.device)
    weights.requires_grad_()
    bias.requires_grad_()
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=iterations, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        entropy = binary_cross_entropy_with_logits(x @ weights + bias, t, reduction="none")
        total = (entropy * importance).sum() + l2_penalty * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return LinearModel(weights.detach().cpu().numpy(), float(bias.detach()))
