"""Images to send: a drawn part with a camera's noise, so that files are as large and as slow as real ones."""

import io
from typing import Final

import numpy as np
from PIL import Image

from examples.draw.product import PRODUCTS_BY_NAME, shoot

PAYLOADS: Final = {"1000² JPEG": ("JPEG", 1000), "1000² PNG": ("PNG", 1000), "224² PNG": ("PNG", 224)}
LARGE: Final = {"12-megapixel JPEG": ("JPEG", 3464), "4000² 16-bit TIFF": ("TIFF", 4000), "6000² PNG": ("PNG", 6000)}


def camera_image(form: str, size: int, seed: int = 3) -> bytes:
    """size×size, of a good part as a PNG, JPEG (quality 90), or as a TIFF of 16-bit gray."""
    drawn = shoot(PRODUCTS_BY_NAME["carpet"], "good", 512, np.random.SeedSequence(seed)).image
    image = Image.fromarray(drawn).resize((size, size), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(seed).normal(0, 3, (size, size, 3))
    pixels = np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    if form == "TIFF":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 16).save(file, form)
    else:
        Image.fromarray(pixels).save(file, form, **({"quality": 90} if form == "JPEG" else {}))
    return file.getvalue()


def multipart(image: bytes, field: str) -> tuple[bytes, dict[str, object]]:
    """A form with the image in that field, and the headers that say so."""
    boundary = "camspector-benchmark"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="part.png"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + image + f"\r\n--{boundary}--\r\n".encode()
    return body, {"Content_Type": f"multipart/form-data; boundary={boundary}"}
