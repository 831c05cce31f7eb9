"""Size, colour, exposure and sharpness of every image, for the gate."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.cpus import available_cpus
from model.gate import CHECKS
from model.image_measures import pixel_measures, size_measures
from training.data.file_errors import naming_file
from training.data.samples import Sample
from training.features.extraction import Preprocess
from training.progress import Advance, no_progress

Measures = NDArray[np.float64]
"""n×8: the value of each of CHECKS; the last, of the appearance, is NaN until the network has been asked."""
APPEARANCE: Final = CHECKS.index("appearance")


def measure_images(samples: Sequence[Sample], preprocessor: Preprocess, advance: Advance = no_progress) -> Measures:
    """Of these files, as the service measures what it is sent; reading raises DataError, naming the file."""

    def measure(sample: Sample) -> list[float]:
        with naming_file(sample.path):
            image = preprocessor(sample.path.read_bytes())
        advance()
        return as_row(size_measures(image.width, image.height) | pixel_measures(image.pixels))

    with ThreadPoolExecutor(available_cpus()) as pool:
        return np.array(list(pool.map(measure, samples)))


def as_row(measures: Mapping[str, float]) -> list[float]:
    """Values in the order of CHECKS; NaN for one that is missing."""
    return [measures.get(name, float("nan")) for name in CHECKS]
