"""Mirrored pictures: more places to learn from, and other ways for a defect to lie on them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.features.extraction import Picture

_AXES: Final = (None, 1, 0)
"""As it is; left and right swapped; top and bottom swapped."""


def views_of(pictures: Sequence[Picture], most: int, most_pictures: int) -> list[list[Picture]]:
    """Up to `most` views of all pictures, the pictures themselves first; fewer where they would be more than
    `most_pictures` together."""
    axes = _AXES[: count_of_views(len(pictures), most, most_pictures)]
    return [[_mirrored(picture, axis) for picture in pictures] for axis in axes]


def count_of_views(pictures: int, most: int, most_pictures: int) -> int:
    """How many views `views_of` gives."""
    return max(1, min(most, most_pictures // pictures))


def mirrored_coverage(shares: NDArray[np.float32], views: int) -> NDArray[np.float32]:
    """The defective share of each place, n×h×w, of all pictures in each view: views·n×h×w."""
    return np.concatenate([shares if axis is None else np.flip(shares, axis + 1) for axis in _AXES[:views]])


def _mirrored(picture: Picture, axis: int | None) -> Picture:
    return picture if axis is None else lambda: np.flip(picture(), axis)
