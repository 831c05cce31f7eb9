"""VGG-16 as a class-activation network: its convolutions, and one dense layer applied to every patch (PyTorch)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.hypercolumn import MEAN_WEIGHT, Hypercolumn, grid_window
from model.preprocessing import MEAN


class VGG16CAM(nn.Module):
    """uint8 RGB N×S×S×3 in, evidence map N×h×w in log-odds out, h = w = S / stride.

    E(u) = (w_anomaly − w_good)·F(u) + (b_anomaly − b_good) with F the hypercolumn's features after ReLU. Where F is
    conv5_3's alone, the mean of E is the log-odds of softmax(dense(GAP(F))) (Zhou et al. 2016, eq. 1-2).
    """

    mean: Tensor

    def __init__(self, hypercolumn: Hypercolumn) -> None:
        super().__init__()
        self.hypercolumn = hypercolumn
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.blocks = nn.ModuleList()
        for number, convolutions in enumerate(hypercolumn.convolutions, 1):
            block = nn.Sequential()
            for position, (channels, width) in enumerate(convolutions, 1):
                block.add_module(f"conv{number}_{position}", nn.Conv2d(channels, width, 3, padding=1))
                block.add_module(f"relu{number}_{position}", nn.ReLU(inplace=True))
            self.blocks.append(block)
        self.dense = nn.Linear(hypercolumn.inputs, 2)  # rows: good, anomaly
        if hypercolumn.head_apart:
            self.dense.head_bias = nn.Parameter(torch.zeros(2))

    def forward(self, pixels: Tensor) -> Tensor:
        """The evidence map."""
        return self.evidence(self.class_maps(self.layers(self.normalised(pixels))))  # N×h×w

    def outputs(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """As `model.engines.output.NetworkOutput`: the evidence map, the gate's features N×F, and the image head's part
        N×h×w where it leaves the network apart."""
        layers = self.layers(self.normalised(pixels))
        features = self.grid_features(layers[-1])
        if not self.hypercolumn.head_apart:
            return self.evidence(self.class_maps(layers)), features
        of_patches, of_image = self._weighted(layers)
        return self.evidence(of_patches + self.dense.bias[:, None, None]), features, self.evidence(of_image)

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 RGB pixels N×S×S×3 as block 1 takes them: float N×3×S×S."""
        return pixels.permute(0, 3, 1, 2).to(self.dense.weight.dtype) - self.mean

    def frozen(self, pixels: Tensor, *, stop: int) -> Tensor:
        """Output of the first `stop` blocks, each with its pool, for pixels N×S×S×3: N×C×h×w."""
        x = self.normalised(pixels)
        for number, block in enumerate(self.blocks[:stop], 1):
            x = self.pooled(block(x), number)
        return x

    def pooled(self, x: Tensor, block: int) -> Tensor:
        """What the next block reads of this one's output: the trunk's channels, pooled."""
        return nn.functional.max_pool2d(x[:, : self.hypercolumn.trunk[block - 1][-1]], 2)

    def layers(self, x: Tensor, *, start: int = 0) -> list[Tensor]:
        """The hypercolumn's layers, each N×C×h×w at its own resolution; `x`: the output of block `start` with its pool.

        Layers of the first `start` blocks are missing.
        """
        found = []
        for number, block in enumerate(self.blocks[start:], start + 1):
            x = block(x if number == start + 1 else self.pooled(x, number - 1))
            if number in self.hypercolumn.blocks:
                found.append(x)
        return found

    def columns(self, layers: Sequence[Tensor]) -> Tensor:
        """Each layer averaged over each patch, side by side, without the image head: N×C×h×w."""
        return torch.cat(
            [self._averaged(layer, n) for n, layer in zip(self.hypercolumn.blocks, layers, strict=True)], 1
        )

    def class_maps(self, layers: Sequence[Tensor]) -> Tensor:
        """The dense layer at every patch: N×2×h×w. For conv5_3 alone, their means over patches are the two logits."""
        maps_of_classes, *of_images = self._weighted(layers)
        for of_image in of_images:
            maps_of_classes = maps_of_classes + of_image.mean((2, 3), keepdim=True)
        return maps_of_classes + self.dense.bias[:, None, None]

    def _weighted(self, layers: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What each patch adds to its own classes, N×2×h×w without the bias, and by the image head to the image's, with
        the head's own bias if it has one.

        Each layer is weighted before it is averaged, over a patch or over the image: the same, and cheaper.
        """
        rows = torch.cat(
            torch.split(self.dense.weight, self.hypercolumn.channels, dim=1)
        )  # 2×C, or 4×C with an image head
        maps = [
            self._averaged(nn.functional.conv2d(layer, row[:, :, None, None]), number)
            for number, layer, row in zip(
                self.hypercolumn.blocks, layers, torch.split(rows, self.hypercolumn.widths, dim=1), strict=True
            )
        ]
        of_patches, *of_images = torch.split(torch.stack(maps).sum(0), 2, dim=1)
        if self.hypercolumn.head_apart:
            of_images = [each + self.dense.get_parameter("head_bias")[:, None, None] for each in of_images]
        return of_patches, *of_images

    def grid_features(self, deepest: Tensor) -> Tensor:
        """The deepest layer, N×C×h×w, averaged over the patches of each cell of a coarse grid, each with the mean of
        all cells added: N×F."""
        patches = self._averaged(deepest, self.hypercolumn.blocks[-1])
        cells = nn.functional.avg_pool2d(patches, *grid_window(patches.shape[-1]))
        return (cells + MEAN_WEIGHT * cells.mean((2, 3), keepdim=True)).flatten(1)

    def _averaged(self, x: Tensor, block: int) -> Tensor:
        side = self.hypercolumn.stride >> (block - 1)
        return nn.functional.avg_pool2d(x, side) if side > 1 else x

    @staticmethod
    def evidence(class_maps: Tensor) -> Tensor:
        """anomaly minus good, at every patch: N×2×h×w to N×h×w."""
        return class_maps[:, 1] - class_maps[:, 0]

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """A copy of every weight under the name it has in the artifact (see `model.weights.tensor_shapes`)."""
        return {_public(name): tensor.detach().cpu().numpy().copy() for name, tensor in self.state_dict().items()}

    @torch.no_grad()
    def set_weights(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Set the weights that are named; the others stay."""
        own = {_public(name): tensor for name, tensor in self.state_dict().items()}
        for name, values in weights.items():
            own[name].copy_(torch.from_numpy(values))


def _public(name: str) -> str:
    """blocks.0.conv1_1.weight → conv1_1.weight."""
    return ".".join(name.split(".")[-2:])
