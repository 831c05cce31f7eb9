"""What a network gives for tiles in one pass."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class NetworkOutput(NamedTuple):
    """For N tiles, each an image of its own or a part of a frame (`model.tiles`)."""

    evidence: Floats
    """Evidence maps N×h×w in log-odds."""
    features: Floats
    """N×F: what the gate reads (`model.network.VGG16CAM.grid_features`); F is 0 in graphs of release 0.1."""
    context: Floats | None = None
    """N×h×w: what the image head says of each patch, whose mean over a frame belongs to the evidence of all its
    patches; None: the evidence has it already, or there is none."""

    cleared: NDArray[np.bool_] | None = None
    """N: which ones the narrow network of a cascade cleared; None: there is no cascade."""

    @property
    def whole(self) -> Floats:
        """Evidence maps of tiles that are images of their own: with the image head."""
        return self.evidence if self.context is None else self.evidence + self.context.mean((1, 2), keepdims=True)

    def part(self, start: int, stop: int) -> "NetworkOutput":
        """Of the tiles from `start` up to, but without, `stop`."""
        context = None if self.context is None else self.context[start:stop]
        cleared = None if self.cleared is None else self.cleared[start:stop]
        return NetworkOutput(self.evidence[start:stop], self.features[start:stop], context, cleared)

    def split(self) -> "list[NetworkOutput]":
        """Each tile's own."""
        return [self.part(i, i + 1) for i in range(len(self.evidence))]


class FrameOutput(NamedTuple):
    """For one frame."""

    evidence: Floats
    """Evidence map h×w in log-odds, with the image head."""
    features: Floats
    """F: what the gate reads."""
    head: float = 0.0
    """What of the evidence is the image head's, the same at every patch; 0 where the network doesn't tell it apart."""
    cleared: bool = False
    """Whether the narrow network of a cascade cleared it, and the full one hasn't seen it."""


def concatenate(outputs: Sequence[NetworkOutput]) -> NetworkOutput:
    """Of all these outputs' tiles."""
    contexts = [output.context for output in outputs if output.context is not None]
    cleared = [output.cleared for output in outputs if output.cleared is not None]
    return NetworkOutput(
        np.concatenate([output.evidence for output in outputs]),
        np.concatenate([output.features for output in outputs]),
        np.concatenate(contexts) if contexts else None,
        np.concatenate(cleared) if cleared else None,
    )
