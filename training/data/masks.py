"""Ground truth: which pixels of an image are defective, and that at the evidence map's resolution."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from model.errors import DataError, ImageError
from model.image import decode, full_scale_for, sniff
from training.data.inventory import shown

if TYPE_CHECKING:
    from training.data.samples import Sample

_ORIENTATION: Final = 0x0112
_ODD_METADATA: Final = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, struct.error)

Levels = NDArray[np.uint8] | NDArray[np.uint16]

# What lossy compression makes of black and white, as a share of full scale; and how many levels it makes of them.
_NOISE: Final = 8 / 255
_FEW_LEVELS: Final = 16
_MOST_GRAY: Final = 0.25
_MOST_DISPUTED: Final = 0.1
_NEARLY_ALL: Final = 0.99
_MOSTLY: Final = 0.8


@dataclass(frozen=True)
class Mask:
    """Where an image is defective."""

    paths: tuple[Path, ...]
    """Pictures of the image's size, mostly one; it is defective where any of them says so."""
    class_numbers: bool = False
    """Where nothing is brighter than half: whether every value but 0 is a kind of defect, as VisA has it."""

    def marked(self) -> NDArray[np.bool_]:
        """Which pixels h×w are defective. Raises DataError where a file can't be read."""
        return np.asarray(np.any([_marked(_levels(path), self.class_numbers) for path in self.paths], axis=0))

    def checked(self, image: Path, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The same. Raises DataError where a file isn't of its image's size (w, h), or leaves open which pixels are."""
        found = np.zeros(size[::-1], np.bool_)
        for path in self.paths:
            levels = _levels(path)
            height, width = levels.shape
            if (width, height) != size:
                raise DataError(f"{shown(path)} is {(width, height)}, but its image {shown(image)} is {size}")
            marked = _marked(levels, self.class_numbers)
            if not _holds_numbers(levels, self.class_numbers):
                _check_levels(path, levels)
            _check_transparency(path, marked)
            found |= marked
        return found

    @property
    def is_blank(self) -> bool:
        """Whether every pixel of every file is 0: then the image is good. Raises DataError."""
        return not any(_levels(path).any() for path in self.paths)

    @property
    def peak(self) -> str:
        """Its largest value and the largest that there can be, in words. Raises DataError."""
        levels = [_levels(path) for path in self.paths]
        return f"{max(one.max() for one in levels)} of {max(map(_full_scale, levels))}"

    def is_turned(self, size: tuple[int, int]) -> bool:
        """Whether its own EXIF orientation turns it as well."""
        return all(is_turned(path.read_bytes(), size) for path in self.paths)

    def __str__(self) -> str:
        return ", ".join(shown(path) for path in self.paths)


def coverage(samples: Sequence["Sample"], height: int, width: int) -> NDArray[np.float32]:
    """The defective share of each place, n×height×width in 0..1, of samples that all have a mask."""
    grids = np.zeros((len(samples), height, width), np.float32)
    for grid, sample in zip(grids, samples, strict=True):
        assert sample.mask is not None
        reduced = Image.fromarray(sample.mask.marked().astype(np.float32)).resize((width, height), Image.Resampling.BOX)
        grid[:] = np.asarray(reduced)
    return grids


def looks_like_mask(picture: Image.Image) -> bool:
    """Whether a decoded picture holds areas of few levels alone, or hardly anything but black and white."""
    counts = _histogram(picture)
    if 1 < np.count_nonzero(counts) <= _FEW_LEVELS and _flat(_gray(picture)).mean() > _MOSTLY:
        return True
    near = round(2 * _NOISE * len(counts))
    dark, bright = counts[:near].sum(), counts[-near:].sum()
    return bool(dark > 0 and bright > 0 and dark + bright > _NEARLY_ALL * counts.sum())


def is_turned(data: bytes, size: tuple[int, int]) -> bool:
    """Whether `decode` turns or mirrors a picture as its EXIF orientation says, and `size` (w, h) doesn't show it."""
    try:
        with Image.open(io.BytesIO(data), formats=[sniff(data) or ""]) as picture:
            return picture.size == size and picture.getexif().get(_ORIENTATION) in range(2, 9)
    except _ODD_METADATA:
        return False


def _levels(path: Path) -> Levels:
    """Gray levels h×w of a mask as they are stored, of 8 or 16 bits."""
    try:
        return _gray(decode(path.read_bytes()))
    except (ImageError, OSError) as error:
        raise DataError(f"{shown(path)}: {error}") from error


def _gray(picture: Image.Image) -> Levels:
    return np.asarray(picture if picture.mode == "I;16" else picture.convert("L"))


def _histogram(picture: Image.Image) -> NDArray[np.int64]:
    """How many pixels are of each level, from 0 to full scale."""
    if picture.mode == "I;16":
        levels = _gray(picture)
        return np.bincount(levels.ravel(), minlength=_full_scale(levels) + 1)
    return np.array(picture.convert("L").histogram())


def _full_scale(levels: Levels) -> int:
    """The smallest usual one: masks of 8, 10 or 12 bits are stored in 16 as well."""
    brightest = int(levels.max())
    return 255 if brightest <= 255 else full_scale_for(brightest)


def _marked(levels: Levels, class_numbers: bool) -> NDArray[np.bool_]:
    return levels > (0 if _holds_numbers(levels, class_numbers) else _half(levels))


def _holds_numbers(levels: Levels, class_numbers: bool) -> bool:
    return class_numbers and bool(levels.max() <= _half(levels))


def _half(levels: Levels) -> int:
    return _full_scale(levels) // 2


def _check_levels(path: Path, levels: Levels) -> None:
    """A mask is black and white, or nearly: edges may be smooth, and compression may be lossy."""
    values = np.flatnonzero(np.bincount(levels.ravel()))
    if len(values) <= 2:
        return
    low, high, noise = int(values[0]), int(values[-1]), _NOISE * _full_scale(levels)
    gray = ((levels > 4 * noise) & (levels < _full_scale(levels) - 4 * noise)).mean()
    if gray > _MOST_GRAY:
        raise DataError(
            f"{shown(path)} is no mask: {gray:.0%} of its pixels are neither dark nor bright; rename it, "
            "or the folder, if it is an image"
        )
    flat = np.unique(levels[_flat(levels)])
    few = len(values) <= _FEW_LEVELS
    between = [int(v) for v in flat if v not in (low, high) and (few or low + noise < v < high - noise)]
    if between:
        raise DataError(
            f"{shown(path)} has areas of {', '.join(map(str, [low, *between[:5], high]))}: which of them mean a defect "
            "isn't said; store it in black and white, what is defective white"
        )


def _flat(levels: Levels) -> NDArray[np.bool_]:
    """Which pixels have the level of all their neighbours."""
    return np.asarray(maximum_filter(levels, 3) == minimum_filter(levels, 3))


def _check_transparency(path: Path, marked: NDArray[np.bool_]) -> None:
    """`decode` drops transparency, so that a mask drawn in it would be lost."""
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data), formats=[sniff(data) or ""]) as picture:
            if not picture.has_transparency_data:
                return
            opaque = np.asarray(picture.convert("RGBA").getchannel("A")) > 127
    except _ODD_METADATA as error:
        raise DataError(f"{shown(path)}: whether it is transparent can't be read: {error}") from error
    if opaque.all() or not opaque.any():
        return
    if opaque.shape != marked.shape or (opaque ^ marked).sum() > _MOST_DISPUTED * (opaque | marked).sum():
        raise DataError(
            f"{shown(path)} marks {marked.mean():.1%} of the image by its brightness and {opaque.mean():.1%} by its "
            "transparency: store it in black and white without transparency, what is defective white"
        )
