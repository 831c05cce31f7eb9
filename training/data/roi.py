"""roi.png beside the data: where images count, as the user drew it, and what of a frame that is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from scipy.ndimage import binary_erosion

from model.errors import DataError
from model.roi import Roi
from training.data.image_sizes import parse_size, same_aspect
from training.data.inventory import shown
from training.data.mask_files import MaskFiles
from training.data.masks import Mask
from training.data.samples import ROI_FILE

_REACH: Final = 2
"""Pixels of a frame by which resizing reaches beyond one of them: bilinear filters see one, reducing half of one."""


def read_roi_file(folder: Path, sizes: Iterable[str]) -> Mask | None:
    """What counts, white, of images of these sizes, "width×height", the most frequent first; None: there is no file.

    Raises DataError where it can't be read, isn't black and white or of the images' size, or leaves nothing.
    """
    path = folder / ROI_FILE
    if not path.is_file():
        return None
    (width, height), *others = map(parse_size, sizes)
    found = MaskFiles((path,)).read(Path(f"of {width}×{height}"), (width, height))
    if not found.share:
        raise DataError(f"{shown(path)} leaves nothing to look at: what counts must be white")
    for other in others:
        if not same_aspect(other, (width, height)):
            raise DataError(f"{shown(path)} is for images of {width}×{height}, but some are {other[0]}×{other[1]}")
    return None if found.share == 1 else found.mask


def roi_of(mask: Mask, width: int, height: int) -> Roi:
    """What of a frame of width×height counts: pixels that nothing outside the mask has touched in resizing.

    Raises DataError where that is none.
    """
    inside = binary_erosion(mask.coverage(height, width) > 1 - 1e-6, iterations=_REACH, border_value=1)
    if not inside.any():
        raise DataError(f"{ROI_FILE} leaves nothing of a frame of {width}×{height}: areas are too narrow")
    return Roi(np.asarray(inside))
