"""Synthetic anomalies of a data set's good images, as samples to learn from."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.roi import Roi
from model.tiles import Tiling
from training.data.samples import Sample
from training.synthetic.anomaly import make_anomaly
from training.synthetic.foreground import foreground
from training.synthetic.scene import Mask, Pixels

Loader = Callable[[], Pixels]
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
    """S×S×3 each: the image, or the tile of it that is corrupted, with one colour beside what is less."""
    coverage: NDArray[np.float32]
    """n×h×w: the changed share of each of its patches."""
    corners: list[tuple[int, int] | None]
    """Where the tile lies in its image: its first row and column, in pixels. None: it is the whole image, S×S."""

    def loaders(self, loaders: Sequence[Loader]) -> list[Loader]:
        """They as whole images; `loaders`: of the images that they were made from."""
        parts = zip(self.source, self.images, self.corners, strict=True)
        return [
            partial(np.copy, image) if corner is None else partial(_pasted, loaders[i], image, corner)
            for i, image, corner in parts
        ]

    def placed(self, grids: Sequence[tuple[int, int]], stride: int) -> list[NDArray[np.float32]]:
        """The changed share of each patch of the whole images, of `grids` of H×W patches of `stride` pixels."""
        shares = [np.zeros(grid, np.float32) for grid in grids]
        for whole, part, corner in zip(shares, self.coverage, self.corners, strict=True):
            top, left = corner or (0, 0)
            into = whole[top // stride :, left // stride :][: len(part), : len(part)]
            into[:] = part[: into.shape[0], : into.shape[1]]
        return shares


def synthesise(
    samples: Sequence[Sample],
    loaders: Sequence[Loader],
    seed: int,
    side: int,
    tiling: Tiling | None = None,
    roi: Roi | None = None,
) -> SyntheticSamples:
    """One to four anomalies on a copy of each of at most 300 good images, on a grid of side×side patches; on one tile
    of it where they are frames of several, cut by `tiling`. They begin within `roi`, and end there.

    `loaders` give the samples as the network sees them. What becomes of an image follows from the seed, its name and
    its own pixels alone, so that nothing of another one, which may be held out, is in it.
    """
    draws = {i: _draws(sample, seed) for i, sample in enumerate(samples) if not sample.is_anomaly}
    chosen = sorted(sorted(draws, key=lambda i: draws[i].random())[:MOST])
    images, shares, corners = [], [], []
    for i in chosen:
        frame = loaders[i]()
        tiles = [frame] if tiling is None else tiling.cut(frame)
        whole = tiling is None or frame.shape[:2] == (tiling.tile, tiling.tile)
        corner = [None] if whole or tiling is None else tiling.corners(*frame.shape[:2])
        inside = _inside(roi, tiling, frame)
        number = int(draws[i].choice([n for n, part in enumerate(inside) if part.any()])) if len(tiles) > 1 else 0
        corrupted, mask = _corrupted(np.ascontiguousarray(tiles[number]), inside[number], draws[i])
        images.append(corrupted)
        corners.append(corner[number])
        size = len(mask) // side
        shares.append(mask.reshape(side, size, side, size).mean((1, 3), dtype=np.float32))
    copies = [replace(samples[i], name=f"{KIND}/{samples[i].name}", kind=KIND, mask=None) for i in chosen]
    return SyntheticSamples(copies, np.array(chosen, np.intp), images, np.stack(shares), corners)


def _pasted(load: Loader, part: Pixels, corner: tuple[int, int]) -> Pixels:
    image, (top, left), side = load().copy(), corner, len(part)
    into = image[top : top + side, left : left + side]
    into[:] = part[: into.shape[0], : into.shape[1]]
    return image


def _corrupted(image: Pixels, inside: Mask, draws: np.random.Generator) -> tuple[Pixels, Mask]:
    clean, product, mask = image, foreground(image), np.zeros(image.shape[:2], bool)
    product = product & inside if (product & inside).any() else inside
    for _ in range(draws.integers(1, 5)):
        image, changed = make_anomaly(image, product, draws)
        mask |= changed
    return np.where(inside[:, :, np.newaxis], image, clean), mask & inside


def _inside(roi: Roi | None, tiling: Tiling | None, frame: Pixels) -> list[Mask]:
    """What of each tile counts, and is of the frame."""
    inside = np.ones(frame.shape[:2], np.bool_) if roi is None else roi.inside
    return [inside] if tiling is None else tiling.cut(inside, beside=False)


def _draws(sample: Sample, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(sample.name.encode())])
