"""A good image, and the small window of it that an anomaly is made in."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]
Mask = NDArray[np.bool_]

_REFERENCE_SIZE: Final = 448  # at which one unit is one pixel
_CANDIDATES: Final = 16
_BLOCK: Final = 8


@dataclass(frozen=True)
class Window:
    """A rectangle of the frame: its pixels h×w×3, and x to the right and y down, h×w, in pixels from its anchor."""

    top: int
    left: int
    pixels: Field
    x: Field
    y: Field

    @property
    def base(self) -> Field:
        """The usual colour round the anchor, 3."""
        near = np.hypot(self.x, self.y) <= max(3.0, 0.25 * max(self.x.shape))
        base: Field = np.median(self.pixels[near], axis=0).astype(np.float32)
        return base


@dataclass(frozen=True)
class Edit:
    """What is to become of a window's pixels, h×w×3; values may leave 0..255."""

    window: Window
    pixels: Field


@dataclass(frozen=True)
class Scene:
    """The image to corrupt, S×S×3, and where the product lies in it, S×S, somewhere true."""

    image: Pixels
    product: Mask

    @property
    def size(self) -> int:
        return len(self.image)

    @property
    def unit(self) -> float:
        """What lengths are counted in; in pixels."""
        return self.size / _REFERENCE_SIZE

    def position(self, rng: np.random.Generator) -> tuple[int, int]:
        """Row and column of a point of the product."""
        row, column = divmod(int(rng.choice(self._points)), self.size)
        return row, column

    def detailed_position(self, rng: np.random.Generator) -> tuple[int, int]:
        """Row and column of a point of the product, likelier the more the image changes round it."""
        rows, columns = np.divmod(rng.choice(self._points, _CANDIDATES), self.size)
        scale = len(self._detail) / self.size
        detail = self._detail[(rows * scale).astype(int), (columns * scale).astype(int)] ** 2 + 1e-3
        chosen = rng.choice(_CANDIDATES, p=detail / detail.sum())
        return int(rows[chosen]), int(columns[chosen])

    def window(self, position: tuple[int, int], reach: float) -> Window:
        """The pixels up to `reach` from a position in either direction, as far as the frame goes."""
        (row, column), margin = position, int(np.ceil(reach)) + 2
        top, left = max(row - margin, 0), max(column - margin, 0)
        pixels = self.image[top : row + margin + 1, left : column + margin + 1].astype(np.float32)
        rows, columns = np.arange(pixels.shape[0]), np.arange(pixels.shape[1])
        x, y = np.meshgrid((columns + left - column).astype(np.float32), (rows + top - row).astype(np.float32))
        return Window(top, left, pixels, x, y)

    def on_product(self, window: Window) -> Field:
        """How much of each pixel of a window is the product's, h×w, 0 to 1, with a soft edge."""
        height, width = window.x.shape
        here = self.product[window.top : window.top + height, window.left : window.left + width]
        if here.all():
            return np.ones((height, width), np.float32)
        share = ndimage.gaussian_filter(here.astype(np.float32), self.unit)
        soft: Field = np.clip(2 * share - 0.5, 0, 1)
        return soft

    @property
    def is_gray(self) -> bool:
        """Whether the image has no colour: then no camera of that line can see any."""
        return not (self.image != self.image[..., :1]).any()

    @cached_property
    def _points(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.product)

    @cached_property
    def _detail(self) -> NDArray[np.float64]:
        """Mean gradient of blocks, in gray levels."""
        gray = np.asarray(Image.fromarray(self.image).convert("L"), dtype=np.float32)
        gradient = np.abs(np.diff(gray, axis=0, append=gray[-1:])) + np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
        side = max(self.size // _BLOCK, 1)
        return np.asarray(Image.fromarray(gradient).resize((side, side), Image.Resampling.BOX), dtype=np.float64)


Corruption = Callable[[Scene, float, np.random.Generator], Edit]
"""Makes one anomaly that covers about so many pixels."""


def transformed(image: Pixels, position: tuple[int, int], window: Window, turn: float = 0.0) -> Field:
    """Other pixels for a window, h×w×3: its anchor falls on `position`, turned by radians; beyond the frame the image
    is mirrored."""
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    rows = position[0] + cosine * window.y + sine * window.x
    columns = position[1] + cosine * window.x - sine * window.y
    sources = np.stack([rows, columns])
    channels = [
        ndimage.map_coordinates(image[..., c], sources, output=np.float32, order=1, mode="mirror") for c in range(3)
    ]
    return np.stack(channels, axis=-1)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between `low` and `high`, its magnitude evenly distributed."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
