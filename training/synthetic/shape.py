"""Random outlines as coverage, 0 outside to 1 inside, over a window."""

from typing import Final

import numpy as np
from PIL import Image

from training.synthetic.scene import Field, Window

_OCTAVES: Final = 3


def cloud(rng: np.random.Generator, shape: tuple[int, int], grain: float, octaves: int = 1) -> Field:
    """Smooth noise h×w with mean about 0 and deviation about 1; its largest lumps are `grain` pixels wide.

    Each octave has half the width and half the strength of the one before (Perlin 1985 sums noise so).
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        lump = max(grain / 2**octave, 1.0)
        nodes = rng.standard_normal((int(height / lump) + 4, int(width / lump) + 4), dtype=np.float32)
        left, top = rng.uniform(0.5, 1.5, 2)
        box = (left, top, left + width / lump, top + height / lump)
        smooth = Image.fromarray(nodes).resize((width, height), Image.Resampling.BICUBIC, box=box)
        total += np.asarray(smooth, dtype=np.float32) / 2**octave
    return total * np.float32(1.4 / np.sqrt(sum(0.25**octave for octave in range(octaves))))


def blob(rng: np.random.Generator, window: Window, area: float, rough: float, soft: float = 1.0) -> Field:
    """Coverage h×w of a longish patch round the anchor of about `area` pixels.

    Its edge wanders by `rough` of its radius, in pieces where that is near 1, and is `soft` pixels wide.
    """
    radius = np.sqrt(area / np.pi)
    turn, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(0, 0.5))
    along = window.x * np.cos(turn) + window.y * np.sin(turn)
    across = window.y * np.cos(turn) - window.x * np.sin(turn)
    edge = cloud(rng, window.x.shape, max(radius, 3.0), _OCTAVES)
    level = radius * rough * edge - np.hypot(along / stretch, across * stretch)
    return covered(level.astype(np.float32), area, soft)


def covered(level: Field, area: float, soft: float) -> Field:
    """Coverage h×w of the `area` pixels where `level` is highest, its edge `soft` levels wide."""
    rank = int(np.clip(level.size - area, 0, level.size - 1))
    threshold = np.partition(level.ravel(), rank)[rank]
    coverage: Field = np.clip(0.5 + (level - threshold) / np.float32(soft), 0, 1)
    return coverage


def reach(area: float) -> float:
    """How far a blob of `area` pixels goes from its middle; in pixels."""
    return float(2.0 * np.sqrt(area / np.pi) + 3)
