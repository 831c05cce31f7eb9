"""Sizes of images as the data set tells them, and which of them are alike."""

from collections.abc import Sequence
from typing import Final

Size = tuple[int, int]
"""Width and height, in pixels."""

MOST_STRETCHED: Final = 1.05
"""Factor by which the aspects of images may differ that are taken for the same, here and by the gate."""


def parse_size(text: str) -> Size:
    """Of "width×height", as `training.data.dataset.Dataset.sizes` has it."""
    width, height = text.split("×")
    return int(width), int(height)


def same_aspect(one: Size, other: Size) -> bool:
    """Nearly, so that resizing one to the other stretches nothing that matters."""
    stretched = one[0] * other[1] / (one[1] * other[0])
    return 1 / MOST_STRETCHED <= stretched <= MOST_STRETCHED


def of_one_size(images: Sequence[Size]) -> bool:
    """Nearly, so that one scale is all images' own."""
    aspects, areas = [width / height for width, height in images], [width * height for width, height in images]
    return max(aspects) <= MOST_STRETCHED * min(aspects) and max(areas) <= MOST_STRETCHED**2 * min(areas)
