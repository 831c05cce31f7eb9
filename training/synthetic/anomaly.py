"""One anomaly on a good image: its kind and size drawn, made, and its mask read off what changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from training.synthetic.composite import composite
from training.synthetic.cut import cut
from training.synthetic.paste import cut_paste, scar
from training.synthetic.scene import Corruption, Mask, Pixels, Scene, log_uniform
from training.synthetic.scratch import abrasion, crack, fibre, scratch
from training.synthetic.spot import dent, poke, smudge, specks, stain
from training.synthetic.warp import bend, swirl

SMALLEST: Final = 0.0001  # of the frame
LARGEST: Final = 0.03
_TRIES: Final = 24


@dataclass(frozen=True)
class Kind:
    """How an anomaly is made, and the shares of the frame that it can cover."""

    corrupt: Corruption
    least: float = SMALLEST
    most: float = LARGEST
    on_product: bool = True
    """It ends where the product does."""


KINDS: Final[Mapping[str, Kind]] = {
    "abrasion": Kind(abrasion, 0.0005, 0.02),
    "bend": Kind(bend, 0.0008),
    "crack": Kind(crack, SMALLEST, 0.004),
    "cut": Kind(cut, 0.0004),
    "cut_paste": Kind(cut_paste, 0.0003, on_product=False),
    "dent": Kind(dent, 0.0003),
    "fibre": Kind(fibre, 0.0002, 0.01, on_product=False),
    "poke": Kind(poke, 0.0003, 0.01),
    "scar": Kind(scar, 0.0003, 0.008, on_product=False),
    "scratch": Kind(scratch, SMALLEST, 0.003),
    "smudge": Kind(smudge, 0.0002, on_product=False),
    "specks": Kind(specks, SMALLEST, 0.002),
    "stain": Kind(stain, 0.0003),
    "swirl": Kind(swirl, 0.0008),
}
"""What an ablation has left of 23 (docs/experiments.md)."""


def make_anomaly(
    image: Pixels, product: Mask, rng: np.random.Generator, *, kind: str | None = None
) -> tuple[Pixels, Mask]:
    """A copy of `image`, S×S×3, with one anomaly, and the mask S×S of what it changed to be seen; never empty.

    `product`: `foreground` of the image; the anomaly begins on it. `kind`: one of KINDS; by default its size is drawn
    first, log-uniform from 0.01 % to 3 % of the frame, then a kind that comes in that size.
    """
    scene = Scene(image, product)
    for _ in range(_TRIES):
        chosen, area = _drawn(rng, kind)
        edit = chosen.corrupt(scene, area * scene.size**2, rng)
        result = composite(scene, edit, on_product=chosen.on_product)
        if result is not None:
            return result
    return _marked(scene, rng)


def _drawn(rng: np.random.Generator, name: str | None) -> tuple[Kind, float]:
    """A kind, and which share of the frame it is to cover."""
    if name is not None:
        return KINDS[name], log_uniform(rng, KINDS[name].least, KINDS[name].most)
    area = log_uniform(rng, SMALLEST, LARGEST)
    fitting = [kind for kind in KINDS.values() if kind.least <= area <= kind.most]
    return fitting[rng.integers(len(fitting))], area


def _marked(scene: Scene, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A plain spot of the opposite brightness: what shows on any image."""
    row, column = scene.position(rng)
    mask = np.zeros(scene.product.shape, dtype=bool)
    mask[row, column] = True
    mask = ndimage.binary_dilation(mask, iterations=max(round(2 * scene.unit), 1))
    marked = scene.image.copy()
    marked[mask] = 30 if scene.image[mask].mean() > 127 else 225
    return marked, mask
