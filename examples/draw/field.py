"""Planes of numbers, one per pixel: what every drawing here is made of."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.floating]
Colour = tuple[float, float, float]


def grid(size: int) -> tuple[Field, Field]:
    """x to the right and y down, each size×size, in pixels from the middle of the frame."""
    axis = np.arange(size, dtype=np.float32) - (size - 1) / 2
    x, y = np.meshgrid(axis, axis)
    return x, y


def cloud(rng: np.random.Generator, size: int, grain: float) -> Field:
    """Smooth noise, size×size, mean about 0 and deviation about 0.7, whose lumps are `grain` pixels wide."""
    coarse = int(np.ceil(size / grain)) + 3
    nodes = rng.standard_normal((coarse, coarse), dtype=np.float32)
    positions = np.arange(size) / grain + 1
    rows, columns = np.meshgrid(positions, positions, indexing="ij")
    smooth: Field = ndimage.map_coordinates(nodes, [rows, columns], order=3, mode="nearest", output=np.float32)
    return smooth


def plain(size: int, colour: Colour) -> Field:
    """One colour everywhere, size×size×3."""
    return np.full((size, size, 3), colour, dtype=np.float32)


def blend(below: Field, above: Field | Colour, share: Field) -> Field:
    """`above` painted over `below` (H×W×3) where `share` (H×W) is 1, not at all where it is 0."""
    mixed: Field = below + share[..., None] * (np.asarray(above, dtype=np.float32) - below)
    return mixed
