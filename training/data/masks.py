"""Ground truth in memory: which pixels of an image are defective, and which share of each patch."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from training.data.samples import Sample


@dataclass(frozen=True)
class Mask:
    """The defective pixels of an image, read once from its files and kept compressed: some kilobytes an image."""

    shape: tuple[int, int]
    """Height and width of the image."""
    packed: bytes
    """Eight pixels a byte, by rows, deflated."""

    @classmethod
    def of(cls, pixels: NDArray[np.bool_]) -> "Mask":
        """The mask of an image whose pixels h×w are defective where true."""
        height, width = pixels.shape
        return cls((height, width), zlib.compress(np.packbits(pixels).tobytes(), level=1))

    def pixels(self) -> NDArray[np.bool_]:
        """Which pixels h×w are defective."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        height, width = self.shape
        return np.unpackbits(bits, count=height * width).astype(np.bool_).reshape(height, width)

    def coverage(self, height: int, width: int) -> NDArray[np.float32]:
        """The defective share of each patch, height×width in 0..1."""
        share = Image.fromarray(self.pixels().astype(np.float32))
        return np.asarray(share.resize((width, height), Image.Resampling.BOX))


def coverage(samples: Sequence["Sample"], height: int, width: int) -> NDArray[np.float32]:
    """The defective share of each patch, n×height×width in 0..1, of samples that all have a mask."""
    grids = np.zeros((len(samples), height, width), np.float32)
    for grid, sample in zip(grids, samples, strict=True):
        assert sample.mask is not None
        grid[:] = sample.mask.coverage(height, width)
    return grids
