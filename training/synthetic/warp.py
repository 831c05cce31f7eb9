"""The image out of shape at one position: pushed aside, and twisted.

Smooth local displacements, as elastic distortions (Simard et al., ICDAR 2003) but at one position; what MVTec AD calls
bent (Bergmann et al., IJCV 2021).
"""

import numpy as np
from scipy import ndimage

from training.synthetic.paint import embossed
from training.synthetic.scene import Edit, Field, Scene, Window
from training.synthetic.shape import reach


def bend(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Pushed aside."""
    window, inner, radius = _bent_window(scene, area, rng)
    heading, distance = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.25, 0.6)
    return _moved(scene, window, distance * inner * np.cos(heading), distance * inner * np.sin(heading), rng)


def swirl(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Twisted round a point."""
    window, inner, _ = _bent_window(scene, area, rng)
    angle = rng.choice([-1, 1]) * rng.uniform(0.3, 1.2) * inner
    dx = window.x * (np.cos(angle) - 1) - window.y * np.sin(angle)
    dy = window.x * np.sin(angle) + window.y * (np.cos(angle) - 1)
    return _moved(scene, window, dx, dy, rng)


def _bent_window(scene: Scene, area: float, rng: np.random.Generator) -> tuple[Window, Field, float]:
    """A window where there is something to bend, a smooth hump h×w in it (0 to 1), and its radius in pixels."""
    radius = np.sqrt(area / np.pi) * 1.25  # the hump's foot hardly moves
    window = scene.window(scene.detailed_position(rng), reach(area))
    stretch, turn = np.exp(rng.uniform(0, 0.4)), rng.uniform(0, np.pi)
    along = (window.x * np.cos(turn) + window.y * np.sin(turn)) / stretch
    across = (window.y * np.cos(turn) - window.x * np.sin(turn)) * stretch
    inner = np.clip(1 - (along**2 + across**2) / radius**2, 0, 1) ** 2
    return window, inner.astype(np.float32), float(radius)


def _moved(scene: Scene, window: Window, dx: Field, dy: Field, rng: np.random.Generator) -> Edit:
    """Each pixel taken from (dx, dy) farther on, by chance shaded as a fold is."""
    rows, columns = window.y - window.y[0, 0] + dy, window.x - window.x[0, 0] + dx
    sources = np.stack([rows, columns])
    channels = [
        ndimage.map_coordinates(window.pixels[..., c], sources, output=np.float32, order=3, mode="nearest")
        for c in range(3)
    ]
    fold = rng.choice([0, rng.uniform(0.05, 0.3)]) * embossed(np.hypot(dx, dy).astype(np.float32), rng, 1 / scene.unit)
    shaded = np.stack(channels, axis=-1) * (1 + fold)[..., None]
    return Edit(window, shaded.astype(np.float32))
