"""The network's tensors as a safetensors file: names, shapes, digests (NumPy alone)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from model.errors import NonFiniteWeightsError, ShapeError, WeightsFormatError
from model.files import read_file
from model.hypercolumn import Hypercolumn

Weights = Mapping[str, NDArray[np.float32]]


IMAGENET: Final = Hypercolumn()
"""All 13 convolutions, as wide as they were trained on ImageNet."""


def trunk_shapes(hypercolumn: Hypercolumn = IMAGENET) -> dict[str, tuple[int, ...]]:
    """conv1_1.weight (OIHW), conv1_1.bias, … of the blocks that are needed, in the network's order, with their
    shapes."""
    shapes: dict[str, tuple[int, ...]] = {}
    for number, block in enumerate(hypercolumn.convolutions, 1):
        for position, (channels, width) in enumerate(block, 1):
            shapes[f"conv{number}_{position}.weight"] = (width, channels, 3, 3)
            shapes[f"conv{number}_{position}.bias"] = (width,)
    return shapes


def tensor_shapes(hypercolumn: Hypercolumn) -> dict[str, tuple[int, ...]]:
    """The tensors of the trunk's blocks that are needed, and the dense layer's (rows: good, anomaly).

    An image head that leaves the network apart has a bias of its own.
    """
    dense = {"dense.weight": (2, hypercolumn.inputs), "dense.bias": (2,)}
    return trunk_shapes(hypercolumn) | dense | ({"dense.head_bias": (2,)} if hypercolumn.head_apart else {})


def trunk_digest(weights: Weights) -> str:
    """SHA-256 over the 13 layers in order, weight (OIHW float32, little endian, RGB) then bias."""
    digest = hashlib.sha256()
    for name in trunk_shapes():
        digest.update(np.ascontiguousarray(weights[name], dtype="<f4").tobytes())
    return digest.hexdigest()


def encode_weights(weights: Weights, hypercolumn: Hypercolumn) -> bytes:
    """The safetensors file of exactly the tensors of `tensor_shapes`. Raises ShapeError or NonFiniteWeightsError."""
    check_weights(weights, tensor_shapes(hypercolumn), "the network")
    return save({name: np.ascontiguousarray(values, dtype=np.float32) for name, values in weights.items()})


def read_weights(path: Path, hypercolumn: Hypercolumn) -> dict[str, NDArray[np.float32]]:
    """Read and check a weights file: raises MissingFileError, UnreadableFileError, WeightsFormatError, ShapeError
    or NonFiniteWeightsError."""
    try:
        weights = load(read_file(path))
    except (SafetensorError, KeyError) as error:  # KeyError: a number type that NumPy doesn't have
        raise WeightsFormatError(f"{path} is not a whole safetensors file of float32: {error}") from error
    check_weights(weights, tensor_shapes(hypercolumn), path)
    return weights


def check_weights(weights: Weights, shapes: Mapping[str, tuple[int, ...]], source: Path | str) -> None:
    """Raise ShapeError or NonFiniteWeightsError, naming `source` and the tensor, unless all fits."""
    if missing := shapes.keys() - weights.keys():
        raise ShapeError(f"{source} lacks {', '.join(sorted(missing))}")
    if superfluous := weights.keys() - shapes.keys():
        raise ShapeError(f"{source} holds {', '.join(sorted(superfluous))}, which the network doesn't have")
    for name, shape in shapes.items():
        values = weights[name]
        if values.shape != shape or values.dtype != np.float32:
            raise ShapeError(f"{source}: {name} is {values.dtype} {values.shape}, not float32 {shape}")
        if not np.isfinite(values).all():
            raise NonFiniteWeightsError(f"{source}: {name} holds NaN or infinite values")
