"""Ground truth on disk: files that mark which pixels of an image are defective, or are refused."""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from model.errors import DataError, ImageError
from model.image import decode, full_scale_for, sniff
from training.data.inventory import shown
from training.data.masks import Mask

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
class ReadMask:
    """What a mask's files hold."""

    mask: Mask
    share: float
    """Defective share of the image."""
    is_turned: bool
    """Whether every file has an EXIF orientation that turns it."""
    peak: str
    """The largest value and the largest that there can be, in words."""


@dataclass(frozen=True)
class MaskFiles:
    """The files that say where an image is defective."""

    paths: tuple[Path, ...]
    """Images of the image's size, mostly one; it is defective where any of them says so."""
    class_numbers: bool = False
    """Where nothing is brighter than half: whether every value but 0 is a kind of defect, as VisA has it."""

    def read(self, image: Path, size: tuple[int, int]) -> ReadMask:
        """Read and check every file. Raises DataError where one can't be read, isn't of its image's size (w, h), or
        leaves open which pixels are defective."""
        found = np.zeros(size[::-1], np.bool_)
        peak, full_scale, turned = 0, 0, True
        for path in self.paths:
            data, levels = _levels(path)
            height, width = levels.shape
            if (width, height) != size:
                raise DataError(f"{shown(path)} is {(width, height)}, but its image {shown(image)} is {size}")
            marked = _marked(levels, self.class_numbers)
            if not _holds_numbers(levels, self.class_numbers):
                _check_levels(path, levels)
            _check_transparency(path, data, marked)
            found |= marked
            peak, full_scale = max(peak, int(levels.max())), max(full_scale, _full_scale(levels))
            turned = turned and is_turned(data, size)
        return ReadMask(Mask.of(found), float(found.mean()), turned, f"{peak} of {full_scale}")

    @property
    def is_blank(self) -> bool:
        """Whether every pixel of every file is 0: then the image is good. Raises DataError."""
        return not any(_levels(path)[1].any() for path in self.paths)

    def __str__(self) -> str:
        return ", ".join(shown(path) for path in self.paths)


def looks_like_mask(image: Image.Image) -> bool:
    """Whether a decoded image holds areas of few levels alone, or hardly anything but black and white."""
    counts = _histogram(image)
    if 1 < np.count_nonzero(counts) <= _FEW_LEVELS and _flat(_gray(image)).mean() > _MOSTLY:
        return True
    near = round(2 * _NOISE * len(counts))
    dark, bright = counts[:near].sum(), counts[-near:].sum()
    return bool(dark > 0 and bright > 0 and dark + bright > _NEARLY_ALL * counts.sum())


def is_turned(data: bytes, size: tuple[int, int]) -> bool:
    """Whether `decode` turns or mirrors an image as its EXIF orientation says, and `size` (w, h) doesn't show it."""
    try:
        with Image.open(io.BytesIO(data), formats=[sniff(data) or ""]) as image:
            return image.size == size and image.getexif().get(_ORIENTATION) in range(2, 9)
    except _ODD_METADATA:
        return False


def _levels(path: Path) -> tuple[bytes, Levels]:
    """A mask's file, and its gray levels h×w as they are stored, of 8 or 16 bits."""
    try:
        data = path.read_bytes()
        return data, _gray(decode(data))
    except (ImageError, OSError) as error:
        raise DataError(f"{shown(path)}: {error}") from error


def _gray(image: Image.Image) -> Levels:
    return np.asarray(image if image.mode == "I;16" else image.convert("L"))


def _histogram(image: Image.Image) -> NDArray[np.int64]:
    """How many pixels are of each level, from 0 to full scale."""
    if image.mode == "I;16":
        levels = _gray(image)
        return np.bincount(levels.ravel(), minlength=_full_scale(levels) + 1)
    return np.array(image.convert("L").histogram())


def _full_scale(levels: Levels) -> int:
    """The smallest usual full scale that holds all levels: masks of 8, 10 or 12 bits are stored in 16 as well."""
    brightest = int(levels.max())
    return 255 if brightest <= 255 else full_scale_for(brightest)


def _marked(levels: Levels, class_numbers: bool) -> NDArray[np.bool_]:
    return levels > (0 if _holds_numbers(levels, class_numbers) else _half(levels))


def _holds_numbers(levels: Levels, class_numbers: bool) -> bool:
    return class_numbers and bool(levels.max() <= _half(levels))


def _half(levels: Levels) -> int:
    return _full_scale(levels) // 2


def _check_levels(path: Path, levels: Levels) -> None:
    """Raise DataError unless a mask is black and white, or nearly: edges may be smooth, and compression lossy."""
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


def _check_transparency(path: Path, data: bytes, marked: NDArray[np.bool_]) -> None:
    """Raise DataError where a mask is drawn in transparency, which `decode` drops."""
    try:
        with Image.open(io.BytesIO(data), formats=[sniff(data) or ""]) as image:
            if not image.has_transparency_data:
                return
            opaque = np.asarray(image.convert("RGBA").getchannel("A")) > 127
    except _ODD_METADATA as error:
        raise DataError(f"{shown(path)}: whether it is transparent can't be read: {error}") from error
    if opaque.all() or not opaque.any():
        return
    if opaque.shape != marked.shape or (opaque ^ marked).sum() > _MOST_DISPUTED * (opaque | marked).sum():
        raise DataError(
            f"{shown(path)} marks {marked.mean():.1%} of the image by its brightness and {opaque.mean():.1%} by its "
            "transparency: store it in black and white without transparency, what is defective white"
        )
