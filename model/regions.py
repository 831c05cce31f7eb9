"""Regions: connected components of the heatmap above a level, one box per defect."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Box:
    """Box in pixels of the image: it covers columns left … left+width−1 and rows top … top+height−1."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Region:
    """One connected component of the heatmap."""

    box: Box
    area_percent: float
    """Percentage of the image's area."""
    score: float
    """The heatmap's maximum in the region, 0.5 … 1."""


def find_regions(heatmap: NDArray[np.float32], width: int, height: int, level: float = 0.5) -> list[Region]:
    """The 8-connected components of heatmap ≥ level, the highest score first.

    `heatmap`: h×w values in 0..1 covering the whole image of width×height pixels.
    """
    rows, columns = heatmap.shape
    found = []
    for runs in _components(heatmap >= level):
        top, bottom = runs[0][0], runs[-1][0] + 1
        left, right = min(start for _, start, _ in runs), max(stop for _, _, stop in runs)
        box_left, box_top = left * width // columns, top * height // rows
        box_right, box_bottom = -(-right * width // columns), -(-bottom * height // rows)
        found.append(
            Region(
                box=Box(box_left, box_top, box_right - box_left, box_bottom - box_top),
                area_percent=100.0 * sum(stop - start for _, start, stop in runs) / heatmap.size,
                score=float(max(heatmap[row, start:stop].max() for row, start, stop in runs)),
            )
        )
    return sorted(found, key=lambda region: region.score, reverse=True)


Run = tuple[int, int, int]
"""Row, first column, and the column after the last, of neighbouring pixels that are set."""


def _components(mask: NDArray[np.bool_]) -> list[list[Run]]:
    """The runs of each 8-connected component, top to bottom: runs that touch in the row above are joined."""
    parent: dict[Run, Run] = {}

    def root(run: Run) -> Run:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    above: list[Run] = []
    for row in np.flatnonzero(mask.any(axis=1)).tolist():
        edges = np.flatnonzero(np.diff(mask[row], prepend=False, append=False)).tolist()
        here = [(row, start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
        for run in here:
            parent[run] = run
            for other in above:
                if other[0] == row - 1 and other[1] <= run[2] and run[1] <= other[2]:
                    parent[root(run)] = root(other)
        above = here
    components: dict[Run, list[Run]] = {}
    for run in parent:
        components.setdefault(root(run), []).append(run)
    return list(components.values())
