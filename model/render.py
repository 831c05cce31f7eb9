"""Pictures of evidence, as PNG bytes."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from model.regions import Region

# Black-violet-red-yellow-white, evenly spaced in value; between them linear.
_STOPS: Final = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float32)
_OPACITY: Final = 0.5
_BOX_COLOUR: Final = (0, 255, 255)


def heatmap_png(picture: NDArray[np.float32]) -> bytes:
    """Values in 0..1, S×S, as an 8-bit gray PNG of round(255·value)."""
    return _png(Image.fromarray(np.rint(255.0 * picture).astype(np.uint8)))


def overlay_png(photo: Image.Image, picture: NDArray[np.float32], regions: Sequence[Region]) -> bytes:
    """The 8-bit photo at its own size, coloured where the picture has a value, with a box around each region."""
    values = Image.fromarray(picture).resize(photo.size, Image.Resampling.BILINEAR)
    opacity = Image.fromarray(np.rint(255.0 * _OPACITY * np.asarray(values)).astype(np.uint8))
    levels = Image.fromarray(np.rint(255.0 * np.asarray(values)).astype(np.uint8))
    overlay = Image.composite(_coloured(levels), photo.convert("RGB"), opacity)
    draw = ImageDraw.Draw(overlay)
    line = max(1, min(photo.size) // 200)
    for region in regions:
        box = region.box
        corners = (box.left, box.top, box.left + box.width - 1, box.top + box.height - 1)
        draw.rectangle(corners, outline=_BOX_COLOUR, width=line)
    return _png(overlay)


def _coloured(levels: Image.Image) -> Image.Image:
    places = np.linspace(0, len(_STOPS) - 1, 256)
    table = np.stack([np.interp(places, np.arange(len(_STOPS)), channel) for channel in _STOPS.T], axis=1)
    return Image.fromarray(np.rint(table).astype(np.uint8)[np.asarray(levels)])


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
