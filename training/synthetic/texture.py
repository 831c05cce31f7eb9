"""Foreign texture in the shape of noise (DRAEM: Zavrtanik et al., ICCV 2021)."""

from typing import Final

import numpy as np
from PIL import Image, ImageOps

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Pixels, Scene, log_uniform, transformed
from training.synthetic.shape import blob, reach

_CHANGES: Final = 3


def noise_blend(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A patch bounded by thresholded noise, filled by strongly altered texture, at 20 to 100 % opacity.

    DRAEM takes its texture from the Describable Textures data set; here it is the product's own, another at each place.
    """
    window = scene.window(scene.point(rng), reach(area) * 1.2)
    coverage = blob(rng, window, area, rough=rng.uniform(0.4, 1.2), soft=log_uniform(rng, 1, 4))
    donor = transformed(
        scene.source(rng), scene.point(rng), window, log_uniform(rng, 0.5, 2), rng.uniform(-np.pi, np.pi)
    )
    texture = _altered(np.clip(donor, 0, 255).astype(np.uint8), rng).astype(np.float32)
    return Edit(window, mixed(window.pixels, texture, coverage * np.float32(rng.uniform(0.2, 1))))


def _altered(texture: Pixels, rng: np.random.Generator) -> Pixels:
    """Three of the changes that DRAEM draws from, in any order."""
    changed = Image.fromarray(texture)
    for change in rng.choice(6, _CHANGES, replace=False):
        if change == 0:
            changed = ImageOps.posterize(changed, int(rng.integers(2, 5)))
        elif change == 1:
            changed = ImageOps.solarize(changed, int(rng.integers(32, 128)))
        elif change == 2:
            changed = ImageOps.autocontrast(changed, cutoff=2)
        elif change == 3:
            changed = changed.point((np.linspace(0, 1, 256) ** log_uniform(rng, 0.5, 2) * 255).astype(int).tolist() * 3)
        elif change == 4:
            changed = Image.fromarray(np.asarray(changed)[..., rng.permutation(3)])
        else:
            gains = np.asarray(changed) * rng.uniform(0.6, 1.4, 3) + rng.uniform(-30, 30)
            changed = Image.fromarray(np.clip(gains, 0, 255).astype(np.uint8))
    return np.asarray(changed)
