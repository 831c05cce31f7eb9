"""roi.json: where images count, as the polygons that a person drew."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.files import utf8
from training.data.inventory import shown

_MOST_POINTS: Final = 1000
"""Of one polygon: each of its edges is held against each other one."""

Side = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Polygon = list[tuple[float, float]]
"""Corners x, y in pixels of the image, in their order around it; the last is joined to the first."""


class ImageSize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Width and height of the image that was drawn on, in pixels."""

    width: Side
    height: Side


class Polygons(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Areas of an image that count, and areas that don't."""

    image: ImageSize
    include: list[Polygon] = []
    """What counts; none: everything."""
    ignore: list[Polygon] = []
    """What of that doesn't."""

    def inside(self, width: int, height: int) -> NDArray[np.bool_]:
        """Which pixels, height×width, of an image scaled to this size count: those whose centre does."""
        scale = np.array([width / self.image.width, height / self.image.height])
        inside = np.full((height, width), not self.include)
        for polygon in self.include:
            inside |= _fill(np.array(polygon) * scale, width, height)
        for polygon in self.ignore:
            inside &= ~_fill(np.array(polygon) * scale, width, height)
        return inside


def read_polygons(path: Path) -> Polygons:
    """Raises DataError, which names what is wrong."""
    try:
        polygons = msgspec.json.decode(utf8(path.read_bytes()), type=Polygons)
    except OSError as error:
        raise DataError(f"{shown(path)} can't be read: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DataError(f"{shown(path)} can't be read: {error}") from error
    if not polygons.include and not polygons.ignore:
        raise DataError(f"{shown(path)} has no polygon, neither under include nor under ignore")
    size = (polygons.image.width, polygons.image.height)
    for name, drawn in (("include", polygons.include), ("ignore", polygons.ignore)):
        for number, polygon in enumerate(drawn, 1):
            if problem := _problem(polygon, size):
                raise DataError(f"{shown(path)}: polygon {number} of {name} {problem}")
    return polygons


def _problem(polygon: Polygon, size: tuple[int, int]) -> str:
    """Why a polygon can't be meant; empty: it can."""
    if not 3 <= len(polygon) <= _MOST_POINTS:
        return f"has {len(polygon)} corners: from 3 to {_MOST_POINTS} make an area"
    corners = np.array(polygon)
    if (outside := ~((corners >= 0) & (corners <= size)).all(axis=1)).any():
        x, y = corners[outside][0].tolist()
        return f"has the corner ({x:g}, {y:g}), outside the image of {size[0]}×{size[1]}"
    if _crosses_itself(corners):
        return "crosses itself, so that its inside isn't said"
    return ""


def _crosses_itself(corners: NDArray[np.float64]) -> bool:
    """Whether two edges cross; touching is no crossing."""
    start, end = corners, np.roll(corners, -1, axis=0)

    def sides(points: NDArray[np.float64]) -> NDArray[np.float64]:
        """On which side of each edge, by rows, each point lies."""
        along, to = (end - start)[:, np.newaxis], points - start[:, np.newaxis]
        return np.asarray(np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]))

    parted = sides(start) * sides(end) < 0
    return bool((parted & parted.T).any())


def _fill(corners: NDArray[np.float64], width: int, height: int) -> NDArray[np.bool_]:
    """Pixels, height×width, whose centre lies inside: from there leftwards an odd number of edges is met."""
    passed = np.zeros((height, width + 1), np.bool_)
    for (x, y), (other_x, other_y) in pairwise([*corners.tolist(), corners[0].tolist()]):
        low, high = sorted((y, other_y))
        rows = np.arange(int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5)))
        met = x + (rows + 0.5 - y) * (other_x - x) / (other_y - y) if len(rows) else rows
        passed[rows, np.ceil(met - 0.5).astype(np.intp).clip(0, width)] ^= True
    return np.asarray(np.logical_xor.accumulate(passed, axis=1)[:, :width])
