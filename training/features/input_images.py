"""A data set's images as the network sees them, each decoded once where memory has room for them."""

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.preprocessing import InputImage
from training.data.file_errors import naming_file
from training.data.samples import Sample
from training.features.extraction import ImageLoader

MOST_BYTES: Final = 1 << 30
"""Of pixels that are kept: 7,000 images of 224×224, 1,700 of 448×448. What is more is decoded again each time."""
Preprocess = Callable[[bytes], InputImage]
"""A `model.preprocessing.Preprocessor`, or a Resizing where all of an image counts."""


class InputImages:
    """Samples, read and resized when they are first asked for; asked again, they are the same arrays, which nobody can
    write to."""

    def __init__(self, samples: Sequence[Sample], preprocess: Preprocess, most_bytes: int = MOST_BYTES) -> None:
        self.samples = samples
        self._preprocess = preprocess
        self._kept: dict[int, InputImage] = {}
        self._room = most_bytes
        self._lock = Lock()

    def __getitem__(self, number: int) -> InputImage:
        """Raises DataError, naming the file, where it isn't what it was at the start."""
        if number in self._kept:
            return self._kept[number]
        path = self.samples[number].path
        with naming_file(path):
            image = self._preprocess(path.read_bytes())
        image.pixels.flags.writeable = False
        with self._lock:
            if image.pixels.nbytes <= self._room and number not in self._kept:
                self._kept[number] = image
                self._room -= image.pixels.nbytes
        return image

    @property
    def loaders(self) -> list[ImageLoader]:
        """Of each sample's pixels."""
        return [partial(self._pixels, number) for number in range(len(self.samples))]

    def _pixels(self, number: int) -> NDArray[np.uint8]:
        return self[number].pixels
