"""A printed hard capsule of two halves, lying on light paper."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from examples.draw.field import Field, blend, cloud, grid, plain
from examples.draw.shape import Point, inside
from examples.draw.surface import Surface

CAP = (0.10, 0.24, 0.40)
BODY = (0.86, 0.46, 0.16)
PAPER = (0.84, 0.84, 0.83)
INK = (0.90, 0.89, 0.86)
POWDER = (0.93, 0.91, 0.86)
RADIUS = 0.145
STRAIGHT = 0.265
SHADOW = (0.020, 0.030)


@dataclass(frozen=True)
class Capsule:
    """Where each pixel lies on the capsule, what is printed on it, and what has happened to its shell.

    `along` and `across` are pixels from its middle, H×W. `label` is the ink (0 to 1) on the near half of the shell,
    unrolled: rows go round it, columns along it. `dent` is pixels of height, H×W. `bare` is how much of the
    shell's colour has gone, H×W, 0 to 1. `paper` is the background with the shadow, H×W×3.
    """

    along: Field
    across: Field
    label: Field
    dent: Field
    bare: Field
    paper: Field

    @property
    def size(self) -> int:
        """Side of the frame in pixels."""
        return len(self.paper)

    @property
    def radius(self) -> float:
        """Of the body; in pixels."""
        return RADIUS * self.size

    def pixel(self, along: float, across: float) -> Point:
        """The place in the frame, in pixels from its middle, nearest to a place on the capsule."""
        nearest = np.argmin((self.along - along) ** 2 + (self.across - across) ** 2)
        row, column = np.divmod(nearest, self.size)
        return float(column - (self.size - 1) / 2), float(row - (self.size - 1) / 2)

    def scene(self) -> Field:
        """Brightness, H×W×3, about 0 to 1."""
        cap = inside(self.along)
        radius = self.radius * (1 + 0.035 * cap)
        distance = _distance(self.along, self.across, STRAIGHT * self.size)
        height = np.sqrt(np.clip(radius**2 - distance**2, 0, None)) + self.dent
        shell = blend(plain(self.size, BODY), CAP, cap)
        printed = blend(shell, INK, 0.85 * self._ink())
        worn = blend(printed, POWDER, self.bare)
        lit = Surface(height.astype(np.float32), worn, 0.6 * (1 - self.bare)).scene()
        return blend(self.paper, lit, inside(distance - radius))

    def _ink(self) -> Field:
        """The label rolled round the shell and seen from above, H×W."""
        rows, columns = self.label.shape
        round_it = np.arcsin(np.clip(self.across / self.radius, -1, 1)) / np.pi + 0.5
        along_it = self.along / (2 * STRAIGHT * self.size) + 0.5
        positions = [round_it * rows - 0.5, along_it * columns - 0.5]
        ink: Field = ndimage.map_coordinates(self.label, positions, order=1, output=np.float32)
        return ink


def capsule(rng: np.random.Generator, size: int) -> Capsule:
    """A good capsule: its place, its angle and how far it has rolled vary."""
    x, y = grid(size)
    left, top = rng.normal(0, 0.015, 2) * size
    angle = rng.normal(0, 0.04)
    along = (x - left) * np.cos(angle) + (y - top) * np.sin(angle)
    across = (y - top) * np.cos(angle) - (x - left) * np.sin(angle)
    rolled = ndimage.shift(label(size), (rng.normal(0, 0.02) * size, 0), order=1)
    intact = np.zeros((size, size), np.float32)
    return Capsule(
        along.astype(np.float32),
        across.astype(np.float32),
        rolled,
        dent=0.004 * size * cloud(rng, size, size / 4),
        bare=intact,
        paper=_paper(rng, along, across),
    )


def label(size: int) -> Field:
    """Ink, 0 to 1: a mark on the cap and a strength on the body; rows and columns about one pixel of the frame."""
    rows, columns = round(np.pi * RADIUS * size), round(2 * STRAIGHT * size)
    sheet = Image.new("L", (4 * columns, 4 * rows))
    pen = ImageDraw.Draw(sheet)
    unit = 4 * columns / 100
    middle = 2 * rows
    pen.ellipse((12 * unit, middle - 11 * unit, 34 * unit, middle + 11 * unit), outline=255, width=round(3 * unit))
    pen.ellipse((19 * unit, middle - 4 * unit, 27 * unit, middle + 4 * unit), fill=255)
    pen.text((76 * unit, middle), "250", font=ImageFont.load_default(23 * unit), anchor="mm", fill=255, stroke_width=1)
    reduced = sheet.resize((columns, rows), Image.Resampling.BOX)
    ink: Field = np.asarray(reduced, dtype=np.float32) / np.float32(255)
    return ink


def _distance(along: Field, across: Field, straight: float) -> Field:
    """Pixels from the capsule's axis, which ends where the shell's round ends begin."""
    distance: Field = np.hypot(along - np.clip(along, -straight, straight), across)
    return distance


def _paper(rng: np.random.Generator, along: Field, across: Field) -> Field:
    """Paper with its grain, the capsule's soft shadow and a reflection of the body's colour."""
    size = len(along)
    shifted = along - SHADOW[0] * size, across - SHADOW[1] * size
    shape = inside(_distance(*shifted, STRAIGHT * size) - RADIUS * size)
    shadow = 0.40 * ndimage.gaussian_filter(shape, 0.035 * size) + 0.25 * ndimage.gaussian_filter(shape, 0.012 * size)
    glow = 0.25 * ndimage.gaussian_filter(shape * inside(-along), 0.06 * size)
    grain = 1 + 0.006 * cloud(rng, size, 1.5) + 0.012 * cloud(rng, size, size / 6)
    tinted = blend(plain(size, PAPER) * grain[..., None], BODY, glow)
    paper: Field = tinted * (1 - shadow)[..., None]
    return paper
