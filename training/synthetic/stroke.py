"""Lines: paths that wander, and their coverage of a window."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from training.synthetic.scene import Field, Window

_FINER: Final = 4  # lines are drawn so many times as large, then averaged


@dataclass(frozen=True)
class Stroke:
    """A line through points N×2 (x, y from the anchor), its N widths, all in pixels, and its N strengths, 0 to 1."""

    points: Field
    widths: Field
    strengths: Field


def path(rng: np.random.Generator, length: float, bend: float, jitter: float, heading: float | None = None) -> Field:
    """Points N×2 of a line from (0, 0) that turns by about `bend` radians in all, and by `jitter` at each step."""
    steps = int(np.clip(length / 3, 5, 48))
    along = np.linspace(0, 1, steps)
    start = rng.uniform(0, 2 * np.pi) if heading is None else heading
    smooth = bend * (rng.normal() * along + rng.normal() * np.sin(2 * np.pi * along) / 2)
    turned = start + smooth + jitter * rng.standard_normal(steps)
    moves = np.stack([np.cos(turned), np.sin(turned)], axis=1) * (length / steps)
    points: Field = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)]).astype(np.float32)
    return points


def centred(points: Field) -> Field:
    """The same line with the middle of its extent at the anchor."""
    middle: Field = points - (points.min(axis=0) + points.max(axis=0)) / 2
    return middle


def tapered(rng: np.random.Generator, points: Field, width: float, uneven: float = 0.3) -> Stroke:
    """A stroke that is thinner and fainter at its ends, and unevenly pressed between."""
    along = np.linspace(0, 1, len(points))
    ends = np.sin(np.pi * np.clip(along, 0.06, 0.94)) ** rng.uniform(0.2, 0.9)
    pressure = np.convolve(rng.standard_normal(len(points)), np.hanning(7)[1:-1] / 1.5, "same")
    pressed = np.clip(1 + uneven * pressure, 0.25, 1.6)
    return Stroke(
        points, (width * ends * pressed).astype(np.float32), np.clip(ends * pressed, 0.15, 1).astype(np.float32)
    )


def drawn(window: Window, strokes: list[Stroke]) -> Field:
    """Coverage h×w of lines with round joints, the latest on top."""
    height, width = window.x.shape
    sheet = Image.new("L", (_FINER * width, _FINER * height))
    pen = ImageDraw.Draw(sheet)
    anchor = np.array([-window.x[0, 0], -window.y[0, 0]]) + 0.5
    for stroke in strokes:
        points = _FINER * (stroke.points + anchor)
        thick, ink = _FINER * stroke.widths, np.rint(255 * stroke.strengths)
        for (start, end), breadth, fill in zip(pairwise(points), thick, ink, strict=False):
            pen.line([*start.tolist(), *end.tolist()], fill=int(fill), width=max(round(float(breadth)), 1))
        for (x, y), breadth, fill in zip(points.tolist(), thick.tolist(), ink.tolist(), strict=True):
            if breadth > 3:
                pen.ellipse((x - breadth / 2, y - breadth / 2, x + breadth / 2, y + breadth / 2), fill=int(fill))
    reduced = sheet.resize((width, height), Image.Resampling.BOX)
    return np.asarray(reduced, dtype=np.float32) / np.float32(255)


def extent(points: Field) -> float:
    """The reach of a window round the anchor that holds the line; in pixels."""
    return float(np.abs(points).max())
