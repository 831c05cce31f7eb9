"""Places that have lost their pattern: blurred, smeared, or filled by what lies beside them."""

from typing import Final

import numpy as np
from scipy import ndimage

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Scene, log_uniform, transformed
from training.synthetic.shape import blob, reach

_STEPS: Final = 9


def blur(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Worn smooth or out of focus (a corruption of Hendrycks and Dietterich, ICLR 2019, in one place)."""
    window = scene.window(scene.detailed_point(rng), reach(area))
    coverage = blob(rng, window, area, rough=rng.uniform(0.1, 0.5), soft=log_uniform(rng, 2, 6))
    width = scene.unit * log_uniform(rng, 1.5, 6)
    return Edit(window, mixed(window.pixels, ndimage.gaussian_filter(window.pixels, (width, width, 0)), coverage))


def smear(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Wiped in one direction while wet."""
    window = scene.window(scene.detailed_point(rng), reach(area))
    coverage = blob(rng, window, area, rough=rng.uniform(0.1, 0.5), soft=log_uniform(rng, 1.5, 5))
    heading, length = rng.uniform(0, 2 * np.pi), np.sqrt(area) * rng.uniform(0.25, 0.7)
    row, column = window.top - window.y[0, 0], window.left - window.x[0, 0]
    wiped = np.zeros_like(window.pixels)
    for step in np.linspace(0, length, _STEPS):
        point = int(row + step * np.sin(heading)), int(column + step * np.cos(heading))
        wiped += transformed(scene.image, point, window) / np.float32(_STEPS)
    return Edit(window, mixed(window.pixels, wiped, coverage * np.float32(rng.uniform(0.6, 1))))


def erase(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Missing: the neighbourhood goes on over it (exemplar-based filling, Criminisi et al. 2004, with one exemplar).

    At the product's edge that is the background, and the product is chipped.
    """
    window = scene.window(scene.detailed_point(rng), reach(area))
    coverage = blob(rng, window, area, rough=rng.uniform(0.05, 0.5), soft=log_uniform(rng, 1, 3))
    heading, distance = rng.uniform(0, 2 * np.pi), np.sqrt(area) * rng.uniform(0.9, 1.8)
    row = window.top - window.y[0, 0] + distance * np.sin(heading)
    column = window.left - window.x[0, 0] + distance * np.cos(heading)
    beside = transformed(scene.image, (int(row), int(column)), window)
    return Edit(window, mixed(window.pixels, beside, coverage))
