"""Images as they shouldn't come, and as they may: what benchmarks/odd_images.py shows to the gate."""

import io
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from model.image import decode

Modification = Callable[[Image.Image], Image.Image]
_FRAMES: Final = 20  # synthetic frames of each kind


def light(image: Image.Image, stops: float) -> Image.Image:
    """Exposure in linear light (sRGB's transfer function, IEC 61966-2-1), clipped at white."""
    coded = np.asarray(image) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4) * 2.0**stops
    linear = np.minimum(linear, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(255 * coded).astype(np.uint8))


def shifted(image: Image.Image, share: float, axis: int, sign: int) -> Image.Image:
    """Moved by a share of its side, the border repeated."""
    pixels = np.asarray(image)
    steps = round(share * pixels.shape[axis])
    margins = [(0, 0)] * pixels.ndim
    margins[axis] = (steps, 0) if sign > 0 else (0, steps)
    padded = np.pad(pixels, margins, "edge")
    side = pixels.shape[axis]
    return Image.fromarray(np.take(padded, range(side) if sign > 0 else range(steps, steps + side), axis))


def covered(image: Image.Image, axis: int, sign: int) -> Image.Image:
    """One half dark gray, as by a hand or a flap."""
    pixels = np.asarray(image).copy()
    half = pixels.shape[axis] // 2
    halves = [slice(None)] * pixels.ndim
    halves[axis] = slice(half, None) if sign > 0 else slice(0, half)
    pixels[tuple(halves)] = 40
    return Image.fromarray(pixels)


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return decode(file.getvalue())


def blurred(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


RADII: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""Of Gaussian blur, in pixels of the image that is sent."""
BLUR: Final[dict[str, Modification]] = {f"blur {radius:g} px": partial(blurred, radius=radius) for radius in RADII}
WRONG: Final[dict[str, Modification]] = {
    "+2 EV": partial(light, stops=2),
    "−2 EV": partial(light, stops=-2),
    **{
        f"shifted by 25 %, {name}": partial(shifted, share=0.25, axis=axis, sign=sign)
        for name, axis, sign in (("left", 1, -1), ("right", 1, 1), ("up", 0, -1), ("down", 0, 1))
    },
    "turned by 90°": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    **{
        f"half covered, {name}": partial(covered, axis=axis, sign=sign)
        for name, axis, sign in (("left", 1, -1), ("right", 1, 1), ("top", 0, -1), ("bottom", 0, 1))
    },
}
ORDINARY: Final[dict[str, Modification]] = {
    "+0.2 EV": partial(light, stops=0.2),
    "−0.2 EV": partial(light, stops=-0.2),
    "shifted by 2 %, left": partial(shifted, share=0.02, axis=1, sign=-1),
    "shifted by 2 %, down": partial(shifted, share=0.02, axis=0, sign=1),
    "JPEG quality 85": jpeg,
}


def frames(size: int) -> dict[str, list[NDArray[np.uint8]]]:
    """What a camera sends that sees nothing."""
    rng = np.random.default_rng(0)
    shape = (size, size, 3)
    return {
        "black": [np.zeros(shape, np.uint8)],
        "white": [np.full(shape, 255, np.uint8)],
        "gray": [np.full(shape, level, np.uint8) for level in range(40, 240, 10)],
        "noise": [rng.integers(0, 256, shape, np.uint8) for _ in range(_FRAMES)],
        "dark noise": [
            np.clip(rng.normal(4, deviation, shape), 0, 255).astype(np.uint8)
            for deviation in np.linspace(1, 6, _FRAMES)
        ],
    }
