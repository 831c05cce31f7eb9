"""The lamp and the sensor: what differs between two photographs of the same part."""

import numpy as np
import numpy.typing as npt

from examples.draw.field import Field, grid

Pixels = npt.NDArray[np.uint8]


def photograph(scene: Field, rng: np.random.Generator) -> Pixels:
    """H×W×3 pixels of `scene` (H×W×3, brightness about 0 to 1), each made from its own place alone.

    Two scenes photographed with generators in the same state get the same light and the same noise.
    """
    exposed = scene * _lamp(rng, len(scene))
    veil = rng.uniform(0, 0.10)
    toned = np.clip(veil + (1 - veil) * exposed, 0, 1) ** rng.uniform(0.85, 1.20)
    deviation = np.sqrt(1.2**2 + 9 * toned)
    noisy = 255 * toned + deviation * rng.standard_normal(scene.shape, dtype=np.float32)
    image: Pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return image


def _lamp(rng: np.random.Generator, size: int) -> Field:
    """Light on each pixel and channel, H×W×3: its level, its fall-off to one side and its colour temperature."""
    x, y = grid(size)
    level = np.exp(rng.uniform(-0.20, 0.20))
    side, falloff = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.30)
    gradient = 1 + falloff * (x * np.cos(side) + y * np.sin(side)) / size
    warmth, tint = rng.normal(0, 0.04), rng.normal(0, 0.012)
    lamp: Field = level * gradient[..., None] * np.exp(np.array([warmth, tint, -warmth]))
    return lamp.astype(np.float32)
