"""Synthetic anomalies of a data set's good images, as samples to learn from."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.samples import Sample
from training.synthetic.anomaly import make_anomaly
from training.synthetic.foreground import foreground
from training.synthetic.scene import Mask, Pixels

KIND: Final = "synthetic"
MOST: Final = 300


@dataclass(frozen=True, eq=False)
class SyntheticSamples:
    """Corrupted copies of good images."""

    samples: list[Sample]
    """Of kind "synthetic", with the path and group of the image that each was made from."""
    source: NDArray[np.intp]
    """Which image that is."""
    images: list[Pixels]
    """S×S×3 each."""
    coverage: NDArray[np.float32]
    """n×h×w: the changed share of each patch."""


def synthesise(
    samples: Sequence[Sample], loaders: Sequence[Callable[[], Pixels]], seed: int, side: int
) -> SyntheticSamples:
    """One to four anomalies on a copy of each of at most 300 good images, on a grid of side×side patches.

    `loaders` give the samples as the network sees them. What becomes of an image follows from the seed, its name and
    its own pixels alone, so that nothing of another one, which may be held out, is in it.
    """
    draws = {i: _draws(sample, seed) for i, sample in enumerate(samples) if not sample.is_anomaly}
    chosen = sorted(sorted(draws, key=lambda i: draws[i].random())[:MOST])
    images, shares = [], []
    for i in chosen:
        corrupted, mask = _corrupted(loaders[i](), draws[i])
        images.append(corrupted)
        size = len(mask) // side
        shares.append(mask.reshape(side, size, side, size).mean((1, 3), dtype=np.float32))
    copies = [replace(samples[i], name=f"{KIND}/{samples[i].name}", kind=KIND, mask=None) for i in chosen]
    return SyntheticSamples(copies, np.array(chosen, np.intp), images, np.stack(shares))


def _corrupted(image: Pixels, draws: np.random.Generator) -> tuple[Pixels, Mask]:
    product, mask = foreground(image), np.zeros(image.shape[:2], bool)
    for _ in range(draws.integers(1, 5)):
        image, changed = make_anomaly(image, product, draws)
        mask |= changed
    return image, mask


def _draws(sample: Sample, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(sample.name.encode())])
