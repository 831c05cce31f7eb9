"""Compact defects: stains, discoloured patches, particles, dents and pokes.

The kinds that MVTec AD names colour, contamination, poke and hole (Bergmann et al., IJCV 2021).
"""

import numpy as np
from scipy import ndimage

from training.synthetic.paint import contrast, embossed, foreign, mixed, tinted
from training.synthetic.scene import Edit, Field, Scene, log_uniform
from training.synthetic.shape import blob, cloud, reach


def stain(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """Something soaked in or smeared on: the surface's pattern shows through, by chance with a darker rim."""
    window = scene.window(scene.position(rng), reach(area) * 1.2)
    radius = np.sqrt(area / np.pi)
    soft = max(log_uniform(rng, 0.05, 0.8) * radius, 1.0)
    coverage = blob(rng, window, area, rough=rng.uniform(0.1, 0.7), soft=soft)
    patchy = np.clip(1 + rng.uniform(0, 0.5) * cloud(rng, window.x.shape, max(radius / 2, 2), 2), 0, 1.5)
    rim = rng.choice([0, rng.uniform(0.3, 1)]) * 4 * coverage * (1 - coverage)
    difference = contrast(rng, window.base, 10, 100)
    strength = (coverage * patchy + rim).astype(np.float32)
    if rng.random() < 0.5:
        return Edit(window, tinted(window.pixels, strength, difference, window.base, rng.uniform(0, 0.4)))
    passed = np.clip(1 + difference / 128, 0.25, 2) * np.exp(rng.normal(0, 0.12, 3))
    return Edit(window, mixed(window.pixels, window.pixels * passed.astype(np.float32), strength))


def smudge(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """An opaque lump of something else, as glue, paste or a crumb: its own colour and grain, lit as a relief."""
    window = scene.window(scene.position(rng), reach(area) * 1.1)
    coverage = blob(rng, window, area, rough=rng.uniform(0.1, 0.6), soft=log_uniform(rng, 1, 3))
    height = ndimage.gaussian_filter(coverage, max(np.sqrt(area) * rng.uniform(0.05, 0.2), 0.7))
    grain = rng.uniform(0, 0.06) * cloud(rng, window.x.shape, max(2.5 * scene.unit, 1.5), 2)
    lit = 1 + rng.uniform(0.05, 0.5) * embossed(height, rng, 1 / scene.unit) + grain
    colour = foreign(rng, scene) * lit[..., None]
    return Edit(window, mixed(window.pixels, colour.astype(np.float32), coverage * np.float32(rng.uniform(0.5, 1))))


def specks(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """One to eight particles or pinholes close together, dark or light."""
    count = int(rng.choice([1, 1, 2, 3, 5, 8]))
    spread = rng.uniform(2, 5) * np.sqrt(area)
    window = scene.window(scene.position(rng), reach(area) + (spread if count > 1 else 0))
    sizes = rng.dirichlet(np.full(count, 2.0)) * area
    coverage = np.zeros(window.x.shape, np.float32)
    for share in sizes:
        centre = rng.normal(0, spread / 3, 2) * (count > 1)
        radius = max(np.sqrt(share / np.pi), 0.6)
        flattened, edge = rng.uniform(0.6, 1), rng.uniform(0.8, 2.0)
        wander = 1 + 0.2 * cloud(rng, window.x.shape, max(radius, 2), 2)
        distance = np.hypot((window.x - centre[0]) * flattened, (window.y - centre[1]) / flattened) * wander - radius
        coverage = np.maximum(coverage, np.clip(0.5 - distance / edge, 0, 1).astype(np.float32))
    base = window.base
    difference = contrast(rng, base, 25, 160)
    relief = rng.choice([0, rng.uniform(0.2, 0.7)]) * embossed(coverage, rng, 1 / scene.unit)
    spotted = tinted(window.pixels, coverage, difference, base, rng.uniform(0.2, 1))
    return Edit(window, spotted + relief[..., None] * np.abs(difference))


def dent(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """The surface pressed in or bulging: lighter on one side, darker on the other, its pattern kept."""
    window = scene.window(scene.position(rng), reach(area))
    strength = log_uniform(rng, 18, 90)
    shade = _pit(scene, area, rng, window.x, window.y) * strength
    gain = 1 + shade / max(float(window.base.mean()), 60.0)
    is_gloss = rng.random() < 0.3
    lit = window.pixels + shade[..., None] if is_gloss else window.pixels * gain[..., None]
    return Edit(window, lit.astype(np.float32))


def poke(scene: Scene, area: float, rng: np.random.Generator) -> Edit:
    """A small pit with a torn core, the rim raised round it."""
    window = scene.window(scene.position(rng), reach(area))
    base = window.base
    shade = _pit(scene, area, rng, window.x, window.y) * log_uniform(rng, 20, 80)
    core = blob(rng, window, area * rng.uniform(0.1, 0.4), rough=rng.uniform(0.1, 0.6), soft=scene.unit * 1.5)
    torn = tinted(window.pixels, core, contrast(rng, base, 25, 120), base, rng.uniform(0.3, 1))
    return Edit(window, (torn + shade[..., None]).astype(np.float32))


def _pit(scene: Scene, area: float, rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Shading −1 to 1, h×w, of a hollow of about `area` pixels: a soft bowl to a flat floor with a steep wall."""
    radius = np.sqrt(area / np.pi)
    turn, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(0, 0.4))
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    uneven = 1 + 0.12 * cloud(rng, (len(x), len(x[0])), max(radius, 3))
    distance = np.hypot(along / stretch, across * stretch) * uneven / radius
    height = np.exp(-((1.2 * distance) ** rng.choice([2, 4, 6]))).astype(np.float32)
    return embossed(height, rng, 1 / scene.unit)
