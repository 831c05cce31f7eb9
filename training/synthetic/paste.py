"""Hard-edged pieces of the image at a position that they do not belong to (CutPaste: Li et al., CVPR 2021)."""

import numpy as np

from training.synthetic.paint import mixed
from training.synthetic.scene import Edit, Field, Scene, Window, log_uniform, transformed


def cut_paste(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A rectangle with sides of 0.3:1 to 3.3:1, its colours shifted by up to a tenth (Li et al. 2021, section 2.2)."""
    aspect = log_uniform(rng, 0.3, 1 / 0.3)
    turn = rng.choice([0.0, rng.uniform(-np.pi, np.pi)])
    return _pasted(scene, np.sqrt(area * aspect), np.sqrt(area / aspect), turn, rng)


def scar(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A long thin rectangle, turned (CutPaste-Scar: 2–16 by 10–25 of 256 pixels there; longer ones here as well)."""
    slender = log_uniform(rng, 4, 16)
    return _pasted(scene, np.sqrt(area * slender), np.sqrt(area / slender), rng.uniform(-np.pi, np.pi), rng)


def _pasted(scene: Scene, length: float, breadth: float, turn: float, rng: np.random.Generator) -> Edit:
    window = scene.window(scene.position(rng), np.hypot(length, breadth) / 2)
    piece = transformed(scene.image, scene.position(rng), window, turn=turn)
    jittered = (piece - 128) * rng.uniform(0.9, 1.1) + 128 * rng.uniform(0.9, 1.1, 3).astype(np.float32)
    return Edit(window, mixed(window.pixels, jittered, _rectangle(window, length, breadth, turn)))


def _rectangle(window: Window, length: float, breadth: float, turn: float) -> Field:
    """Coverage h×w, its edges one pixel wide."""
    along = np.abs(window.x * np.cos(turn) - window.y * np.sin(turn)) - length / 2
    across = np.abs(window.y * np.cos(turn) + window.x * np.sin(turn)) - breadth / 2
    coverage: Field = np.clip(0.5 - np.maximum(along, across), 0, 1).astype(np.float32)
    return coverage
