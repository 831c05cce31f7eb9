"""Makes an image the network's input: the only such code, for training and serving."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.codecs.reduction import reduction
from model.image import MAX_PIXELS, decode_reduced, to_8bit

# ImageNet channel means of the original VGG training (RGB, 0..255); the deviation is left as it is.
MEAN: Final = (123.68, 116.779, 103.939)


@dataclass(frozen=True)
class InputImage:
    """An image as the network sees it, and the size that it had."""

    pixels: NDArray[np.uint8]
    """RGB, S×S×3."""
    width: int
    height: int
    """Of the image that was sent, EXIF-transposed, in pixels."""


@dataclass(frozen=True)
class Resizing:
    """How images of one model become its network's input."""

    size: int
    """S, the input's side in pixels."""
    full_scale: int | None
    """The value that is white in 16-bit gray images; None: the model takes none of those."""
    reduced: bool
    """Whether large images are reduced first, where both sides keep 2·S pixels and divide evenly: a JPEG while it is
    decoded, by a smaller cosine transform, others by the means of 2×2, 4×4 or 8×8 pixels."""

    def __call__(self, data: bytes, *, max_pixels: int = MAX_PIXELS) -> InputImage:
        """Decode and resize. Raises as `model.image.decode` does, and BrightnessError."""
        image, (width, height) = decode_reduced(data, 2 * self.size if self.reduced else None, max_pixels=max_pixels)
        image = to_8bit(image, self.full_scale)
        if self.reduced and image.size == (width, height):
            image = image.reduce(reduction(width, height, 2 * self.size))
        return InputImage(resize_to_input(image, self.size), width, height)


def resize_to_input(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """The whole frame, resized to size×size whatever its aspect: uint8 RGB, shape (size, size, 3).

    `image` of 8 bits, as `model.image.to_8bit` gives it.
    """
    resized = image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(resized.convert("RGB"))
