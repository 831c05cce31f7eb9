"""The trunk made narrow, layer by layer, so that each makes good what the ones before it lost."""

from dataclasses import replace
from typing import Final

import torch
from torch.nn.functional import conv2d, max_pool2d

from model.hypercolumn import Widths
from model.network import VGG16CAM
from training.features.imagenet import Trunk
from training.narrow.patch_samples import input_patches
from training.narrow.solve import solve
from training.narrow.targets import Targets

NOISE: Final = 10.0
"""Factor of the noise that rounding to uint8 makes, which the weights are made robust to."""


def narrowed(network: VGG16CAM, widths: Widths, targets: Targets, noise: float = NOISE) -> Trunk:
    """Weights, by name, of a trunk with these widths that gives nearly the network's layers on images like these.

    Computed where the network is. Weights are solved for on what the narrow layers before them give (He, Zhang & Sun
    2017, section 3.2). `targets`: of trunks that are as wide or wider; `noise`: see `solve`.
    """
    device = network.dense.weight.device
    weights: Trunk = {}
    with torch.inference_mode():
        x = network.normalised(torch.from_numpy(targets.pixels).to(device))
        for number, block in enumerate(replace(network.hypercolumn, trunk=widths).convolutions, 1):
            for position, (channels, width) in enumerate(block, 1):
                name, read = f"conv{number}_{position}", widths[number - 1][position - 1]
                target = targets.layers[name].of(read, width).to(device)
                solved = solve(input_patches(x, targets.positions), target, noise)  # (9·channels + 1)×width
                kernel, bias = solved[:-1].T.reshape(width, channels, 3, 3).contiguous(), solved[-1].clone()
                weights |= {f"{name}.weight": kernel.cpu().numpy(), f"{name}.bias": bias.cpu().numpy()}
                x = conv2d(x, kernel[:read], bias[:read], padding=1).relu_()
            x = max_pool2d(x, 2)
    return weights
