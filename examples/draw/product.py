"""The products that can be drawn, and one photograph of one part."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from examples.draw.camera import Pixels, photograph
from examples.draw.capsule import capsule
from examples.draw.capsule_defects import CAPSULE_DEFECTS
from examples.draw.carpet import weave
from examples.draw.carpet_defects import CARPET_DEFECTS
from examples.draw.field import Field

VISIBLE = 0.03  # change of brightness
SMALLEST = 0.0004  # of the image


class Part(Protocol):
    """One item of a product, before it is photographed."""

    def scene(self) -> Field:
        """Brightness, H×W×3, about 0 to 1."""
        ...


P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Product(Generic[P]):
    """How to make a good part for a frame of some size, and how each kind of defect spoils one."""

    make: Callable[[np.random.Generator, int], P]
    defects: Mapping[str, Callable[[np.random.Generator, P], P]]


@dataclass(frozen=True)
class Shot:
    """An image H×W×3 with its mask H×W, true on the defect's pixels and nowhere on a good part."""

    image: Pixels
    mask: npt.NDArray[np.bool_]


PRODUCTS_BY_NAME: Mapping[str, Product[Any]] = {
    "carpet": Product(weave, CARPET_DEFECTS),
    "capsule": Product(capsule, CAPSULE_DEFECTS),
}
PRODUCTS = tuple(PRODUCTS_BY_NAME)


def shoot(product: Product[P], kind: str, size: int, seed: np.random.SeedSequence) -> Shot:
    """A part of that kind, "good" or a defect. From one seed, a good part is the defective one before its defect."""
    part_rng, defect_rng, camera_rng = (np.random.default_rng(child) for child in seed.spawn(3))
    part = product.make(part_rng, size)
    scene, mask = part.scene(), np.zeros((size, size), dtype=bool)
    if kind != "good":
        scene, mask = _corrupt(part, scene, product.defects[kind], defect_rng)
    return Shot(photograph(scene, camera_rng), mask)


def _corrupt(
    part: P, good: Field, defect: Callable[[np.random.Generator, P], P], rng: np.random.Generator
) -> tuple[Field, npt.NDArray[np.bool_]]:
    """The scene with a defect and where that differs from the good one, drawn again until it can be seen."""
    mask = np.zeros(good.shape[:2], dtype=bool)
    while mask.mean() < SMALLEST:
        corrupted = defect(rng, part).scene()
        mask = np.abs(corrupted - good).max(axis=2) > VISIBLE
    return np.where(mask[..., None], corrupted, good), mask
