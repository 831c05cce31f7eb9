"""What narrow trunks are to give, whatever their width: the full network's outputs, and which channels of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor

from model.hypercolumn import Hypercolumn, Widths
from model.network import VGG16CAM
from training.data.splits import Indices
from training.features.extraction import Features, mapped
from training.narrow import images as narrowing
from training.narrow.images import NarrowingImages
from training.narrow.patch_samples import PER_IMAGE, Pixels, Positions, sample
from training.narrow.selection import choose_channels

_CLASSES: Final = 3
"""Of images that are narrowed on: good, defective and synthetic ones."""


@dataclass(frozen=True, eq=False)
class LayerTargets:
    """A convolution's outputs in the full network, at positions of images."""

    chosen: list[int]
    """Channels that the next convolution can best do with, the best first, as many as it reads in the widest trunk.
    Each is chosen beside those before it, so that a narrower trunk's are the first of them. None where all are read."""
    kept: list[int]
    """Channels that the widest trunk has, ascending."""
    outputs: Features
    """m×C before ReLU, of these channels, mapped from a nameless file."""

    def of(self, read: int, width: int) -> Tensor:
        """Outputs m×width of a trunk's channels, those that the next convolution will read first."""
        first = self.chosen[:read]
        channels = (first + sorted(set(self.kept) - set(first)))[:width]
        columns = torch.from_numpy(np.searchsorted(self.kept, channels))
        return torch.from_numpy(self.outputs).index_select(1, columns)


@dataclass(frozen=True, eq=False)
class Targets:
    """All of them, and the images."""

    pixels: Pixels
    """uint8 n×S×S×3."""
    positions: Positions
    """n×k×2; m is n·k."""
    layers: dict[str, LayerTargets]
    """By the convolution's name."""


def find_targets(network: VGG16CAM, widest: Widths, images: NarrowingImages, seed: int) -> Targets:
    """Of trunks that are no wider. Computed where the network is; channels are chosen by its own activations."""
    samples = sample(network, images.pixels, images.coverage, np.random.default_rng(seed))
    names, full = list(samples.outputs), network.weights()
    device = network.dense.weight.device
    readers = {name: torch.from_numpy(full[f"{reader}.weight"]).to(device) for name, reader in pairwise(names)}
    layers = {}
    with torch.inference_mode():
        for name, width, read in zip(names, _widths(network.hypercolumn, widest), chain(*widest), strict=False):
            outputs = samples.outputs.pop(name)
            every = list(range(outputs.shape[1]))
            has_choice = name in readers and read < len(every)
            chosen = choose_channels(outputs.relu(), readers[name], read) if has_choice else []
            kept = every if width == len(every) else sorted(chosen)
            layers[name] = LayerTargets(chosen, kept, _stored(outputs[:, kept]))
    return Targets(images.pixels, samples.positions, layers)


def targets_size(network: Hypercolumn, widest: Widths) -> int:
    """Bytes on disk of one set of targets, at most."""
    positions = _CLASSES * narrowing.OF_EACH * PER_IMAGE
    return positions * sum(_widths(network, widest)) * np.dtype(np.float32).itemsize


class TargetCache:
    """The last few targets, by the samples that they were found on."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[bytes, Targets] = {}

    def __call__(self, indices: Indices, find: Callable[[], Targets]) -> Targets:
        """Those of the samples at `indices`; what `find` gives, where they aren't kept."""
        key = indices.tobytes()
        if key in self._kept:
            return self._kept[key]
        while self._kept and len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]  # before others are found, so that the disk has room for them
        found = find()
        if self._most:
            self._kept[key] = found
        return found


def _widths(network: Hypercolumn, widest: Widths) -> list[int]:
    """Channels out of each convolution."""
    return [out for block in replace(network, trunk=widest).convolutions for _, out in block]


def _stored(outputs: Tensor) -> Features:
    features = mapped(tuple(outputs.shape))
    features[:] = outputs.cpu().numpy()
    return features
