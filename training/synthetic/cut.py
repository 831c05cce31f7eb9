"""Thin structures broken off, or gaps between them closed."""

import numpy as np
from scipy import ndimage

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Scene, log_uniform
from training.synthetic.shape import blob, reach


def cut(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Lines lighter than their surroundings (or darker, by chance) gone within a patch, filled by what is round them.

    Gray-level opening and closing (Serra 1982) take out what is thinner than their element: the wires of a mesh are
    broken where they are that, and its holes filled, as by glue, where those are.
    """
    width = max(int(scene.unit * log_uniform(rng, 7, 25)), 3)
    window = scene.window(scene.detailed_position(rng), reach(area) + width)
    filled = window.pixels
    order = (ndimage.minimum_filter, ndimage.maximum_filter)
    for extreme in order if rng.random() < 0.5 else order[::-1]:
        filled = extreme(filled, (width, width, 1))
    smooth = ndimage.gaussian_filter(filled, (width / 3, width / 3, 0))
    grain = window.pixels - ndimage.gaussian_filter(window.pixels, (1.0, 1.0, 0))
    quiet = np.clip(grain, -6, 6)
    coverage = blob(rng, window, area, rough=rng.uniform(0.05, 0.4), soft=log_uniform(rng, 1, 2.5))
    return Edit(window, mixed(window.pixels, smooth + quiet, coverage))
