"""What an image looks like to a light meter and a focus meter: numbers of its size, colour, exposure and sharpness."""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

PIXEL_MEASURES: Final = ("colour", "brightness", "contrast", "clipped", "sharpness")
SIZE_MEASURES: Final[tuple[Literal["size", "aspect"], ...]] = ("size", "aspect")
_DARKEST: Final = 2
_BRIGHTEST: Final = 253
_ROWS: Final = 112
"""Rows that are read, at least: of a larger input evenly spaced ones, so that the time is bounded."""
_COLOUR_STEP: Final = 4


def size_measures(width: int, height: int) -> dict[str, float]:
    """Side of the square of the same area, in pixels, and width by height, of the image that was sent."""
    return {"size": float(np.sqrt(width * height)), "aspect": width / height}


def pixel_measures(pixels: Pixels) -> dict[str, float]:
    """Of the network's input, S×S×3: `colour`, the mean range of a pixel's channels; of green, which is nearest to
    luminance, `brightness` (mean) and `contrast` (deviation), all three in gray levels, and `clipped`, the share of
    pixels that are black or white; and `sharpness`."""
    step = max(1, len(pixels) // _ROWS)
    green = np.ascontiguousarray(pixels[:, :, 1])
    counts = np.bincount(green[::step].ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256.0)
    total = counts.sum()
    mean = float(counts @ levels / total)
    red, middle, blue = np.moveaxis(pixels[::_COLOUR_STEP, ::_COLOUR_STEP], 2, 0)
    brightest, darkest = np.maximum(np.maximum(red, middle), blue), np.minimum(np.minimum(red, middle), blue)
    return {
        "colour": float((brightest - darkest).mean()),
        "brightness": mean,
        "contrast": float(np.sqrt(counts @ (levels - mean) ** 2 / total)),
        "clipped": float((counts[: _DARKEST + 1].sum() + counts[_BRIGHTEST:].sum()) / total),
        "sharpness": sharpness(green, step),
    }


def sharpness(gray: Pixels, step: int = 1) -> float:
    """Σ Laplacian² / Σ gradient² over every `step`-th inner row of an image h×w; 0 where it is flat.

    Both grow with contrast alike, so that their ratio doesn't: it is the mean squared spatial frequency of the edges,
    which blur takes away (the spectral moments of Longuet-Higgins 1957, by finite differences).
    """
    x = gray.astype(np.float32)
    centre = x[1:-1:step, 1:-1]
    left, right, above, below = x[1:-1:step, :-2], x[1:-1:step, 2:], x[:-2:step, 1:-1], x[2::step, 1:-1]
    across, down = right - left, below - above
    laplacian = 4 * centre - left - right - above - below
    gradient = (_energy(across) + _energy(down)) / 4  # central differences span two pixels
    return _energy(laplacian) / gradient if gradient > 0 else 0.0


def _energy(values: NDArray[np.float32]) -> float:
    flat = values.ravel()
    return float(flat @ flat)
