"""Size, colour, exposure and sharpness of every image, for the gate."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.cpus import available_cpus
from model.gate import CHECKS
from model.image_measures import pixel_measures, size_measures
from training.features.input_images import InputImages
from training.progress import Advance, no_progress

Measures = NDArray[np.float64]
"""n×8: the value of each of CHECKS; the last, of the appearance, is NaN until the network has been asked."""
APPEARANCE: Final = CHECKS.index("appearance")


def measure_images(images: InputImages, advance: Advance = no_progress) -> Measures:
    """As the service measures what it is sent; reading raises DataError, naming the file."""

    def measure(number: int) -> list[float]:
        image = images[number]
        advance()
        return as_row(size_measures(image.width, image.height) | pixel_measures(image.pixels))

    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.array(list(pool.map(measure, range(len(images.samples)))))


def as_row(measures: Mapping[str, float]) -> list[float]:
    """Values in the order of CHECKS; NaN for one that is missing."""
    return [measures.get(name, float("nan")) for name in CHECKS]
