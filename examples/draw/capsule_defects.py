"""What goes wrong with a capsule, named as MVTec AD names it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage

from examples.draw.capsule import STRAIGHT, Capsule
from examples.draw.field import cloud
from examples.draw.shape import Point, blob, curve, distance_to, inside


def crack(rng: np.random.Generator, capsule: Capsule) -> Capsule:
    """The shell has split along a jagged line and shed flakes beside it."""
    size = capsule.size
    line = curve(rng, _point(rng, capsule), size * rng.uniform(0.14, 0.26), bend=0.5, jitter=0.45)
    distance, along = distance_to(line, size)
    width = size * rng.uniform(0.004, 0.007) * (0.4 + np.sin(np.pi * along))
    split = inside(distance - width, 1.5)
    flaked = inside(distance - 0.02 * size * np.clip(cloud(rng, size, 0.03 * size), 0, None), 1.5)
    return replace(
        capsule,
        dent=capsule.dent - 0.02 * size * split,
        bare=np.maximum(capsule.bare, 0.75 * flaked * (1 - split)),
    )


def scratch(rng: np.random.Generator, capsule: Capsule) -> Capsule:
    """Three or four fine lines scraped into the colour."""
    size, bare = capsule.size, capsule.bare
    x, y = _point(rng, capsule)
    for _ in range(rng.integers(3, 5)):
        dx, dy = rng.normal(0, 0.015, 2) * size
        distance, along = distance_to(curve(rng, (x + dx, y + dy), size * rng.uniform(0.15, 0.32), bend=0.7), size)
        pressure = rng.uniform(0.7, 1.0) * np.sin(np.pi * np.clip(along, 0.02, 0.98))
        bare = np.maximum(bare, pressure * inside(distance - 0.004 * size, 1.5))
    return replace(capsule, bare=bare, dent=capsule.dent - 0.006 * size * bare)


def poke(rng: np.random.Generator, capsule: Capsule) -> Capsule:
    """A point has pressed a pit into the shell and torn it open."""
    size = capsule.size
    centre = _point(rng, capsule)
    radius = size * rng.uniform(0.026, 0.040)
    pit = np.exp(-(((np.clip(blob(rng, size, centre, radius, 0.15), -radius, None) + radius) / radius / 1.2) ** 2))
    torn = inside(blob(rng, size, centre, radius * rng.uniform(0.5, 0.75), 0.5), 1.5)
    return replace(
        capsule,
        dent=capsule.dent - 1.1 * radius * pit,
        bare=np.maximum(capsule.bare, 0.85 * torn),
    )


def squeeze(rng: np.random.Generator, capsule: Capsule) -> Capsule:
    """Pressed in from one side: the outline is narrower there and the shell folds."""
    size = capsule.size
    middle = rng.uniform(-0.9, 0.9) * STRAIGHT * size
    reach = size * rng.uniform(0.04, 0.07)
    pressed = np.exp(-(((capsule.along - middle) / reach) ** 2))
    side = rng.choice([-1, 1])
    one_sided = pressed * np.clip(0.5 + side * capsule.across / capsule.radius, 0, 1)
    fold = np.abs(capsule.along - middle - 0.3 * capsule.across) / reach
    return replace(
        capsule,
        across=capsule.across * (1 + rng.uniform(0.12, 0.25) * one_sided),
        dent=capsule.dent - 0.035 * size * one_sided * np.exp(-fold),
    )


def faulty_imprint(rng: np.random.Generator, capsule: Capsule) -> Capsule:
    """The ink is missing in places, smeared, or printed twice."""
    label, size = capsule.label, capsule.size
    kind = rng.integers(3)
    if kind == 0:
        patchy = np.clip(cloud(rng, max(label.shape), 0.05 * size) * 2 - 0.3, 0, 1)
        corrupted = label * patchy[: label.shape[0], : label.shape[1]]
    elif kind == 1:
        corrupted = ndimage.gaussian_filter1d(label, 0.025 * size, axis=1)
    else:
        moved = rng.uniform(0.025, 0.045, 2) * rng.choice([-1, 1], 2) * size
        corrupted = np.maximum(label, 0.8 * ndimage.shift(label, moved, order=1))
    return replace(capsule, label=corrupted.astype(np.float32))


def _point(rng: np.random.Generator, capsule: Capsule) -> Point:
    along, across = rng.uniform(-1, 1) * STRAIGHT * capsule.size, rng.uniform(-0.55, 0.55) * capsule.radius
    return capsule.pixel(along, across)


CAPSULE_DEFECTS: Mapping[str, Callable[[np.random.Generator, Capsule], Capsule]] = {
    "crack": crack,
    "faulty_imprint": faulty_imprint,
    "poke": poke,
    "scratch": scratch,
    "squeeze": squeeze,
}
