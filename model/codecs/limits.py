"""The limits that hold for all formats: an image's pixels, frames, segments and tiles."""

from typing import Final

from model.errors import ImageTooLargeError, MultipleFramesError

MAX_SEGMENTS: Final = 200_000
"""Chunks, segments or strips. Real images have some thousands, a line-scan camera's 110,000 one-row strips."""
MAX_TILES: Final = 50_000
"""50 megapixels in tiles of 32×32."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Raise ImageTooLargeError, or ValueError where there is no pixel at all."""
    if width <= 0 or height <= 0:
        raise ValueError(f"it has {width}×{height} pixels")
    if width * height > max_pixels:
        raise ImageTooLargeError(f"the image has {width}×{height} pixels; the limit is {max_pixels:,}")


def more_than_limit(what: str, most: int = MAX_SEGMENTS) -> ValueError:
    return ValueError(f"it has more {what} than the limit of {most:,}")


def multiple_frames() -> MultipleFramesError:
    return MultipleFramesError("the file holds more than one frame or page; send one image")
