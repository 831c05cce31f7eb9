"""Frames of a data set's images by a recipe: all of one size, or each of its own where one factor scales them."""

import math

from model.tiles import frame_size
from training.data.image_sizes import Size
from training.data.samples import Sample
from training.recipe import Patches, Recipe


def frame_of(recipe: Recipe, sample: Sample) -> Size:
    """Width and height of what the sample's image is resized to, in pixels; as the service's, `Resizing.frame_of`."""
    frame = recipe.frame
    if frame is None or frame.scale is None:
        return frame_size(frame, recipe.input_size)
    assert sample.size is not None, f"{sample.name} was not read"
    return frame.size_of(*sample.size, recipe.input_size)


def patch_grid(recipe: Recipe, sample: Sample) -> tuple[int, int]:
    """Height and width of the grid of patches that the sample's image is divided into."""
    width, height = frame_of(recipe, sample)
    return height // recipe.hypercolumn.stride, width // recipe.hypercolumn.stride


def patches_of(recipe: Recipe, sample: Sample) -> int:
    """P, the number of patches of the sample's image."""
    return math.prod(patch_grid(recipe, sample))


def tiles_of(recipe: Patches, sample: Sample) -> int:
    """Number of tiles of the sample's frame."""
    width, height = frame_of(recipe, sample)
    return recipe.tiling.count(height, width)
