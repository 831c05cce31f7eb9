"""Ground truth at the evidence map's resolution."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.image import decode
from training.dataset import Sample
from training.files import naming


def marked(mask: Image.Image) -> NDArray[np.bool_]:
    """Which pixels h×w of a mask say that the image is defective there: those brighter than half."""
    return np.asarray(np.asarray(mask.convert("L")) > 127)


def coverage(samples: Sequence[Sample], height: int, width: int) -> NDArray[np.float32]:
    """The defective share of each place, n×height×width in 0..1, of samples that all have a mask."""
    grids = np.zeros((len(samples), height, width), np.float32)
    for grid, sample in zip(grids, samples, strict=True):
        assert sample.mask is not None
        with naming(sample.mask):
            mask = marked(decode(sample.mask.read_bytes()))
        reduced = Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
        grid[:] = np.asarray(reduced)
    return grids
