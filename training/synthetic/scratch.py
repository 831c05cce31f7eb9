"""Thin defects: scratches, abrasion, cracks and fibres.

Lines of one to three pixels, as industrial surfaces have them (MVTec AD: Bergmann et al., IJCV 2021, lists scratches,
cracks, cuts and threads); drawn as random curves, which earlier work has done for cracks and scratches on textures.
"""

from typing import Final

import numpy as np
from scipy import ndimage

from training.synthetic.paint import contrast, embossed, foreign, mixed, tinted
from training.synthetic.scene import Edit, Field, Scene, log_uniform
from training.synthetic.stroke import Stroke, centred, drawn, extent, path, tapered

_LONGEST: Final = 0.45  # of the frame


def scratch(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """One long smooth line, lighter or darker than the surface or lit as a groove."""
    width, length = _proportions(scene, area, rng)
    points = centred(path(rng, length, bend=rng.exponential(0.4), jitter=rng.uniform(0, 0.1)))
    return _scraped(scene, [tapered(rng, points, width)], rng)


def abrasion(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Several faint lines side by side, about parallel or crossing each other."""
    count = int(rng.integers(3, 12))
    heading, spread = rng.uniform(0, 2 * np.pi), rng.choice([0.08, 0.3, 1.0])
    length = min(1.5 * np.sqrt(area * rng.uniform(1, 4)), _LONGEST * scene.size)
    strokes = []
    for _ in range(count):
        line = path(rng, length * rng.uniform(0.3, 1), rng.exponential(0.3), 0.05, heading + spread * rng.normal())
        shifted = centred(line) + rng.normal(0, length / 5, 2).astype(np.float32)
        strokes.append(tapered(rng, shifted, scene.unit * rng.uniform(0.7, 1.8)))
    return _scraped(scene, strokes, rng)


def crack(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A jagged dark line, by chance with branches and a light lip."""
    width, length = _proportions(scene, area, rng)
    trunk = centred(path(rng, length, bend=rng.uniform(0.1, 0.8), jitter=rng.uniform(0.25, 0.7)))
    strokes = [tapered(rng, trunk, width, uneven=0.5)]
    for _ in range(rng.choice([0, 1, 2, 3], p=[0.4, 0.25, 0.2, 0.15])):
        root = trunk[rng.integers(1, len(trunk) - 1)]
        branch = path(rng, length * rng.uniform(0.15, 0.5), bend=0.4, jitter=0.5) + root
        strokes.append(tapered(rng, branch, 0.7 * width, uneven=0.5))
    window = scene.window(scene.position(rng), _extent(strokes))
    open_, base = drawn(window, strokes), window.base
    dark = -np.minimum(log_uniform(rng, 20, 120), base * rng.uniform(0.6, 1)).astype(np.float32)
    difference = contrast(rng, base) if base.mean() < 45 else dark
    lip = rng.choice([0, rng.uniform(0.2, 0.7)]) * embossed(open_, rng, 1 / scene.unit)
    split = tinted(window.pixels, open_, difference, base, rng.uniform(0, 0.8))
    return Edit(window, split + lip[..., None] * np.abs(difference))


def fibre(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A hair or thread of another colour lying on top, round, with its shadow."""
    width = scene.unit * log_uniform(rng, 1.3, 5)
    length = float(np.clip(area / width, 5 * width, 0.8 * scene.size))
    points = centred(path(rng, length, bend=rng.uniform(0.3, 2.5), jitter=rng.uniform(0, 0.12)))
    even = np.ones(len(points), np.float32)
    strokes = [Stroke(points, np.float32(width) * even, even)]
    window = scene.window(scene.position(rng), extent(points) + 3 * width)
    lies = drawn(window, strokes)
    fall = (width * rng.uniform(0.2, 0.9, 2) * rng.choice([-1, 1], 2)).tolist()
    shadow = ndimage.gaussian_filter(ndimage.shift(lies, fall, order=1), 0.5 * width) * rng.uniform(0, 0.5)
    rounded = 1 + rng.uniform(0, 0.35) * embossed(ndimage.gaussian_filter(lies, 0.4 * width), rng, 1 / width)
    colour = foreign(rng, scene) * rounded[..., None]
    opacity = np.float32(rng.uniform(0.5, 1))
    return Edit(window, mixed(window.pixels * (1 - shadow)[..., None], colour.astype(np.float32), opacity * lies))


def _scraped(scene: Scene, strokes: list[Stroke], rng: np.random.Generator) -> Edit:
    window = scene.window(scene.position(rng), _extent(strokes))
    lines = ndimage.gaussian_filter(drawn(window, strokes), scene.unit * rng.uniform(0.2, 0.7))
    base = window.base
    difference = contrast(rng, base)
    bare = tinted(window.pixels, lines, difference, base, rng.uniform(0, 0.7))
    groove = rng.choice([0, rng.uniform(0.3, 1)]) * embossed(lines, rng, 1 / scene.unit)
    return Edit(window, bare + groove[..., None] * np.abs(difference))


def _proportions(scene: Scene, area: float, rng: np.random.Generator) -> tuple[float, float]:
    """Width and length in pixels; wider where the area would ask for too long a line."""
    width = scene.unit * log_uniform(rng, 1, 3)
    length = area / width
    longest = _LONGEST * scene.size * rng.uniform(0.4, 1)
    return min(width * max(length / longest, 1), 3.5 * scene.unit), float(np.clip(length, 4 * width, longest))


def _extent(strokes: list[Stroke]) -> float:
    points: Field = np.concatenate([stroke.points for stroke in strokes])
    return extent(points) + 4
