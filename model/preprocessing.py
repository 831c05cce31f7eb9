"""Resizes an image to the network's input: the only such code, for training and serving."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.image import to_8bit

# ImageNet channel means of the original VGG training (RGB, 0..255); the deviation is left as it is.
MEAN: Final = (123.68, 116.779, 103.939)


def resize_to_input(image: Image.Image, size: int, full_scale: int | None) -> NDArray[np.uint8]:
    """The whole frame, resized to size×size whatever its aspect: uint8 RGB, shape (size, size, 3).

    `image` as `model.image.decode` gives it. Raises BrightnessError for a 16-bit image beyond `full_scale`.
    """
    resized = to_8bit(image, full_scale).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.array(resized.convert("RGB"))
