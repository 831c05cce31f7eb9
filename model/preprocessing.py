"""Makes an image the frame that the network sees, whole or in tiles: the only such code, for training and serving."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.codecs.reduction import reduction
from model.image import MAX_PIXELS, decode_reduced, to_8bit
from model.roi import Roi
from model.tiles import Frame, Tiling, frame_size

# ImageNet channel means of the original VGG training (RGB, 0..255); the deviation is left as it is.
MEAN: Final = (123.68, 116.779, 103.939)
MOST_HEATMAP: Final = 1024 * 1024
"""Pixels of a frame's heatmap, at most: it has no more to show than a value a patch, and is drawn for every reply."""


@dataclass(frozen=True)
class InputImage:
    """An image as the network sees it, and the size that it had."""

    pixels: NDArray[np.uint8]
    """RGB, H×W×3: S×S, or a frame that is to be cut into tiles of S×S."""
    width: int
    height: int
    """Of the image that was sent, EXIF-transposed, in pixels."""


@dataclass(frozen=True)
class Resizing:
    """How images of one model become its network's input, or frames of several inputs."""

    size: int
    """S, the input's side in pixels."""
    full_scale: int | None
    """The value that is white in 16-bit gray images; None: the model takes none of those."""
    reduced: bool
    """Whether large images are reduced first, where both sides keep twice the pixels that are wanted, and divide
    evenly: a JPEG while it is decoded, by a smaller cosine transform, others by the means of 2×2, 4×4 or 8×8 pixels.
    Not where the frame has a scale: which pixels are wanted is known once the image is decoded."""
    frame: Frame | None = None
    """What images are scaled to; None: one tile, S×S, whatever their aspect."""

    @property
    def tiling(self) -> Tiling:
        """How frames are cut."""
        return Tiling.of(self.frame, self.size)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of what images are resized to."""
        return frame_size(self.frame, self.size)

    @property
    def heatmap_size(self) -> int:
        """Longer side of a heatmap of the frame of training's images."""
        return heatmap_size(*self.frame_size)

    def frame_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of what an image of this size is resized to. Raises FrameSizeError."""
        return self.frame.size_of(width, height, self.size) if self.frame else self.frame_size

    @property
    def most_pixels(self) -> int:
        """Of any image's frame, at most."""
        if self.frame is None or self.frame.scale is None:
            return math.prod(self.frame_size)
        return self.frame.most_tiles(self.size) * self.size**2

    def __call__(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> InputImage:
        """Decode and resize. Raises as `model.image.decode` does, BrightnessError and FrameSizeError."""
        least = 2 * min(self.frame_size) if self.reduced and not (self.frame and self.frame.scale) else None
        image, (width, height) = decode_reduced(data, least, max_pixels=max_pixels)
        image = to_8bit(image, self.full_scale)
        if least and image.size == (width, height):
            image = image.reduce(reduction(width, height, least))
        return InputImage(resize_to_input(image, *self.frame_of(width, height)), width, height)


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """How images of one model become what its network sees: resized, and nothing of them outside the region of
    interest."""

    resizing: Resizing
    roi: Roi | None = None

    def __call__(self, data: bytes) -> InputImage:
        """Decode, resize and fill. Raises as `Resizing` does."""
        image = self.resizing(data)
        return replace(image, pixels=self.fill(image.pixels))

    def fill(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame H×W×3 without what lies outside."""
        return pixels if self.roi is None else self.roi.fill(pixels)


def heatmap_size(width: int, height: int) -> int:
    """Longer side of the heatmap of a frame: its own, halved until the heatmap is no larger than a megapixel."""
    reduced = 1
    while width * height > MOST_HEATMAP * reduced**2:
        reduced *= 2
    return max(width, height) // reduced


def resize_to_input(image: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    """The whole image, resized to width×height whatever its aspect: uint8 RGB, shape (height, width, 3).

    `image` of 8 bits, as `model.image.to_8bit` gives it.
    """
    resized = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(resized.convert("RGB"))
