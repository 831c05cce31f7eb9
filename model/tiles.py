"""Frames larger than the network's input: cut into overlapping tiles, whose maps become one map of the frame."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Annotated, Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.engines.output import FrameOutput, NetworkOutput
from model.errors import FrameSizeError
from model.hypercolumn import MEAN_WEIGHT
from model.roi import FILL

Floats = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

GRANULE: Final = 16
"""What all sides and positions are multiples of, in pixels: the largest stride, so that patches of tiles coincide."""
MAX_SIDE: Final = 16_384
LEAST_SIDE: Final = 2 * GRANULE
MOST_LARGER: Final = 8
"""Tiles that a frame of another size than in training may have, as a multiple of those in training: memory and time of
an image are bounded."""

Side = Annotated[int, msgspec.Meta(ge=32, le=MAX_SIDE, multiple_of=GRANULE)]


@dataclass(frozen=True)
class Frame:
    """What images are scaled to before they are cut into tiles: their aspect, to a multiple of 16."""

    width: Side
    height: Side
    """At least a tile's side each, where there is no scale."""
    overlap: Annotated[int, msgspec.Meta(ge=0, le=MAX_SIDE, multiple_of=GRANULE)]
    """Least overlap of neighbouring tiles, in pixels."""
    scale: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Factor by which every image is scaled, to a frame of its own; this one is then that of training's images that has
    the most tiles. None: all images become this frame, and one of another size is odd to the gate, as it shows things
    at another scale."""
    sizes_checked: bool = False
    """Whether size and aspect are checks of the gate although every image has a frame of its own: training had images
    of many sizes, and what lies beyond them is odd."""

    def size_of(self, width: int, height: int, tile: int) -> tuple[int, int]:
        """Width and height of the frame of an image of this size. Raises FrameSizeError where it can't be cut."""
        if self.scale is None:
            return self.width, self.height
        size = scaled(width, self.scale), scaled(height, self.scale)
        what = f"an image of {width}×{height} becomes a frame of {size[0]}×{size[1]} at the model's scale"
        if min(size) < LEAST_SIDE:
            raise FrameSizeError(f"{what}, whose sides must be at least {LEAST_SIDE}")
        if max(size) > MAX_SIDE or Tiling.of(self, tile).count(*size) > self.most_tiles(tile):
            raise FrameSizeError(f"{what}, which has more tiles than {self.most_tiles(tile)}")
        return size

    def most_tiles(self, tile: int) -> int:
        """Tiles of any image's frame, at most."""
        return (1 if self.scale is None else MOST_LARGER) * Tiling.of(self, tile).count(self.width, self.height)


def scaled(side: int, scale: float) -> int:
    """A side of the frame of an image with this side: the nearest multiple of 16."""
    return GRANULE * int(side * scale / GRANULE + 0.5)


def frame_size(frame: Frame | None, tile: int) -> tuple[int, int]:
    """Width and height of what images are resized to; None: one tile."""
    return (frame.width, frame.height) if frame else (tile, tile)


def check_frame(frame: Frame, tile: int) -> None:
    """Raise ValueError unless it can be cut into tiles of this side. Where each image has a frame of its own, one may
    be smaller than a tile."""
    if frame.scale is None and min(frame.width, frame.height) < tile:
        raise ValueError(f"a frame of {frame.width}×{frame.height} is smaller than its tiles of {tile}×{tile}")
    if frame.overlap >= tile:
        raise ValueError(f"tiles of {tile}×{tile} can't overlap by {frame.overlap} pixels")


@dataclass(frozen=True)
class Tiling:
    """How frames, H×W×3 pixels, become tiles, S×S×3, in rows from top to bottom. A frame of S×S is its own tile."""

    tile: int
    """S, the network's input."""
    overlap: int = 0

    @staticmethod
    def of(frame: Frame | None, tile: int) -> "Tiling":
        """None: each image is one tile."""
        return Tiling(tile, frame.overlap if frame else 0)

    def starts(self, length: int) -> list[int]:
        """First pixels of the tiles along a side of a frame: evenly spaced, as few as overlap enough."""
        beyond = max(0, length - self.tile)
        steps = -(-beyond // (self.tile - self.overlap))
        return [GRANULE * (number * beyond // steps // GRANULE) for number in range(steps + 1)] if steps else [0]

    def count(self, height: int, width: int) -> int:
        """Number of tiles of a frame."""
        return len(self.starts(height)) * len(self.starts(width))

    def cut(self, frame: NDArray[T], stride: int = 1, beside: Any = FILL) -> list[NDArray[T]]:
        """The tiles of a frame, or of a map of it that has a value for each `stride`×`stride` pixels: as views, nothing
        is copied. Pixels, or values, that are fewer than a tile have `beside` them one colour, or value."""
        height, width = (stride * side for side in frame.shape[:2])
        corners, side = self.corners(height, width), self.tile // stride
        if min(height, width) < self.tile:
            longest = (max(height, self.tile) // stride, max(width, self.tile) // stride)
            whole = np.empty((*longest, *frame.shape[2:]), frame.dtype)
            whole[:] = beside
            whole[: len(frame), : frame.shape[1]] = frame
            frame = whole
        return [frame[top // stride :, left // stride :][:side, :side] for top, left in corners]

    def corners(self, height: int, width: int) -> list[tuple[int, int]]:
        """Row and column of each tile's first pixel."""
        return [(top, left) for top in self.starts(height) for left in self.starts(width)]

    def blend(self, maps: Iterable[Floats], height: int, width: int) -> Floats:
        """The map h×w×… of a frame of height×width pixels from its tiles' s×s×…; one tile's own, to the bit.

        Where tiles overlap, each counts the more the farther a patch is from its edge, as patches near it see zeros
        beyond: by the square of that distance (the overlap-tile strategy of Ronneberger et al. 2015, section 3).
        Weights add up to 1, so that the blended map is linear in the features of the blended tiles.
        """
        rows, columns = self.starts(height), self.starts(width)
        if len(rows) == len(columns) == 1:
            (only,) = maps
            stride = self.tile // len(only)
            return only[: height // stride, : width // stride]
        remaining = iter(maps)
        first = next(remaining)
        side = len(first)
        stride = self.tile // side
        whole = max(height, self.tile), max(width, self.tile)
        down, across = self._weights(rows, whole[0], stride), self._weights(columns, whole[1], stride)
        blended = np.zeros((whole[0] // stride, whole[1] // stride, *first.shape[2:]), np.float32)
        for number, tile in enumerate(chain([first], remaining)):
            row, column = divmod(number, len(columns))
            top, left = rows[row] // stride, columns[column] // stride
            weights = down[row, top : top + side, None] * across[column, left : left + side]
            blended[top : top + side, left : left + side] += weights.reshape(side, side, *[1] * (tile.ndim - 2)) * tile
        return blended[: height // stride, : width // stride]

    def pool_cells(self, features: Floats, height: int, width: int, cells: int) -> Floats:
        """The gate's features F of a frame, from its tiles' T×F: each tile has cells×cells of them, and the frame as
        many, each the mean of the tiles' cells in its part, with the mean of all of them added as a tile's has its own
        (`model.network.VGG16CAM.grid_features`). One tile's own, to the bit."""
        rows, columns = len(self.starts(height)), len(self.starts(width))
        if rows == columns == 1:
            return np.asarray(features[0])
        tiles = features.reshape(rows, columns, -1, cells, cells)
        own = tiles - tiles.mean((3, 4), keepdims=True) * np.float32(MEAN_WEIGHT / (1 + MEAN_WEIGHT))
        grid = own.transpose(2, 0, 3, 1, 4)  # C×rows×cells×columns×cells
        pooled = grid.reshape(len(grid), cells, rows, cells, columns).mean((2, 4), dtype=np.float32)
        return np.ravel(pooled + np.float32(MEAN_WEIGHT) * pooled.mean((1, 2), keepdims=True))

    def merge(self, output: NetworkOutput, height: int, width: int, cells: int) -> FrameOutput:
        """The network's output for a frame, from that for its tiles: with its image head, whose mean over all of the
        frame is added to every patch."""
        evidence = self.blend(output.evidence, height, width)
        features = self.pool_cells(output.features, height, width, cells)
        cleared = output.cleared is not None and bool(output.cleared.all())
        if output.context is None:
            return FrameOutput(evidence, features, cleared=cleared)
        head = self.blend(output.context, height, width).mean(dtype=np.float32)
        return FrameOutput(evidence + head, features, float(head), cleared)

    def _weights(self, starts: list[int], length: int, stride: int) -> Floats:
        """Weights n×l of n tiles along a side of l patches; they add up to 1 at each."""
        side = self.tile // stride
        weights = np.zeros((len(starts), length // stride))
        ramps = [0, *((self.tile - (after - before)) // stride for before, after in pairwise(starts)), 0]
        inside = np.arange(side) + 0.5
        for own, start, (before, after) in zip(weights, starts, pairwise(ramps), strict=True):
            rising = np.minimum(1, inside / before) if before else np.ones(side)
            falling = np.minimum(1, inside[::-1] / after) if after else np.ones(side)
            own[start // stride :][:side] = (rising * falling) ** 2
        return np.asarray(weights / weights.sum(0), np.float32)
