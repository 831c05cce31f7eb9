"""One anomaly on a good image: its kind and size drawn, made, and its mask read off what changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from training.synthetic.cut import cut
from training.synthetic.foreground import foreground
from training.synthetic.graft import graft
from training.synthetic.imprint import fade, ghost, shuffle
from training.synthetic.mask import composite
from training.synthetic.paste import cut_paste, scar
from training.synthetic.scene import Corruption, Mask, Pixels, Scene, log_uniform
from training.synthetic.scratch import abrasion, crack, fibre, scratch
from training.synthetic.smear import blur, erase, smear
from training.synthetic.spot import dent, poke, smudge, specks, stain
from training.synthetic.texture import noise_blend
from training.synthetic.warp import bend, squeeze, swirl

SMALLEST: Final = 0.0001  # of the frame
LARGEST: Final = 0.03
_TRIES: Final = 24
_RIM: Final = 45  # of the frame's width go into it


@dataclass(frozen=True)
class Kind:
    """How an anomaly is made, the shares of the frame that it can cover, and how often it is drawn beside others."""

    corrupt: Corruption
    least: float = SMALLEST
    most: float = LARGEST
    weight: float = 1.0
    on_product: bool = True
    """It ends where the product does."""


KINDS: Final[Mapping[str, Kind]] = {
    "abrasion": Kind(abrasion, 0.0005, 0.02),
    "bend": Kind(bend, 0.0008),
    "blur": Kind(blur, 0.0008, weight=0.5),
    "crack": Kind(crack, SMALLEST, 0.004, weight=2),
    "cut": Kind(cut, 0.0004),
    "cut_paste": Kind(cut_paste, 0.0003, on_product=False),
    "dent": Kind(dent, 0.0003),
    "erase": Kind(erase, 0.0004, on_product=False),
    "fade": Kind(fade, 0.0006),
    "fibre": Kind(fibre, 0.0002, 0.01, on_product=False),
    "ghost": Kind(ghost, 0.0008),
    "graft": Kind(graft, 0.0005, weight=3, on_product=False),
    "noise_blend": Kind(noise_blend, 0.0003),
    "poke": Kind(poke, 0.0003, 0.01),
    "scar": Kind(scar, 0.0003, 0.008, on_product=False),
    "scratch": Kind(scratch, SMALLEST, 0.003, weight=3),
    "shuffle": Kind(shuffle, 0.0005, 0.015, on_product=False),
    "smear": Kind(smear, 0.0005, weight=0.5),
    "smudge": Kind(smudge, 0.0002, on_product=False),
    "specks": Kind(specks, SMALLEST, 0.002, weight=1.5),
    "squeeze": Kind(squeeze, 0.0008, on_product=False),
    "stain": Kind(stain, 0.0003),
    "swirl": Kind(swirl, 0.0008),
}


def make_anomaly(
    image: Pixels,
    donor: Pixels,
    rng: np.random.Generator,
    *,
    product: Mask | None = None,
    kind: str | None = None,
) -> tuple[Pixels, Mask]:
    """A copy of `image` with one anomaly, and the mask S×S of what it changed to be seen; never empty.

    `donor`: another good image of the product, for kinds that need foreign pixels. Both as the network sees them,
    S×S×3. `product`: `foreground` of several good images; anomalies stay on it. `kind`: one of KINDS; by default its
    size is drawn first, log-uniform from 0.01 % to 3 % of the frame, then a kind that comes in that size.
    """
    scene = Scene(image, donor, _where(image, product))
    for _ in range(_TRIES):
        chosen, area = _drawn(rng, kind)
        edit = chosen.corrupt(scene, area * scene.size**2, rng)
        result = composite(scene, edit, on_product=chosen.on_product)
        if result is not None:
            return result
    return _marked(scene, rng)


def _where(image: Pixels, product: Mask | None) -> Mask:
    """The product in this image without a rim, where it may be its shadow, or all of the frame."""
    if product is None or product.all():
        return np.ones(image.shape[:2], dtype=bool)
    here = (product & foreground(image[None])).astype(np.float32)
    inside: Mask = ndimage.uniform_filter(here, round(len(image) / _RIM) + 1) > 0.75
    return inside if inside.any() else product


def _drawn(rng: np.random.Generator, name: str | None) -> tuple[Kind, float]:
    """A kind, and which share of the frame it is to cover."""
    if name is not None:
        return KINDS[name], log_uniform(rng, KINDS[name].least, KINDS[name].most)
    area = log_uniform(rng, SMALLEST, LARGEST)
    fitting = [kind for kind in KINDS.values() if kind.least <= area <= kind.most]
    weights = np.array([kind.weight for kind in fitting])
    return fitting[rng.choice(len(fitting), p=weights / weights.sum())], area


def _marked(scene: Scene, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A plain spot of the opposite brightness: what shows on any image."""
    row, column = scene.point(rng)
    mask = np.zeros(scene.product.shape, dtype=bool)
    mask[row, column] = True
    mask = ndimage.binary_dilation(mask, iterations=max(round(2 * scene.unit), 1))
    corrupted = scene.image.copy()
    corrupted[mask] = 30 if scene.image[mask].mean() > 127 else 225
    return corrupted, mask
