"""Synthetic anomalies of a data set's good images, as samples to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.dataset import Sample
from training.synthetic.anomaly import make_anomaly
from training.synthetic.foreground import foreground

KIND: Final = "synthetic"
_MOST: Final = 300
_LOOKED_AT: Final = 10


@dataclass(frozen=True, eq=False)
class SyntheticSamples:
    """Spoilt copies of good images."""

    samples: list[Sample]
    """Of kind "synthetic", with the path and group of the image that each was made from."""
    source: NDArray[np.intp]
    """Which image that is."""
    pictures: list[NDArray[np.uint8]]
    """S×S×3 each."""
    coverage: NDArray[np.float32]
    """n×h×w: the changed share of each place."""


def synthesise(
    samples: Sequence[Sample], pictures: Sequence[NDArray[np.uint8]], good: NDArray[np.intp], seed: int, side: int
) -> SyntheticSamples:
    """One to four anomalies on a copy of each of at most 300 good images, on a grid of side×side places.

    `pictures` of `samples[good]`, as the network sees them. An image is spoilt with its own pixels alone, so that
    nothing of another image, which may be held out, is in it.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(good))[:_MOST])
    product = foreground(np.stack(pictures[:_LOOKED_AT]))
    made, masks = [], []
    for i in chosen.tolist():
        spoilt, mask = pictures[i], np.zeros(pictures[i].shape[:2], bool)
        for _ in range(rng.integers(1, 5)):
            spoilt, changed = make_anomaly(spoilt, pictures[i], rng, product=product)
            mask |= changed
        made.append(spoilt)
        size = len(mask) // side
        masks.append(mask.reshape(side, size, side, size).mean((1, 3), dtype=np.float32))
    source = good[chosen]
    copies = [
        replace(samples[i], name=f"{KIND}/{samples[i].name}", kind=KIND, mask=None, group=samples[i].group)
        for i in source
    ]
    return SyntheticSamples(copies, source, made, np.stack(masks))
