"""A carpet in 2/2 twill: each yarn passes over two and under two, one further in every row."""

import numpy as np

from examples.draw.field import Colour, Field, blend, cloud, grid, plain
from examples.draw.surface import Surface

YARNS = 27
WARP = (0.44, 0.47, 0.51)
WEFT = (0.59, 0.57, 0.53)


def weave(rng: np.random.Generator, size: int) -> Surface:
    """A good carpet filling the frame: its scale, turn, phase, and the thickness and shade of its yarns vary."""
    yarn = size / YARNS * rng.uniform(0.94, 1.06)
    warp, weft = _yarns(rng, size, yarn)
    warp_height = _round(warp) + 0.75 * np.cos(np.pi / 2 * (weft - np.floor(warp) - 1))
    weft_height = _round(weft) - 0.75 * np.cos(np.pi / 2 * (np.floor(weft) - warp))
    over = np.clip(0.5 + 4 * (warp_height - weft_height), 0, 1).astype(np.float32)
    strands = _strands(warp, weft) * over + _strands(weft, warp) * (1 - over)
    fibres = 0.07 * cloud(rng, size, 1.6)
    height = 0.24 * yarn * (np.maximum(warp_height, weft_height) + strands + fibres)
    tone = _tone(rng, warp) * over + _tone(rng, weft) * (1 - over)
    tone = tone + 0.03 * cloud(rng, size, size / 5) + 0.05 * cloud(rng, size, 1.4)
    dyed = blend(plain(size, _dye(rng, WEFT)), _dye(rng, WARP), over)
    albedo = dyed * (1 + tone[..., None])
    return Surface(height.astype(np.float32), albedo.astype(np.float32), np.zeros((size, size), np.float32))


def _yarns(rng: np.random.Generator, size: int, yarn: float) -> tuple[Field, Field]:
    """Where each pixel lies, counted in warp yarns across and in weft yarns down, slightly wavy."""
    x, y = grid(size)
    turn = rng.normal(0, 0.02)
    sway = 0.12 * cloud(rng, size, size / 4), 0.12 * cloud(rng, size, size / 4)
    phase = rng.uniform(50, 54, 2)
    warp = (x * np.cos(turn) + y * np.sin(turn)) / yarn + sway[0] + phase[0]
    weft = (y * np.cos(turn) - x * np.sin(turn)) / yarn + sway[1] + phase[1]
    return warp.astype(np.float32), weft.astype(np.float32)


def _dye(rng: np.random.Generator, colour: Colour) -> Colour:
    """The colour as this lot of yarn took it."""
    red, green, blue = colour * np.exp(rng.normal(0, 0.04) + rng.normal(0, 0.016, 3))
    return red, green, blue


def _round(across: Field) -> Field:
    """Height of a yarn's round back, 0 at its sides to 1."""
    back: Field = np.abs(np.sin(np.pi * across)) ** 0.7
    return back


def _strands(across: Field, along: Field) -> Field:
    """Height of the strands twisted into a yarn."""
    twisted: Field = 0.13 * np.sin(2 * np.pi * (1.5 * along + 0.9 * across))
    return twisted


def _tone(rng: np.random.Generator, across: Field) -> Field:
    """Each yarn's own deviation from its colour."""
    tones: Field = rng.normal(0, 0.05, 128).astype(np.float32)[np.floor(across).astype(int) % 128]
    return tones
