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
from training.synthetic.scene import Mask, Picture

KIND: Final = "synthetic"
MOST: Final = 300


@dataclass(frozen=True, eq=False)
class SyntheticSamples:
    """Spoilt copies of good images."""

    samples: list[Sample]
    """Of kind "synthetic", with the path and group of the image that each was made from."""
    source: NDArray[np.intp]
    """Which image that is."""
    pictures: list[Picture]
    """S×S×3 each."""
    coverage: NDArray[np.float32]
    """n×h×w: the changed share of each place."""


def synthesise(
    samples: Sequence[Sample], pictures: Sequence[Callable[[], Picture]], seed: int, side: int
) -> SyntheticSamples:
    """One to four anomalies on a copy of each of at most 300 good images, on a grid of side×side places.

    `pictures` give the samples as the network sees them. What becomes of an image follows from the seed, its name and
    its own pixels alone, so that nothing of another one, which may be held out, is in it.
    """
    draws = {i: _draws(sample, seed) for i, sample in enumerate(samples) if not sample.is_anomaly}
    chosen = sorted(sorted(draws, key=lambda i: draws[i].random())[:MOST])
    made, shares = [], []
    for i in chosen:
        spoilt, mask = _spoilt(pictures[i](), draws[i])
        made.append(spoilt)
        size = len(mask) // side
        shares.append(mask.reshape(side, size, side, size).mean((1, 3), dtype=np.float32))
    copies = [replace(samples[i], name=f"{KIND}/{samples[i].name}", kind=KIND, mask=None) for i in chosen]
    return SyntheticSamples(copies, np.array(chosen, np.intp), made, np.stack(shares))


def _spoilt(picture: Picture, draws: np.random.Generator) -> tuple[Picture, Mask]:
    product = foreground(picture[None])
    spoilt, mask = picture, np.zeros(picture.shape[:2], bool)
    for _ in range(draws.integers(1, 5)):
        spoilt, changed = make_anomaly(spoilt, picture, draws, product=product)
        mask |= changed
    return spoilt, mask


def _draws(sample: Sample, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(sample.name.encode())])
