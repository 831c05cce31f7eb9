"""Random outlines as distance fields: size×size, in pixels; coordinates count from the middle of the frame."""

from itertools import pairwise

import numpy as np

from examples.draw.field import Field, cloud, grid

Point = tuple[float, float]


def inside(distance: Field, softness: float = 1.0) -> Field:
    """Coverage 0 to 1 of the shape at a signed `distance` (negative within), its edge `softness` pixels wide."""
    covered: Field = np.clip(0.5 - distance / softness, 0, 1)
    return covered


def blob(rng: np.random.Generator, size: int, centre: Point, radius: float, roughness: float = 0.3) -> Field:
    """Signed distance to the edge of a patch, longish by chance, its edge wandering by `roughness` radii."""
    x, y = grid(size)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.5)
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    edge = cloud(rng, size, max(radius, 3)) + 0.5 * cloud(rng, size, max(radius / 3, 2))
    distance: Field = np.hypot(u / stretch, v * stretch) - radius * (1 + roughness * edge)
    return distance.astype(np.float32)


def curve(rng: np.random.Generator, centre: Point, length: float, bend: float, jitter: float = 0.0) -> Field:
    """Points N×2 (x, y) of a line round `centre` that turns by about `bend` radians, each step by `jitter` more."""
    steps = int(np.clip(length / 3, 6, 60))
    along = np.linspace(0, 1, steps)
    heading = rng.uniform(0, 2 * np.pi) + bend * rng.normal() * along
    heading = heading + bend * rng.normal() * np.sin(2 * np.pi * along) / 2 + jitter * rng.standard_normal(steps)
    points = np.cumsum(np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0) * (length / steps)
    centred: Field = points - points.mean(axis=0) + centre
    return centred.astype(np.float32)


def distance_to(points: Field, size: int) -> tuple[Field, Field]:
    """Distance to the line through `points` and, 0 to 1, how far along the line its nearest place is."""
    x, y = grid(size)
    nearest = np.full((size, size), np.inf, dtype=np.float32)
    along = np.zeros((size, size), dtype=np.float32)
    steps = len(points) - 1
    for step, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        dx, dy = bx - ax, by - ay
        share = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        distance = np.hypot(x - ax - share * dx, y - ay - share * dy)
        closer = distance < nearest
        nearest[closer] = distance[closer]
        along[closer] = (step + share[closer]) / steps
    return nearest, along
