"""Which frame images are scaled to before they are cut into tiles, and what it costs and shows."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from scipy.ndimage import label

from model.errors import RecipeError
from model.tiles import GRANULE, LEAST_SIDE, MAX_SIDE, Frame, Tiling, check_frame, scaled
from training.data.image_sizes import Size, of_one_size, parse_size, same_aspect
from training.data.samples import Sample
from training.recipe import FineTuning, Patches, Recipe

LEAST_DEFECT: Final = 4.0
"""Pixels that a defect must measure in the frame, for nobody to be warned."""
OVERLAP: Final = 64
"""Pixels by which tiles overlap at least. Patches within some 48 pixels of a tile's edge see zeros beyond it; blended,
their features are then off by 0.10 deviations at most, and by 0.25 with an overlap of 48 (benchmarks.resolution)."""
_LEAST_TILE: Final = 0.5
"""Least side of a tile, as a share of the preset's input."""
_MOST_TILE: Final = 560
"""Greatest side of a tile, in pixels, so that memory is bounded."""
_HARDLY_STRETCHED: Final = 1.5
"""Ratio of an image's sides up to which resizing it to a square does no harm that was measured."""
_MOST_WORK: Final = 48
"""Pixels of the frame that auto chooses, at most, as a multiple of those of the preset's one tile."""
_LEAST_STEP: Final = 1.5
"""Factor of the scale below which two of them aren't worth a comparison."""
_TOUCHING: Final = np.ones((3, 3), np.bool_)


@dataclass(frozen=True)
class Resolution:
    """What was asked for."""

    size: Size | None = None
    """Of the largest image's frame."""
    scale: float | None = None
    """Factor of the images' own size, up to 1. Neither: it is to be chosen."""

    @property
    def is_auto(self) -> bool:
        return self.size is None and self.scale is None

    @classmethod
    def parse(cls, text: str) -> "Resolution":
        """auto, WIDTHxHEIGHT or a factor up to 1. Raises RecipeError."""
        if text == "auto":
            return cls()
        if sides := re.fullmatch("([1-9][0-9]{0,4})[x×]([1-9][0-9]{0,4})", text):
            return cls(size=(int(sides[1]), int(sides[2])))
        try:
            scale = float(text)
        except ValueError:
            scale = math.nan
        if not 0 < scale <= 1:
            raise RecipeError(f"--resolution must be auto, WIDTHxHEIGHT or a factor up to 1, as 0.5, not {text!r}")
        return cls(scale=scale)


def with_frame(recipe: Recipe, samples: Sequence[Sample], sizes: Mapping[str, int]) -> tuple[Recipe, list[str]]:
    """The recipe with the frame that its resolution means for images of these sizes, "width×height" to their number,
    and in sentences what that is; the recipe as it is, and no sentence, where it has none.

    Raises RecipeError where it can't be had.
    """
    if isinstance(recipe, FineTuning) or recipe.resolution is None:
        if recipe.other_sizes == "same-scale":
            raise RecipeError('other_sizes = "same-scale" needs --resolution WIDTHxHEIGHT, a factor, or auto')
        return recipe, []
    resolution, defect = Resolution.parse(recipe.resolution), smallest_defect(samples)
    if not resolution.is_auto:
        framed = _framed(recipe, sizes, _scale_of(resolution, largest_of(sizes)))
    elif defect is None:
        framed = _smallest(recipe, sizes)
    else:
        scale = _needed_scale(recipe, sizes, defect)
        framed = _one_tile(recipe, sizes) if scale is None else _framed(recipe, sizes, scale)
    sentences = describe(framed, recipe.input_size, sizes, defect)
    if resolution.is_auto and not any(sample.is_anomaly for sample in samples):
        sentences[0] += "; without a real defect nothing tells whether more would pay: say WIDTHxHEIGHT, or a factor"
    return framed, sentences


def larger_frames(recipe: Recipe, samples: Sequence[Sample], sizes: Mapping[str, int]) -> list[Patches]:
    """The recipe with larger frames than `with_frame` gives it, the smallest first: what auto tries where no mask tells
    how small defects are. The largest is as large as auto takes any; between them one, if there is room. None: another
    resolution was asked for, there are masks, no real defects, or images too small for more than one tile shows."""
    if isinstance(recipe, FineTuning) or recipe.resolution is None or not Resolution.parse(recipe.resolution).is_auto:
        return []
    anomalies = [sample for sample in samples if sample.is_anomaly]
    is_told = not anomalies or any(sample.mask is not None for sample in anomalies)
    if is_told:
        return []
    largest = largest_of(sizes)
    least, most = _scale_of_one_tile(recipe, largest), _most_scale(recipe, largest)
    steps = int(math.log(most / least) / math.log(_LEAST_STEP)) if most > least else 0
    if not steps:
        return []
    scales = [math.sqrt(least * most), most] if steps > 1 else [most]
    return [_framed(recipe, sizes, scale) for scale in scales if scale >= _least_scale(sizes)]


def largest_of(sizes: Mapping[str, int]) -> Size:
    """The size that holds all of these images, "width×height" each, where they are nearly of one size; else that of the
    one with the most pixels."""
    images = [parse_size(text) for text in sizes]
    if not of_one_size(images):
        return max(images, key=math.prod)
    return max(width for width, _ in images), max(height for _, height in images)


def smallest_defect(samples: Sequence[Sample]) -> float | None:
    """Pixels that the smallest masked defect measures in its image: the side of the square of the same area, of each
    image's largest component. None: there is no mask."""
    sides = [_largest_component(sample) for sample in samples if sample.mask is not None and sample.is_anomaly]
    return min(sides) if sides else None


def tile_for(frames: Mapping[Size, int], input_size: int) -> int:
    """Side of the tiles that cover frames of these sizes, so many of each, at the least cost; of those that cost the
    same, the largest."""
    most = min(max(_MOST_TILE, input_size), max(min(frame) for frame in frames))
    sides = range(min(int(_LEAST_TILE * input_size), most) // GRANULE * GRANULE, most + 1, GRANULE)

    def cost(side: int) -> int:
        tiling = Tiling(side, _overlap(side))
        return side**2 * sum(tiling.count(*frame) * number for frame, number in frames.items())

    return min(sides, key=lambda side: (cost(side), -side))


def _overlap(tile: int) -> int:
    return min(OVERLAP, tile // 2 // GRANULE * GRANULE)


def _needed_scale(recipe: Patches, sizes: Mapping[str, int], defect: float) -> float | None:
    """The factor at which the smallest masked defect measures a patch, as far as a frame may cost; None: it does so
    where each image is resized to the preset's one tile, and that hardly stretches it, or an image is too small."""
    largest = largest_of(sizes)
    of_one_tile, needed = _scale_of_one_tile(recipe, largest), recipe.hypercolumn.stride / defect
    if (needed <= of_one_tile and _hardly_stretched(sizes)) or _least_scale(sizes) > 1:
        return None
    return max(_least_scale(sizes), min(_most_scale(recipe, largest), max(needed, of_one_tile)))


def _smallest(recipe: Patches, sizes: Mapping[str, int]) -> Patches:
    """With the least work there is: the preset's one tile, or where that would stretch images, as many pixels."""
    if _hardly_stretched(sizes) or _least_scale(sizes) > 1:
        return _one_tile(recipe, sizes)
    least = max(_scale_of_one_tile(recipe, largest_of(sizes)), _least_scale(sizes))
    return _framed(recipe, sizes, min(1.0, least))


def _one_tile(recipe: Patches, sizes: Mapping[str, int]) -> Patches:
    """Each image resized to the preset's one tile; or to as many pixels, by one factor, where others are to be."""
    if recipe.other_sizes != "same-scale":
        return recipe
    return _framed(recipe, sizes, min(1.0, _scale_of_one_tile(recipe, largest_of(sizes))))


def _scale_of_one_tile(recipe: Patches, largest: Size) -> float:
    """At which an image has as many pixels as the preset's one tile."""
    return recipe.input_size / math.sqrt(math.prod(largest))


def _most_scale(recipe: Patches, largest: Size) -> float:
    return min(1.0, _scale_of_one_tile(recipe, largest) * math.sqrt(_MOST_WORK))


def _least_scale(sizes: Mapping[str, int]) -> float:
    """At which every image's frame has sides that are long enough."""
    return LEAST_SIDE / min(min(parse_size(text)) for text in sizes)


def _hardly_stretched(sizes: Mapping[str, int]) -> bool:
    """Whether squares hardly stretch any of the images."""
    return all(max(image) <= _HARDLY_STRETCHED * min(image) for image in [*map(parse_size, sizes), largest_of(sizes)])


def _scale_of(resolution: Resolution, largest: Size) -> float:
    if resolution.size is not None:
        (width, height), across = resolution.size, resolution.size[0] / largest[0]
        if not same_aspect(resolution.size, largest):
            raise RecipeError(
                f"--resolution {width}x{height} has another aspect than the images, {largest[0]}×{largest[1]}: scaled "
                f"by one factor they would be {width}x{round(largest[1] * across)}"
            )
        return min(1.0, math.sqrt(across * height / largest[1]))
    assert resolution.scale is not None
    return resolution.scale


def _framed(recipe: Patches, sizes: Mapping[str, int], scale: float) -> Patches:
    """With frames at this scale: one for all images where they are nearly of one size, and others are to be odd."""
    images = {parse_size(text): count for text, count in sizes.items()}
    one_frame = of_one_size(list(images)) and recipe.other_sizes != "same-scale"
    if one_frame:
        images = {largest_of(sizes): sum(images.values())}
    frames = _frames(images, scale)
    tile = tile_for(frames, recipe.input_size)
    tiling = Tiling(tile, _overlap(tile))
    width, height = max(frames, key=lambda frame: (tiling.count(*frame), math.prod(frame)))
    if one_frame and (width, height) == (tile, tile):
        return msgspec.structs.replace(recipe, input_size=tile)
    frame = Frame(
        width,
        height,
        tiling.overlap,
        scale=None if one_frame else scale,
        sizes_checked=not one_frame and recipe.other_sizes != "same-scale",
    )
    check_frame(frame, tile)
    return msgspec.structs.replace(recipe, input_size=tile, frame=frame)


def _frames(images: Mapping[Size, int], scale: float) -> dict[Size, int]:
    """Sizes of the frames of these images, and how many have each. Raises RecipeError where one is none."""
    frames: Counter[Size] = Counter()
    for (width, height), count in images.items():
        frame = scaled(width, scale), scaled(height, scale)
        if max(frame) > MAX_SIDE or min(frame) < LEAST_SIDE:
            raise RecipeError(
                f"--resolution makes a frame of {frame[0]}×{frame[1]} of an image of {width}×{height}: its sides must "
                f"lie between {LEAST_SIDE} and {MAX_SIDE}"
            )
        frames[frame] += count
    return frames


def describe(recipe: Patches, input_size: int, sizes: Mapping[str, int], defect: float | None) -> list[str]:
    """What was chosen, what a defect measures then, and what a part costs; a warning where that is too small."""
    largest, many = largest_of(sizes), not of_one_size([parse_size(text) for text in sizes])
    if many and recipe.frame is None:
        return [f"resolution: images are of many sizes, and each is resized to one tile of {input_size}×{input_size}"]
    (width, height), tile, tiles = recipe.frame_size, recipe.input_size, recipe.tiles
    parts = f"{tiles} tile{'s' * (tiles > 1)} of {tile}×{tile}"
    cost = f"costs the network {work(recipe, input_size):.2g} times one image of {input_size}×{input_size}"
    found = [f"resolution: images of {largest[0]}×{largest[1]} become {width}×{height}, {parts}; a part {cost}"]
    if many:
        assert recipe.frame is not None
        assert recipe.frame.scale is not None
        found = [
            f"resolution: images of {len(sizes)} sizes are scaled by {recipe.frame.scale:.3g}, each to a frame of its "
            f"own, at most {parts}; that part {cost}"
        ]
    if defect is None:
        return found
    scale = recipe.frame.scale if recipe.frame else None
    measured = defect * (scale or math.sqrt(width * height / math.prod(largest)))
    found[0] += f"; the smallest masked defect measures {measured:.1f} pixels"
    if measured < LEAST_DEFECT:
        found.append(
            f"warning: a defect of {measured:.1f} pixels is hardly seen; {LEAST_DEFECT:g} are the least, so a higher "
            "--resolution finds more of them, or a camera that comes nearer"
        )
    return found


def work(recipe: Patches, input_size: int) -> float:
    """What a frame costs the network, as a multiple of one tile of `input_size`."""
    return recipe.tiles * recipe.input_size**2 / input_size**2


def _largest_component(sample: Sample) -> float:
    assert sample.mask is not None
    components, _ = label(sample.mask.pixels(), _TOUCHING)
    return math.sqrt(int(np.bincount(components.ravel())[1:].max()))
