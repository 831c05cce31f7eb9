"""The region of interest: where an image counts. Nothing outside it reaches the network, the gate or a reply."""

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.errors import ImageError, ManifestError
from model.files import read_file
from model.image import decode

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

FILL: Final = (124, 117, 104)
"""What stands outside, RGB: ImageNet's mean, so that convolutions see about zero, as beyond an image's edge."""
LEAST: Final = 0.5
"""Share of a patch that must lie inside for the patch to count."""


@dataclass(frozen=True, eq=False)
class Roi:
    """Which pixels of a frame, H×W, count."""

    inside: NDArray[np.bool_]
    _patches: dict[int, NDArray[np.bool_]] = field(default_factory=dict, init=False, repr=False)
    """By stride: the same for every image."""

    def fill(self, pixels: Pixels) -> Pixels:
        """A copy of a frame, H×W×3, with one colour outside."""
        return np.where(self.inside[:, :, np.newaxis], pixels, np.array(FILL, np.uint8))

    def patches(self, stride: int) -> NDArray[np.bool_]:
        """Which patches of stride×stride pixels count, h×w."""
        if stride not in self._patches:
            height, width = (side // stride for side in self.inside.shape)
            blocks = self.inside[: height * stride, : width * stride].reshape(height, stride, width, stride)
            self._patches[stride] = np.asarray(blocks.mean((1, 3)) >= LEAST)
        return self._patches[stride]

    def exclude(self, evidence: Floats) -> Floats:
        """A copy of a frame's evidence map, h×w, that says −∞ outside."""
        return np.where(self.patches(len(self.inside) // len(evidence)), evidence, np.float32(-np.inf))

    @cached_property
    def png(self) -> bytes:
        """As its file: white inside."""
        file = io.BytesIO()
        Image.fromarray(self.inside).save(file, "PNG", optimize=True)
        return file.getvalue()


def read_roi(path: Path, width: int, height: int) -> Roi:
    """The file of a version whose frames are width×height. Raises MissingFileError, UnreadableFileError or
    ManifestError."""
    try:
        image = decode(read_file(path)).convert("L")
    except ImageError as error:
        raise ManifestError(f"{path}: {error}") from error
    if image.size != (width, height):
        raise ManifestError(f"{path} is {image.size}, not {width}×{height}")
    return Roi(np.asarray(image) > 127)
