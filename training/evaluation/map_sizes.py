"""Evidence maps of images of many sizes in one array: as large as the largest, with −∞ beyond each's own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]


def padded(maps: Sequence[Map]) -> Map:
    """Maps h×w as one array n×H×W; where all are of one size, nothing is beside them."""
    sizes = {each.shape for each in maps}
    if len(sizes) == 1:
        return np.stack(maps)
    height, width = (max(side) for side in zip(*sizes, strict=True))
    whole = np.full((len(maps), height, width), -np.inf, np.float32)
    for into, each in zip(whole, maps, strict=True):
        into[: each.shape[0], : each.shape[1]] = each
    return whole


def without_padding(evidence: Map) -> Map:
    """A map's own part, h×w, of H×W: up to its last row and column that say anything. Not for maps within a region of
    interest, which say −∞ outside."""
    own = ~np.isneginf(evidence)
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    return evidence[: rows[-1] + 1, : columns[-1] + 1]
