"""VGG-16 as a class-activation network: conv1_1 … conv5_3, and one dense layer read at every place (PyTorch)."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.preprocessing import MEAN
from model.weights import BLOCKS


class VGG16CAM(nn.Module):
    """uint8 RGB N×S×S×3 in, evidence map N×(S/16)×(S/16) in log-odds out.

    E(u) = (w_anomaly − w_good)·F(u) + (b_anomaly − b_good) with F the conv5_3 features after ReLU; since pooling
    and the dense layer are linear, the mean of E is the log-odds of softmax(dense(GAP(F))) (Zhou et al. 2016, eq. 1-2).
    """

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.blocks = nn.ModuleList()
        channels = 3
        for number, widths in enumerate(BLOCKS, 1):
            block = nn.Sequential()
            for position, width in enumerate(widths, 1):
                block.add_module(f"conv{number}_{position}", nn.Conv2d(channels, width, 3, padding=1))
                block.add_module(f"relu{number}_{position}", nn.ReLU(inplace=True))
                channels = width
            if number < len(BLOCKS):
                block.add_module(f"pool{number}", nn.MaxPool2d(2))
            self.blocks.append(block)
        self.dense = nn.Linear(channels, 2)  # rows: good, anomaly

    def forward(self, pixels: Tensor) -> Tensor:
        """The evidence map."""
        return self.evidence(self.class_maps(self.features(pixels, stop=len(BLOCKS))))  # N×h×w

    def features(self, pixels: Tensor, *, stop: int) -> Tensor:
        """Output of the first `stop` blocks (each with its pool) for uint8 RGB pixels N×S×S×3: float N×C×h×w."""
        x = pixels.permute(0, 3, 1, 2).to(self.dense.weight.dtype) - self.mean  # N×3×S×S
        return self.continued(x, start=0, stop=stop)

    def continued(self, x: Tensor, *, start: int, stop: int = len(BLOCKS)) -> Tensor:
        """Blocks `start`+1 … `stop` applied to the output of block `start`."""
        for block in self.blocks[start:stop]:
            x = block(x)
        return x

    def class_maps(self, features: Tensor) -> Tensor:
        """The dense layer at every place: N×512×h×w to N×2×h×w. Its mean over places are the two logits."""
        return nn.functional.conv2d(features, self.dense.weight[:, :, None, None], self.dense.bias)

    @staticmethod
    def evidence(class_maps: Tensor) -> Tensor:
        """anomaly minus good, at every place: N×2×h×w to N×h×w."""
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
