"""Detail in the wrong place or strength: shuffled, doubled, faded.

What MVTec AD calls faulty imprint and misplaced or missing parts (Bergmann et al., IJCV 2021).
"""

import numpy as np
from scipy import ndimage

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Field, Scene, log_uniform
from training.synthetic.shape import blob, reach


def shuffle(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A detailed square turned, mirrored or with its parts swapped, in place (Jigsaw puzzles: Noroozi, Favaro 2016)."""
    side = max(int(np.sqrt(area)), 4)
    window = scene.window(scene.detailed_point(rng, inner=0.7), side)
    top, left = int(-window.y[0, 0]) - side // 2, int(-window.x[0, 0]) - side // 2
    top, left = max(top, 0), max(left, 0)
    cell = window.pixels[top : top + side, left : left + side]
    changed = _rearranged(cell, rng)
    coverage = np.pad(np.ones((cell.shape[0] - 2, cell.shape[1] - 2), np.float32), 1, constant_values=0.5)
    corrupted = window.pixels.copy()
    corrupted[top : top + side, left : left + side] = mixed(cell, changed, coverage)
    return Edit(window, corrupted)


def ghost(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Detail seen twice, a little apart, as a double print."""
    window = scene.window(scene.detailed_point(rng, inner=0.7), reach(area))
    heading, distance = rng.uniform(0, 2 * np.pi), scene.unit * log_uniform(rng, 3, 20)
    move = (distance * np.sin(heading), distance * np.cos(heading), 0)
    second = ndimage.shift(_detail(scene, window.pixels), move, order=1, mode="nearest")
    coverage = blob(rng, window, area, rough=rng.uniform(0, 0.4), soft=4)
    share = np.float32(rng.choice([-1, 1], p=[0.2, 0.8]) * rng.uniform(0.4, 1))
    return Edit(window, window.pixels + share * coverage[..., None] * second)


def fade(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Detail paler than it should be, or gone, or too strong."""
    window = scene.window(scene.detailed_point(rng, inner=0.7), reach(area))
    coverage = blob(rng, window, area, rough=rng.uniform(0.1, 0.6), soft=log_uniform(rng, 2, 8))
    share = np.float32(rng.choice([rng.uniform(-1, -0.5), rng.uniform(0.5, 1.5)], p=[0.7, 0.3]))
    return Edit(window, window.pixels + share * coverage[..., None] * _detail(scene, window.pixels))


def _detail(scene: Scene, pixels: Field) -> Field:
    """What is finer than about a letter."""
    width = 8 * scene.unit
    detail: Field = pixels - ndimage.gaussian_filter(pixels, (width, width, 0))
    return detail


def _rearranged(cell: Field, rng: np.random.Generator) -> Field:
    """h×w×3 as before."""
    choice = rng.integers(5)
    if choice == 0:
        return cell[:, ::-1]
    if choice == 1:
        return cell[::-1]
    if choice == 2:
        return cell[::-1, ::-1]
    if choice == 3 and cell.shape[0] == cell.shape[1]:
        return cell.swapaxes(0, 1)
    return np.roll(cell, (cell.shape[0] // 2, cell.shape[1] // 2), axis=(0, 1))
