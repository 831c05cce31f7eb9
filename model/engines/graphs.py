"""CUDA graphs: one recorded forward pass for each batch size, replayed without the CPU's part in each kernel's launch.

What records and replays is passed in, so that the choice of sizes and the padding are tested without a GPU.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.engines.output import NetworkOutput, concatenate

Run = Callable[[NDArray[np.uint8]], NetworkOutput]
"""The network's output for uint8 n×S×S×3 of the one shape that it was recorded for."""

SIZES: Final = (1, 2, 4, 8, 16, 32, 64)


class Graphs:
    """Batches of any size by recordings of a few: a batch is padded to the next size, and a larger one is divided."""

    def __init__(self, record: Callable[[tuple[int, ...]], Run], sizes: Sequence[int] = SIZES) -> None:
        """`record`: makes the recording for a batch of that shape, when it is first needed."""
        self._record = record
        self._sizes = sorted(sizes)
        self._runs: dict[tuple[int, ...], Run] = {}

    def __call__(self, pixels: NDArray[np.uint8]) -> NetworkOutput:
        """For uint8 N×S×S×3, N ≥ 1."""
        most = self._sizes[-1]
        return concatenate([self._padded(pixels[first : first + most]) for first in range(0, len(pixels), most)])

    def _padded(self, pixels: NDArray[np.uint8]) -> NetworkOutput:
        size = next(size for size in self._sizes if size >= len(pixels))
        batch = pixels
        if missing := size - len(pixels):
            batch = np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), np.uint8)])
        if batch.shape not in self._runs:
            self._runs[batch.shape] = self._record(batch.shape)
        return self._runs[batch.shape](batch).part(0, len(pixels))
