"""The PyTorch engine: CUDA in float16, and the CPU in float32 as the reference."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.cpus import available_cpus
from model.errors import DeviceMemoryError, EngineError
from model.hypercolumn import Hypercolumn
from model.network import VGG16CAM
from model.weights import read_weights


def cuda_available() -> bool:
    """Whether this PyTorch sees a CUDA device."""
    return torch.cuda.is_available()


def limit_threads() -> None:
    """Let PyTorch use no more CPUs than this process may; what OMP_NUM_THREADS says is kept where it is less."""
    torch.set_num_threads(min(torch.get_num_threads(), available_cpus()))


class TorchEngine:
    """VGG16CAM without gradients. TF32 stays off, so that float32 means float32."""

    name = "torch"

    def __init__(
        self,
        weights: Path,
        hypercolumn: Hypercolumn,
        variant: Literal["float32", "float16"],
        device: Literal["cpu", "cuda"],
    ) -> None:
        """Raises what `read_weights` raises."""
        self.device = device
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        if device == "cpu":
            limit_threads()
        network = VGG16CAM(hypercolumn)
        network.set_weights(read_weights(weights, hypercolumn))
        network.to(device=device, dtype=torch.float16 if variant == "float16" else torch.float32)
        network.to(memory_format=torch.channels_last)
        self._network = network.eval().requires_grad_(False)

    @torch.inference_mode()
    def evidence(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.evidence`."""
        try:
            maps = self._network(torch.from_numpy(pixels).to(self.device))
            return np.asarray(maps.float().cpu().numpy())
        except torch.OutOfMemoryError as error:
            raise DeviceMemoryError(f"{self.device} is out of memory for a batch of {len(pixels)}") from error
        except RuntimeError as error:
            raise EngineError(f"PyTorch failed on {self.device}: {error}") from error
