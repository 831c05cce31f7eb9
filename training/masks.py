"""Ground truth at the evidence map's resolution."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.image import decode
from training.dataset import Sample


def coverage(samples: Sequence[Sample], height: int, width: int) -> NDArray[np.float32] | None:
    """The defective share of each place, n×height×width in 0..1; None unless every sample has a mask."""
    grids = []
    for sample in samples:
        if sample.mask is None:
            return None
        mask = np.asarray(decode(sample.mask.read_bytes()).convert("L")) > 0
        grids.append(np.asarray(Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BOX)))
    return np.stack(grids) if grids else None
