"""The trunk made narrow, layer by layer, so that each makes good what the ones before it lost."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from model.hypercolumn import Widths
from model.network import VGG16CAM
from training.features.imagenet import Trunk
from training.narrow.images import NarrowingImages
from training.narrow.patch_samples import input_patches, sample
from training.narrow.selection import choose_channels
from training.narrow.solve import solve

NOISE: Final = 10.0
"""Factor of the noise that rounding to uint8 makes, which the weights are made robust to."""


def narrowed(network: VGG16CAM, widths: Widths, images: NarrowingImages, seed: int, noise: float = NOISE) -> Trunk:
    """Weights, by name, of a trunk with these widths that gives nearly the network's layers on images like these.

    Computed where the network is. Channels are chosen by the network's own activations; weights are solved for on what
    the narrow layers before them give (He, Zhang & Sun 2017, section 3.2). `noise`: see `solve`.
    """
    samples = sample(network, images.pixels, images.coverage, np.random.default_rng(seed))
    names, full = list(samples.outputs), network.weights()
    device = network.dense.weight.device
    readers = {name: torch.from_numpy(full[f"{reader}.weight"]).to(device) for name, reader in pairwise(names)}
    weights: Trunk = {}
    with torch.inference_mode():
        x = network.normalised(torch.from_numpy(images.pixels).to(device))
        for number, block in enumerate(replace(network.hypercolumn, trunk=widths).convolutions, 1):
            for position, (channels, width) in enumerate(block, 1):
                name, read = f"conv{number}_{position}", widths[number - 1][position - 1]
                target = samples.outputs.pop(name)
                order = _order(target.relu(), readers.get(name), read)[:width]
                solved = solve(input_patches(x, samples.positions), target[:, order], noise)  # (9·channels + 1)×width
                kernel, bias = solved[:-1].T.reshape(width, channels, 3, 3).contiguous(), solved[-1].clone()
                weights |= {f"{name}.weight": kernel.cpu().numpy(), f"{name}.bias": bias.cpu().numpy()}
                x = conv2d(x, kernel[:read], bias[:read], padding=1).relu_()
            x = max_pool2d(x, 2)
    return weights


def _order(activations: Tensor, reader: Tensor | None, read: int) -> list[int]:
    """All channels of a layer, those that the next one, of these weights, will read first."""
    every = list(range(activations.shape[1]))
    if reader is None or read == len(every):
        return every
    chosen = choose_channels(activations, reader, read)
    return chosen + [channel for channel in every if channel not in set(chosen)]
