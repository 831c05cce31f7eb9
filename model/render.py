"""Heatmaps and overlays as PNG bytes."""

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
OUTSIDE_BRIGHTNESS: Final = 0.3
"""What is left of it outside the region of interest."""
_BOX_COLOUR: Final = (0, 255, 255)
_BAND_PIXELS: Final = 250_000


def heatmap_png(heatmap: NDArray[np.float32]) -> bytes:
    """Values in 0..1, S×S, as an 8-bit gray PNG of round(255·value)."""
    return _png(Image.fromarray(np.rint(255.0 * heatmap).astype(np.uint8)))


def overlay_png(image: Image.Image, heatmap: NDArray[np.float32], regions: Sequence[Region]) -> bytes:
    """The 8-bit image at its own size, coloured by the heatmap, dark where that is 0 as nothing counts there
    (`HeatmapScale.heatmap`), with a box around each region.

    In bands of rows: blending the whole image at once would take ten times its memory.
    """
    overlay = image.convert("RGB")
    values = Image.fromarray(heatmap)
    outside = Image.fromarray(heatmap == 0) if (heatmap == 0).any() else None
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        if outside:
            _darken(overlay, outside, top, bottom)
        _colour(overlay, values, top, bottom)
    draw = ImageDraw.Draw(overlay)
    line = max(1, min(image.size) // 200)
    for region in regions:
        box = region.box
        corners = (box.left, box.top, box.left + box.width - 1, box.top + box.height - 1)
        draw.rectangle(corners, outline=_BOX_COLOUR, width=line)
    return _png(overlay)


def _darken(overlay: Image.Image, outside: Image.Image, top: int, bottom: int) -> None:
    """Darken rows top … bottom−1 of `overlay` where `outside`, which covers all of it, is true."""
    scale = outside.height / overlay.height
    source = (0, top * scale, outside.width, bottom * scale)
    mask = outside.resize((overlay.width, bottom - top), Image.Resampling.NEAREST, box=source)
    dark = overlay.crop((0, top, overlay.width, bottom)).point(lambda value: round(OUTSIDE_BRIGHTNESS * value))
    overlay.paste(dark, (0, top), mask)


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
    levels = np.linspace(0, len(_STOPS) - 1, 256)
    table = np.stack([np.interp(levels, np.arange(len(_STOPS)), channel) for channel in _STOPS.T], axis=1)
    return np.asarray(np.rint(table), np.uint8)


_COLOURS: Final = _colour_table()


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
