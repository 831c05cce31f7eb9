"""Flipped copies of images: more patches to learn from, and other ways for a defect to lie on them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.features.extraction import ImageLoader

Shares = NDArray[np.float32]
_AXES: Final = (None, 1, 0)
"""Array axes of the copies: the image as it is; flipped left to right; flipped top to bottom."""


def flipped(loaders: Sequence[ImageLoader], flips: int, max_images: int) -> list[list[ImageLoader]]:
    """All images as they are, then all of them flipped, up to `flips` times; fewer times where they would be more than
    `max_images` together."""
    axes = _AXES[: count_of_copies(len(loaders), flips, max_images)]
    return [[_flipped(loader, axis) for loader in loaders] for axis in axes]


def count_of_copies(images: int, flips: int, max_images: int) -> int:
    """Number of lists that `flipped` gives, the images as they are among them."""
    return max(1, min(flips + 1, max_images // images))


def flipped_coverage(shares: Sequence[Shares], copies: int) -> list[Shares]:
    """The defective share of each patch, n of h×w, of all images in each copy: copies·n of h×w."""
    return [each if axis is None else np.flip(each, axis) for axis in _AXES[:copies] for each in shares]


def _flipped(loader: ImageLoader, axis: int | None) -> ImageLoader:
    return loader if axis is None else lambda: np.flip(loader(), axis)
