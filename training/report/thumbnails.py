"""Thumbnails of a prediction, as data URIs that stand in the page itself."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from model.errors import ImageError
from model.image import FullScale, decode, to_8bit
from model.regions import find_regions
from model.render import overlay_png
from training.data.masks import Mask
from training.evaluation.prediction import Prediction

_SIDE: Final = 320
_QUALITY: Final = 82


@dataclass(frozen=True)
class Thumbnails:
    """Data URIs of at most 320 × 320 pixels; None: there is no such image, or it can't be read."""

    width: int
    height: int
    image: str | None
    overlay: str | None
    """The image with heatmap and regions, as the service draws them."""
    mask: str | None


def make_thumbnails(prediction: Prediction, input_size: int, full_scale: FullScale | None) -> Thumbnails:
    """Image, overlay and mask of one prediction. Files that have gone since leave gaps: a report is worth more than
    they."""
    image = _image(prediction.sample.path, full_scale)
    mask = _mask(prediction.sample.mask) if prediction.sample.mask else None
    if image is None:
        return Thumbnails(_SIDE, _SIDE, None, None, mask)
    heatmap = prediction.heatmap_scale.heatmap(prediction.evidence, input_size)
    overlay = overlay_png(image, heatmap, find_regions(heatmap, *image.size))
    return Thumbnails(*image.size, _jpeg(image), _jpeg(Image.open(io.BytesIO(overlay))), mask)


def _image(path: Path, full_scale: FullScale | None) -> Image.Image | None:
    try:
        image = to_8bit(decode(path.read_bytes()), full_scale)
    except (ImageError, OSError):
        return None
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def _mask(given: Mask) -> str:
    """White where any pixel under it is: a scratch one pixel wide stays to be seen."""
    mask = Image.fromarray(given.pixels()).convert("L")
    mask.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=None)
    buffer = io.BytesIO()
    mask.point(lambda value: 255 if value else 0).convert("1").save(buffer, "PNG", optimize=True)
    return _uri("png", buffer.getvalue())


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return _uri("jpeg", buffer.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
