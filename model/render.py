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
_BAND_PIXELS: Final = 250_000


def heatmap_png(picture: NDArray[np.float32]) -> bytes:
    """Values in 0..1, S×S, as an 8-bit gray PNG of round(255·value)."""
    return _png(Image.fromarray(np.rint(255.0 * picture).astype(np.uint8)))


def overlay_png(photo: Image.Image, picture: NDArray[np.float32], regions: Sequence[Region]) -> bytes:
    """The 8-bit photo at its own size, coloured where the picture has a value, with a box around each region.

    In bands of rows: all that is needed for one pixel at a time would take ten times the photo's memory.
    """
    overlay = photo.convert("RGB")
    values = Image.fromarray(picture)
    rows = max(1, _BAND_PIXELS // photo.width)
    for top in range(0, photo.height, rows):
        _colour(overlay, values, top, min(top + rows, photo.height))
    draw = ImageDraw.Draw(overlay)
    line = max(1, min(photo.size) // 200)
    for region in regions:
        box = region.box
        corners = (box.left, box.top, box.left + box.width - 1, box.top + box.height - 1)
        draw.rectangle(corners, outline=_BOX_COLOUR, width=line)
    return _png(overlay)


def _colour(overlay: Image.Image, values: Image.Image, top: int, bottom: int) -> None:
    """Blend the colours of `values`, which cover all of `overlay`, into its rows top … bottom−1."""
    scale = values.height / overlay.height
    source = (0, top * scale, values.width, bottom * scale)
    band = np.asarray(values.resize((overlay.width, bottom - top), Image.Resampling.BILINEAR, box=source))
    opacity = Image.fromarray(np.rint(255.0 * _OPACITY * band).astype(np.uint8))
    colours = Image.fromarray(_COLOURS[np.rint(255.0 * band).astype(np.uint8)])
    overlay.paste(colours, (0, top), opacity)


def _colour_table() -> NDArray[np.uint8]:
    """RGB of each of the 256 levels."""
    places = np.linspace(0, len(_STOPS) - 1, 256)
    table = np.stack([np.interp(places, np.arange(len(_STOPS)), channel) for channel in _STOPS.T], axis=1)
    return np.asarray(np.rint(table), np.uint8)


_COLOURS: Final = _colour_table()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
