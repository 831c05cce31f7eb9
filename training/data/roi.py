"""The region of interest beside the data: where images count, as the user drew it, and what of a frame that is."""

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
from training.data.polygons import read_polygons
from training.data.samples import ROI_FILE, ROI_POLYGONS

_REACH: Final = 2
"""Pixels of a frame by which resizing reaches beyond one of them: bilinear filters see one, reducing half of one."""


def read_roi_files(folder: Path, sizes: Iterable[str]) -> Mask | None:
    """What counts of images of these sizes, "width×height", the most frequent first: white in a mask, or within
    polygons. None: neither file is there, or everything counts.

    Raises DataError where both are there, one can't be read or meant, isn't of the images' aspect, or leaves nothing.
    """
    drawn, polygons = folder / ROI_FILE, folder / ROI_POLYGONS
    found = [path for path in (drawn, polygons) if path.exists() or path.is_symlink()]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(f"{shown(drawn)} and {ROI_POLYGONS} both say where images count; keep one of them")
    images = [parse_size(size) for size in sizes]
    if drawn in found:
        path, size = drawn, images[0]
        inside = MaskFiles((path,)).read(Path(f"of {size[0]}×{size[1]}"), size).mask.pixels()
    else:
        path, read = polygons, read_polygons(polygons)
        size, inside = (read.image.width, read.image.height), read.inside(*images[0])
    if not inside.any():
        raise DataError(f"{shown(path)} leaves nothing to look at: what counts is white, or within include")
    for other in images:
        if not same_aspect(other, size):
            raise DataError(f"{shown(path)} is for images of {size[0]}×{size[1]}, but some are {other[0]}×{other[1]}")
    return None if inside.all() else Mask.of(inside)


def narrowed(own: Roi | None, mask: Mask, width: int, height: int) -> Roi | None:
    """What of a version's frame of width×height counts where the mask narrows what did; None: it doesn't.

    Raises DataError where nothing is left.
    """
    inside = roi_of(mask, width, height).inside
    before = np.ones_like(inside) if own is None else own.inside
    if not (inside & before).any():
        raise DataError("the region of interest leaves nothing of the version's own")
    return None if inside[before].all() else Roi(inside & before)


def roi_of(mask: Mask, width: int, height: int) -> Roi:
    """What of a frame of width×height counts: pixels that nothing outside the mask has touched in resizing.

    Raises DataError where that is none.
    """
    inside = binary_erosion(mask.coverage(height, width) > 1 - 1e-6, iterations=_REACH, border_value=1)
    if not inside.any():
        raise DataError(f"the region of interest leaves nothing of a frame of {width}×{height}: areas are too narrow")
    return Roi(np.asarray(inside))
