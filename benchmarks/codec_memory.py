"""Address space that a codec process takes for the largest images, by format: the limits of app/sandbox must hold them.

    python -m benchmarks.codec_memory

Bytes a pixel beside the file, for decoding to the network's input and for drawing an overlay.
"""

import argparse
import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from app.sandbox.limits import Limits
from app.sandbox.messages import Decode, Overlay, Refused, Request
from app.sandbox.process import CodecProcess, Template
from model.preprocessing import Resizing

INPUT = 224
MOST_PIXELS = 50_000_000
MOST_BYTES = 200_000_000


def images(width: int, height: int) -> Iterator[tuple[str, bytes]]:
    """Noise of few levels: the files stay small, and nothing about them is simple."""
    colour = Image.fromarray(np.random.default_rng(1).integers(96, 112, (height, width, 3)).astype(np.uint8))
    gray, turned = colour.convert("L"), Image.Exif()
    turned[0x0112] = 6
    kinds: list[tuple[str, Image.Image, str, dict[str, object]]] = [
        ("JPEG", colour, "JPEG", {}),
        ("JPEG, progressive", colour, "JPEG", {"progressive": True}),
        ("JPEG, turned", colour, "JPEG", {"exif": turned}),
        ("JPEG, CMYK", colour.convert("CMYK"), "JPEG", {}),
        ("PNG", colour, "PNG", {"compress_level": 1}),
        ("PNG, turned", colour, "PNG", {"compress_level": 1, "exif": turned}),
        ("PNG, transparent", colour.convert("RGBA"), "PNG", {"compress_level": 1}),
        ("PNG, gray 16 bit", Image.fromarray(np.asarray(gray).astype(np.uint16) * 257), "PNG", {"compress_level": 1}),
        ("BMP", colour, "BMP", {}),
        ("TIFF", colour, "TIFF", {}),
        ("TIFF, LZW", colour, "TIFF", {"compression": "tiff_lzw"}),
        ("TIFF, Deflate", colour, "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("WebP", colour, "WEBP", {"method": 0}),
        ("WebP, lossless", colour, "WEBP", {"lossless": True, "method": 0}),
    ]
    for name, image, form, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        yield name, buffer.getvalue()


async def bytes_a_pixel(template: Template, request: Request, image: bytes, pixels: int) -> str:
    """Of the largest address space so far; in words where the image is refused."""
    process = await template.fork()
    try:
        before = _address_space(process)
        answer, _ = await process.ask(request, image, 5 * MOST_PIXELS)
        if isinstance(answer.content, Refused):
            return answer.content.error
        return f"{(_address_space(process) - before - len(image)) / pixels:.1f}"
    except EOFError:
        return f"ended with {await process.end()}"
    finally:
        await process.end()


def _address_space(process: CodecProcess) -> int:
    found = re.search(r"VmPeak:\s+(\d+) kB", Path(f"/proc/{process.number}/status").read_text())
    assert found
    return 1024 * int(found[1])


async def measure(width: int, height: int) -> None:
    template = Template(Limits.of(MOST_PIXELS, MOST_BYTES), "app.sandbox.template")
    heatmap = np.random.default_rng(2).random((INPUT, INPUT)).astype(np.float32).tobytes()
    print(f"{width}×{height}                 file MB   decode   overlay, bytes a pixel")
    for name, image in images(width, height):
        scale = 65535 if "16" in name else None
        decode = Decode(MOST_PIXELS, Resizing(INPUT, scale, reduced=False))
        overlay = Overlay(MOST_PIXELS, scale, INPUT, INPUT, heatmap, [])
        found = [await bytes_a_pixel(template, request, image, width * height) for request in (decode, overlay)]
        print(f"{name:24} {len(image) / 1e6:8.1f} {found[0]:>8} {found[1]:>9}", flush=True)
    template.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=8000)
    parser.add_argument("--height", type=int, default=6200)
    options = parser.parse_args()
    asyncio.run(measure(options.width, options.height))


if __name__ == "__main__":
    main()
