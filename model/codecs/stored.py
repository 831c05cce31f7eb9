"""A decoded image as its file stores it."""

from typing import NamedTuple

from PIL import Image


class StoredImage(NamedTuple):
    """An image before it is transposed by its EXIF orientation."""

    image: Image.Image
    orientation: int = 1
    """EXIF's, 1 to 8."""
    full_size: tuple[int, int] | None = None
    """Width and height in the file, where the image has fewer pixels; None: it has as many."""
