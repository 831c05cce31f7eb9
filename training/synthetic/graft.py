"""Pieces of another good image grown in without a seam (NSA: Schlüter et al., ECCV 2022)."""

import numpy as np
from scipy import fft, ndimage

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Field, Scene, log_uniform, transformed
from training.synthetic.shape import blob, reach


def graft(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A patch from elsewhere on the product, 0.7 to 1.4 times as large, its gradients kept and its colours let go.

    Poisson image editing (Pérez et al., SIGGRAPH 2003), as NSA does; by chance with the stronger of both images'
    gradients ("mixed"), which leaves the lines of what lies below.
    """
    window = scene.window(scene.point(rng), reach(area))
    coverage = blob(rng, window, area, rough=rng.uniform(0, 0.5), soft=2)
    donor = transformed(scene.source(rng), scene.point(rng), window, log_uniform(rng, 0.7, 1.4), rng.uniform(-0.5, 0.5))
    strong = rng.uniform(1.0, 1.6)
    step_down, step_right = _guidance(window.pixels, strong * donor, is_mixed=rng.random() < 0.4)
    step_down *= coverage[1:, :, None]
    step_right *= coverage[:, 1:, None]
    change = _integrated(step_down, step_right)
    wide = np.clip(2 * ndimage.gaussian_filter(coverage, 2 * scene.unit) + 2 * coverage, 0, 1)
    return Edit(window, mixed(window.pixels, window.pixels + change, wide))


def _guidance(below: Field, above: Field, *, is_mixed: bool) -> tuple[Field, Field]:
    """By how much each step down (h−1×w×3) and to the right (h×w−1×3) is to differ from that of `below`."""
    down, right = np.diff(above - below, axis=0), np.diff(above - below, axis=1)
    if is_mixed:
        down *= np.abs(np.diff(above, axis=0)) > np.abs(np.diff(below, axis=0))
        right *= np.abs(np.diff(above, axis=1)) > np.abs(np.diff(below, axis=1))
    return down, right


def _integrated(down: Field, right: Field) -> Field:
    """The change h×w×3, zero on the border, whose steps are nearest to those wanted.

    Poisson's equation on a rectangle, solved exactly by the sine transform.
    """
    divergence = np.diff(down, axis=0)[:, 1:-1] + np.diff(right, axis=1)[1:-1]
    height, width = divergence.shape[:2]
    waves_down = 2 * np.cos(np.pi * np.arange(1, height + 1) / (height + 1)) - 2
    waves_right = 2 * np.cos(np.pi * np.arange(1, width + 1) / (width + 1)) - 2
    spectrum = fft.dstn(divergence, type=1, axes=(0, 1))
    solved = fft.idstn(spectrum / (waves_down[:, None, None] + waves_right[:, None]), type=1, axes=(0, 1))
    return np.pad(solved, ((1, 1), (1, 1), (0, 0))).astype(np.float32)
