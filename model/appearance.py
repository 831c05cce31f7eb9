"""How like the training images an image looks to the network: a distance, and its conformal p-value."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from model.errors import NonFiniteWeightsError, ShapeError, WeightsFormatError
from model.files import read_file

Floats = NDArray[np.float32]

MAX_COMPONENTS: Final = 64
MAX_DISTANCES: Final = 100_000
"""Bounds of what a file may hold."""
_TENSORS: Final = ("mean", "components", "variances", "residual", "distances")


@dataclass(frozen=True, eq=False)
class Appearance:
    """Mahalanobis distance of an image's features under a shrunk covariance: r principal components with variances of
    their own, and one variance for all directions beside them (probabilistic PCA: Tipping & Bishop 1999)."""

    mean: Floats
    """F, of the features, each image's of length 1."""
    components: Floats
    """r×F, orthonormal rows."""
    variances: Floats
    """r."""
    residual: float
    """Variance in each direction beside the components."""
    distances: Floats
    """n, ascending: of held-out images, good and defective, from such models of the other images."""

    @property
    def spread(self) -> float:
        """Root mean square of how far images of length 1 lie from the components, all directions beside them together:
        a change of features by so much adds 1 to the square of the distance."""
        return math.sqrt(self.residual * self.mean.size)

    def distance(self, features: Floats) -> NDArray[np.float64]:
        """Of images with the network's features, … ×F: root mean square, in deviations, over the F directions."""
        centred = unit(features) - self.mean
        scores = (centred @ self.components.T).astype(np.float64)
        beside = np.maximum(np.square(centred, dtype=np.float64).sum(-1) - np.square(scores).sum(-1), 0.0)
        squared = (np.square(scores) / self.variances).sum(-1) + beside / self.residual
        return np.asarray(np.sqrt(squared / self.mean.size))

    def typicality(self, distance: float) -> float:
        """Conformal p-value: the share of held-out images, and this one, at least so far away (Vovk et al. 2005)."""
        farther = len(self.distances) - int(np.searchsorted(self.distances, np.float32(distance)))
        return (farther + 1) / (len(self.distances) + 1)


def unit(features: Floats) -> Floats:
    """Features … ×F of length 1, as brightness and contrast scale all of them; 0 stays 0."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12), np.float32)


def encode_appearance(appearance: Appearance) -> bytes:
    """The safetensors file."""
    values = {name: np.asarray(getattr(appearance, name), np.float32) for name in _TENSORS}
    return save({name: np.ascontiguousarray(np.atleast_1d(value)) for name, value in values.items()})


def read_appearance(path: Path, features: int) -> Appearance:
    """Read and check a file for a network with F = `features`: raises MissingFileError, UnreadableFileError,
    WeightsFormatError, ShapeError or NonFiniteWeightsError."""
    try:
        found = load(read_file(path))
    except (SafetensorError, KeyError) as error:  # KeyError: a number type that NumPy doesn't have
        raise WeightsFormatError(f"{path} is not a whole safetensors file of float32: {error}") from error
    if set(found) != set(_TENSORS):
        raise ShapeError(f"{path} holds {', '.join(sorted(found)) or 'nothing'}, not {', '.join(_TENSORS)}")
    rank, count = (found[name].shape[0] if found[name].ndim else -1 for name in ("variances", "distances"))
    shapes = {
        "mean": (features,), "components": (rank, features), "variances": (rank,), "residual": (1,),
        "distances": (count,),
    }  # fmt: skip
    if not 0 <= rank <= MAX_COMPONENTS or not 1 <= count <= MAX_DISTANCES:
        raise ShapeError(
            f"{path} has {rank} components and {count} distances, not up to {MAX_COMPONENTS} and {MAX_DISTANCES}"
        )
    for name, shape in shapes.items():
        if found[name].shape != shape or found[name].dtype != np.float32:
            raise ShapeError(f"{path}: {name} is {found[name].dtype} {found[name].shape}, not float32 {shape}")
        if not np.isfinite(found[name]).all():
            raise NonFiniteWeightsError(f"{path}: {name} holds NaN or infinite values")
    if not (found["variances"] > 0).all() or not found["residual"][0] > 0 or (np.diff(found["distances"]) < 0).any():
        raise ShapeError(f"{path}: variances must be above 0, and distances ascend")
    return Appearance(
        found["mean"], found["components"], found["variances"], float(found["residual"][0]), found["distances"]
    )
