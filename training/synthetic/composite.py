"""An edit in its image, and the mask of what of it can be seen; the image differs nowhere else."""

from typing import Final

import numpy as np
from scipy import ndimage

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Field, Mask, Pixels, Scene

_FAINT: Final = 3.0  # gray levels that a patch must differ by
_SHARP: Final = 6.0  # gray levels that a single pixel must differ by
_CLEAR: Final = 7.0  # gray levels that the mask must differ by on average
_GRAIN_COUNTS: Final = 0.8
_LEAST: Final = 10  # square units
_MOST: Final = 0.06  # of the frame


def composite(scene: Scene, edit: Edit, *, on_product: bool) -> tuple[Pixels, Mask] | None:
    """The image S×S×3 with the edit in it and the mask S×S of where it shows; None where it is too faint or small.

    A change shows where it stands out from the surface's own grain: by its mean over some pixels, or by itself.
    """
    window, unit = edit.window, scene.unit
    height, width = window.x.shape
    here = slice(window.top, window.top + height), slice(window.left, window.left + width)
    changed = edit.pixels
    if scene.is_gray:
        changed = np.broadcast_to(changed.mean(axis=2, keepdims=True), changed.shape)
    if on_product:
        changed = mixed(window.pixels, changed, scene.on_product(window))
    after = np.clip(np.rint(changed), 0, 255)
    change = after - window.pixels
    grain = _grain(window.pixels, unit)
    shows = _noticeable(change, grain, unit)
    strength = np.abs(change).max(axis=2)
    visible = shows.sum() >= max(_LEAST * unit**2, 2) and strength[shows].mean() >= _CLEAR + _GRAIN_COUNTS * grain
    if not visible or shows.sum() > _MOST * scene.size**2:
        return None
    image, mask = scene.image.copy(), np.zeros((scene.size, scene.size), dtype=bool)
    mask[here] = shows
    image[here] = np.where(shows[..., None], after, window.pixels).astype(np.uint8)
    return image, mask


def _grain(pixels: Field, unit: float) -> float:
    """The surface's usual deviation from its surroundings; in gray levels."""
    gray = pixels.mean(axis=2)
    deviation = np.abs(gray - ndimage.gaussian_filter(gray, 2 * unit))
    return float(np.median(deviation))


def _noticeable(change: Field, grain: float, unit: float) -> Mask:
    """h×w: changed enough to see, gaps of a few pixels closed, stray pixels left out."""
    broad = np.abs(ndimage.gaussian_filter(change, (2 * unit, 2 * unit, 0))).max(axis=2)
    sharp = np.abs(change).max(axis=2)
    seen = (sharp > 0) & ((broad > _FAINT + 0.15 * grain) | (sharp > _SHARP + grain))
    radius = max(round((1.5 + 0.15 * min(grain, 10)) * unit), 1)
    inner = slice(radius + 1, -radius - 1)
    closed = ndimage.binary_closing(np.pad(seen, radius + 1), iterations=radius)[inner, inner]
    holes = ndimage.binary_fill_holes(closed) & ~closed
    whole = closed | holes if holes.sum() < 0.2 * closed.sum() else closed
    parts, count = ndimage.label(whole, np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    keep = sizes >= max(5 * unit**2, 2)
    keep[0] = False
    kept: Mask = keep[parts]
    return kept
