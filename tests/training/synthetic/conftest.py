"""Good images of the drawn products, as the network would see them."""

import numpy as np
import pytest

from examples.draw.product import PRODUCTS_BY_NAME, shoot
from training.synthetic.scene import Pixels

SIZE = 128


def good(product: str, count: int = 3, size: int = SIZE) -> Pixels:
    """N×S×S×3."""
    shots = [shoot(PRODUCTS_BY_NAME[product], "good", size, np.random.SeedSequence(seed)) for seed in range(count)]
    return np.stack([shot.image for shot in shots])


@pytest.fixture(scope="session")
def carpets() -> Pixels:
    return good("carpet")


@pytest.fixture(scope="session")
def capsules() -> Pixels:
    return good("capsule")
