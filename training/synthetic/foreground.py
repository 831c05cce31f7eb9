"""Where the product lies in a good image."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from training.synthetic.scene import Mask, Pixels

_SIDE: Final = 64
_CORNER: Final = 6
_FAR: Final = 4.5  # deviations of the corners
_FLOOR: Final = 3.0  # gray levels: the least deviation, and what compression and noise leave of an even background
_LEVELS: Final = 64
_SHADOW: Final = 0.85  # of the dividing level
_LEAST: Final = 0.03  # of the frame
_MOST: Final = 0.9
_RIM: Final = 45  # of the frame's width go into it


def foreground(image: Pixels) -> Mask:
    """S×S, true where the product lies in an image S×S×3, without a rim, where it may be its shadow; true everywhere
    where it fills the frame.

    The four corners are taken for background, their colour and contrast laid evenly between them: what differs from it
    by more than they vary is the product, without its fainter shadow (Otsu 1979 divides the two). Nothing, or all but a
    seam: no background.
    """
    size = len(image)
    tidy = ndimage.binary_opening(ndimage.binary_closing(np.pad(_differs(image), 4), iterations=2), iterations=1)
    found = ndimage.binary_fill_holes(tidy)[4:-4, 4:-4]
    if not _LEAST < found.mean() < _MOST:
        return np.ones((size, size), dtype=bool)
    soft = Image.fromarray(found.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR)
    whole = np.asarray(soft) > 0.5
    inside: Mask = ndimage.uniform_filter(whole.astype(np.float32), round(size / _RIM) + 1) > 0.75
    return inside if inside.any() else whole


def _differs(image: Pixels) -> Mask:
    """Where 64×64 blocks of an image are unlike its corners."""
    blocks = _blocks(image)
    corners = _corners(blocks)
    medians = np.median(corners, axis=2)  # 2×2×4
    spread = 1.48 * np.median(np.abs(corners - medians[:, :, None]), axis=2).max(axis=(0, 1))
    across = np.linspace(0, 1, _SIDE, dtype=np.float32)[:, None]
    left, right = (medians[0, c] * (1 - across) + medians[1, c] * across for c in range(2))  # 64×4 down each side
    background = left[:, None] * (1 - across) + right[:, None] * across
    distance = (np.abs(blocks - background) / (spread + _FLOOR)).max(axis=2)
    differs: Mask = distance > max(_FAR, _SHADOW * _dividing_level(distance))
    return differs


def _dividing_level(values: NDArray[np.float32]) -> float:
    """The level that splits values into two classes with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(values, _LEVELS)
    below = np.cumsum(counts)[:-1]
    total = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    above = values.size - below
    between = below * above * (total[:-1] / np.maximum(below, 1) - (total[-1] - total[:-1]) / np.maximum(above, 1)) ** 2
    return float(edges[1 + np.argmax(between)])


def _blocks(image: Pixels) -> NDArray[np.float32]:
    """Mean colour and contrast of blocks, 64×64×4."""
    whole = Image.fromarray(image)
    colour = np.asarray(whole.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    gray = np.asarray(whole.convert("L"), dtype=np.float32)
    mean, square = (
        np.asarray(Image.fromarray(plane).resize((_SIDE, _SIDE), Image.Resampling.BOX)) for plane in (gray, gray**2)
    )
    contrast = np.sqrt(np.clip(square - mean**2, 0, None))
    return np.concatenate([colour, contrast[..., None]], axis=2)


def _corners(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The blocks of each corner, 2×2×36×4."""
    ends = slice(None, _CORNER), slice(-_CORNER, None)
    return np.array([[blocks[rows, columns].reshape(-1, 4) for columns in ends] for rows in ends])
