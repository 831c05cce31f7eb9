"""What the convolutions see at some positions of images: input patches, and outputs before ReLU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from model.network import VGG16CAM

Pixels = NDArray[np.uint8]
Positions = NDArray[np.float64]
"""Rows and columns …×2 of positions in an image, 0 to 1."""
PER_IMAGE: Final = 800
_STRONGEST: Final = 40
_DAMPING: Final = 0.3


@dataclass(frozen=True, eq=False)
class Samples:
    """Positions of n images, and what each convolution gives there."""

    positions: Positions
    """n×k×2."""
    outputs: dict[str, Tensor]
    """n·k×C before ReLU, by the convolution's name."""


def sample(network: VGG16CAM, images: Pixels, coverage: NDArray[np.float32], rng: np.random.Generator) -> Samples:
    """Outputs of all convolutions at positions of the images, uint8 n×S×S×3: half of them anywhere, half on the patches
    that are defective or stand out most, since defects are few and small.

    `coverage` n×P: the defective share of each patch, NaN where that isn't known.
    """
    positions: list[Positions] = []
    outputs: dict[str, list[Tensor]] = {name: [] for block in network.blocks for name, _, _ in convolutions(block)}
    device = network.dense.weight.device
    with torch.inference_mode():
        for pixels, shares in zip(images, np.nan_to_num(coverage), strict=True):
            given, layers = _outputs(network, torch.from_numpy(pixels[np.newaxis]).to(device))
            strength = unlikeness(network.columns(layers)[0])
            positions.append(draw_positions(strength / strength.max() + shares.reshape(strength.shape), rng))
            for name, output in given.items():
                rows, columns = _indices(positions[-1], output.shape[-1])
                outputs[name].append(output[0][:, rows, columns].T.contiguous())  # k×C
    return Samples(np.stack(positions), {name: torch.cat(parts) for name, parts in outputs.items()})


def unlikeness(columns: Tensor) -> NDArray[np.float32]:
    """How far each patch h×w of an image is from the image's mean, by features C×h×w in their deviations, damped."""
    flat = columns.flatten(1)
    deviation = flat.std(1, keepdim=True)
    scaled = (flat - flat.mean(1, keepdim=True)) / (deviation + _DAMPING * deviation.mean() + 1e-12)
    return np.asarray(scaled.square().sum(0).reshape(columns.shape[1:]).cpu().numpy())


def draw_positions(strength: NDArray[np.float32], rng: np.random.Generator) -> Positions:
    """Positions k×2, half of them anywhere, half within the strongest patches. `strength`: h×w."""
    half, shape = PER_IMAGE // 2, strength.shape
    strongest = np.argsort(-strength.ravel(), kind="stable")[:_STRONGEST]
    corners = np.stack(np.unravel_index(rng.choice(strongest, half), shape), axis=1)
    return np.concatenate([rng.random((half, 2)), (corners + rng.random((half, 2))) / shape])


def input_patches(x: Tensor, positions: Positions) -> Tensor:
    """The 3×3 patches of n×C×h×w that a convolution reads at `positions`, n×k×2, and 1 for its bias: n·k×(9·C + 1)."""
    padded, found = pad(x, (1, 1, 1, 1)), []
    for image, of_image in zip(padded, positions, strict=True):
        rows, columns = _indices(of_image, x.shape[-1])
        around = [image[:, rows + i, columns + j] for i in range(3) for j in range(3)]  # each C×k
        found.append(torch.stack(around, 1).flatten(0, 1).T)  # k×9·C, in the order of a kernel
    patches = torch.cat(found)
    return torch.cat([patches, patches.new_ones(len(patches), 1)], 1)


def convolutions(block: torch.nn.Module) -> Sequence[tuple[str, torch.nn.Module, torch.nn.Module]]:
    """Name, convolution and ReLU of each of a block's layers."""
    layers = list(block.named_children())
    return [(*layers[i], layers[i + 1][1]) for i in range(0, len(layers), 2)]


def _outputs(network: VGG16CAM, pixels: Tensor) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Each convolution's output before ReLU, and the hypercolumn's layers."""
    found, layers, x = {}, [], network.normalised(pixels)
    for number, block in enumerate(network.blocks, 1):
        x = x if number == 1 else network.pooled(x, number - 1)
        for name, convolution, _ in convolutions(block):
            found[name] = convolution(x)
            x = found[name].relu()
        if number in network.hypercolumn.blocks:
            layers.append(x)
    return found, layers


def _indices(positions: Positions, side: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.from_numpy((positions * side).astype(np.int64)).T
    return rows, columns
