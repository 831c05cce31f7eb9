"""What goes wrong with a carpet, named as MVTec AD names it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from examples.draw.field import blend, cloud, plain
from examples.draw.shape import Point, blob, curve, distance_to, inside
from examples.draw.surface import Surface

BACKING = (0.24, 0.20, 0.16)
DYES = ((0.62, 0.20, 0.22), (0.48, 0.18, 0.46), (0.20, 0.42, 0.30), (0.25, 0.16, 0.10))
THREADS = ((0.88, 0.86, 0.82), (0.70, 0.24, 0.20), (0.16, 0.16, 0.20), (0.80, 0.68, 0.34))
STEEL = (0.64, 0.66, 0.70)


def hole(rng: np.random.Generator, carpet: Surface) -> Surface:
    """Yarns worn through to the backing."""
    size = len(carpet.height)
    gone = inside(blob(rng, size, _point(rng, size), size * rng.uniform(0.030, 0.055)), 2.5)
    backing = plain(size, BACKING) * (1 + 0.3 * cloud(rng, size, 2)[..., None])
    floor = carpet.height.min() - 0.02 * size
    return replace(
        carpet,
        height=carpet.height + gone * (floor - carpet.height),
        albedo=blend(carpet.albedo, backing, gone),
    )


def cut(rng: np.random.Generator, carpet: Surface) -> Surface:
    """A slit, its lips raised."""
    size = len(carpet.height)
    line = curve(rng, _point(rng, size), size * rng.uniform(0.18, 0.38), bend=0.4, jitter=0.12)
    distance, along = distance_to(line, size)
    width = size * rng.uniform(0.010, 0.016) * np.sqrt(np.clip(4 * along * (1 - along), 0.05, 1))
    ragged = distance - width * (1 + 0.35 * cloud(rng, size, 3))
    slit = inside(ragged, 1.5)
    lips = np.exp(-((ragged / (0.012 * size)) ** 2)) * (1 - slit)
    return replace(
        carpet,
        height=carpet.height + 0.012 * size * lips - 0.03 * size * slit,
        albedo=blend(carpet.albedo, BACKING, slit),
    )


def thread(rng: np.random.Generator, carpet: Surface) -> Surface:
    """A loose thread lying on top."""
    size = len(carpet.height)
    line = curve(rng, _point(rng, size), size * rng.uniform(0.28, 0.55), bend=2.2)
    distance, along = distance_to(line, size)
    radius = size * rng.uniform(0.006, 0.010)
    lies = inside(distance - radius)
    back = carpet.height.max() + np.sqrt(np.clip(radius**2 - distance**2, 0, None))
    twist = 1 + 0.15 * np.sin(2 * np.pi * (along * 45 + distance / radius / 3))
    colour = plain(size, THREADS[rng.integers(len(THREADS))]) * twist[..., None]
    return replace(
        carpet,
        height=carpet.height + lies * (back - carpet.height),
        albedo=blend(carpet.albedo, colour, lies),
    )


def color(rng: np.random.Generator, carpet: Surface) -> Surface:
    """A stain that the yarns have soaked up."""
    size = len(carpet.height)
    edge = blob(rng, size, _point(rng, size), size * rng.uniform(0.062, 0.092), roughness=0.35)
    soaked = rng.uniform(0.70, 0.95) * inside(edge, 0.02 * size)
    dyed = 2 * carpet.albedo * DYES[rng.integers(len(DYES))]
    return replace(carpet, albedo=blend(carpet.albedo, dyed, soaked))


def metal_contamination(rng: np.random.Generator, carpet: Surface) -> Surface:
    """A shaving of steel, bent and shiny."""
    size = len(carpet.height)
    line = curve(rng, _point(rng, size), size * rng.uniform(0.13, 0.22), bend=1.6)
    distance, along = distance_to(line, size)
    radius = size * rng.uniform(0.021, 0.030) * (0.4 + 0.6 * np.sin(np.pi * np.clip(along, 0.05, 0.95)))
    lies = inside(distance - radius)
    crumpled = 0.012 * size * cloud(rng, size, 0.02 * size)
    back = carpet.height.max() + crumpled + np.sqrt(np.clip(radius**2 - distance**2, 0, None))
    return replace(
        carpet,
        height=carpet.height + lies * (back - carpet.height),
        albedo=blend(carpet.albedo, STEEL, lies),
        gloss=carpet.gloss + lies * (0.9 - carpet.gloss),
    )


def _point(rng: np.random.Generator, size: int) -> Point:
    x, y = rng.uniform(-0.36, 0.36, 2) * size
    return float(x), float(y)


CARPET_DEFECTS: Mapping[str, Callable[[np.random.Generator, Surface], Surface]] = {
    "color": color,
    "cut": cut,
    "hole": hole,
    "metal_contamination": metal_contamination,
    "thread": thread,
}
