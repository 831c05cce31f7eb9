"""What a network gives for images in one pass."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class NetworkOutput(NamedTuple):
    """For N images."""

    evidence: Floats
    """Evidence maps N×h×w in log-odds."""
    features: Floats
    """N×F: what the gate reads (`model.network.VGG16CAM.grid_features`)."""

    def first(self, count: int) -> "NetworkOutput":
        """Of the first `count` images."""
        return NetworkOutput(self.evidence[:count], self.features[:count])


def concatenate(outputs: Sequence[NetworkOutput]) -> NetworkOutput:
    """Of all these outputs' images."""
    return NetworkOutput(
        np.concatenate([output.evidence for output in outputs]), np.concatenate([output.features for output in outputs])
    )
