"""Features of images that have different numbers of patches: one image's after the other's, in one file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class UnevenFeatures:
    """C features of each of N images' patches; of image i, P×C."""

    rows: Floats
    """All images' together, ΣP×C."""
    starts: NDArray[np.intp]
    """N+1: where each image's begin, and the last one's end."""

    @staticmethod
    def of(rows: Floats, patches: Sequence[int]) -> "UnevenFeatures":
        """`patches`: P of each image."""
        return UnevenFeatures(rows, np.concatenate([[0], np.cumsum(patches, dtype=np.intp)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, image: int) -> Floats:
        return self.rows[self.starts[image] : self.starts[image + 1]]

    def __iter__(self) -> Iterator[Floats]:
        return (self[image] for image in range(len(self)))
