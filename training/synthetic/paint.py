"""Colour on a surface: how strongly it differs, and how it covers what was there."""

import numpy as np

from training.synthetic.scene import Field, Scene, log_uniform


def contrast(rng: np.random.Generator, base: Field, low: float = 14, high: float = 130) -> Field:
    """A difference from the colour `base` (3), in gray levels: subtle to strong, lighter or darker as room allows."""
    room = float(base.mean()) / 255
    sign = -1 if rng.random() < np.clip(room, 0.15, 0.85) else 1
    available = max(255 * (room if sign < 0 else 1 - room), low)
    tint = 1 + rng.normal(0, 0.12, 3)
    difference: Field = (sign * min(log_uniform(rng, low, high), available) * tint).astype(np.float32)
    return difference


def foreign(rng: np.random.Generator, scene: Scene) -> Field:
    """A colour (3) of something that does not belong here: grey, one of the product's own, or any."""
    choice = rng.random()
    if choice < 0.5:
        level = rng.choice([rng.uniform(10, 70), rng.uniform(90, 170), rng.uniform(190, 250)])
        colour = level * (1 + rng.normal(0, 0.05, 3))
    elif choice < 0.75:
        colour = scene.image[scene.position(rng)] * rng.uniform(0.5, 1.5)
    else:
        colour = rng.uniform(10, 245, 3)
    return np.asarray(colour, dtype=np.float32)


def tinted(pixels: Field, coverage: Field, difference: Field, base: Field, opacity: float) -> Field:
    """Pixels h×w×3 changed by `difference` (3) where covered; with `opacity` 1 nothing of their own pattern is left."""
    flattened = opacity * (base - pixels)
    painted: Field = pixels + coverage[..., None] * (flattened + difference)
    return painted


def mixed(pixels: Field, above: Field, coverage: Field) -> Field:
    """`above` (3, or h×w×3) laid over pixels h×w×3 where covered."""
    blended: Field = pixels + coverage[..., None] * (above - pixels)
    return blended


def embossed(height: Field, rng: np.random.Generator, step: float) -> Field:
    """How much lighter (to 1) or darker (to −1) a relief h×w is than flat, lit from some side at a grazing angle."""
    light = rng.uniform(0, 2 * np.pi)
    slope_y, slope_x = np.gradient(height)
    shade = slope_x * np.cos(light) + slope_y * np.sin(light)
    strongest = np.abs(shade).max()
    lit: Field = (shade / max(float(strongest), 0.02 / step)).astype(np.float32)
    return lit
