"""Whether two checkouts decode the same pixels, of sound images of every kind that is taken.

python -m benchmarks.decoded --other CHECKOUT [--count 2000] [--folder IMAGES]

Draws them (or takes those in IMAGES), has each checkout decode all, and names each kind that differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from tests.support import encoders

ImageFile.MAXBLOCK = 1 << 20  # libjpeg's buffer where it can't write piece by piece

_DIGESTS: Final = """
import hashlib, json, pathlib, sys
from model.errors import ImageError
from model.image import decode
found = {}
for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        image = decode(file.read_bytes())
        found[file.name] = f"{image.mode} {image.size} {hashlib.sha256(image.tobytes()).hexdigest()[:16]}"
    except ImageError as error:
        found[file.name] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""
_MODES: Final = ("RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16", "YCbCr", "LAB", "RGBX", "PA")


def drawn(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Kind and file, in turn from the makers below, of random sizes."""
    rng = np.random.default_rng(seed)
    makers = (_jpeg, _png, _png_by_hand, _bmp, _bmp_of_runs, _tiff, _tiff_by_hand, _webp)
    for number in range(count):
        width, height = (int(side) for side in rng.integers(1, (400, 300)))
        yield makers[number % len(makers)](rng, _scene(rng, width, height))


def _scene(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """Smooth colours with some noise, H×W×3."""
    coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32)
    return np.clip(smooth + rng.normal(0, rng.choice([0, 2, 12]), smooth.shape), 0, 255).astype(np.uint8)


def _in_mode(rng: np.random.Generator, scene: NDArray[np.uint8], *modes: str) -> Image.Image:
    mode = str(rng.choice(modes))
    image = Image.fromarray(scene)
    if mode == "I;16":
        return Image.fromarray((scene[..., 0].astype(np.uint16) << 4) + scene[..., 1] % 16)
    if mode in ("LA", "RGBA", "PA"):
        image.putalpha(Image.fromarray(scene[..., 2]))
    if mode == "RGBX":
        return Image.merge("RGBX", [*image.split(), image.getchannel(0)])
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image if image.mode == mode else image.convert(mode)


def _exif(rng: np.random.Generator) -> dict[str, Any]:
    return {"exif": b"Exif\0\0" + encoders.exif(int(rng.integers(1, 9)))} if rng.random() < 0.3 else {}


def _jpeg(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    image = _in_mode(rng, scene, "RGB", "RGB", "L", "CMYK")
    options: dict[str, Any] = {"quality": int(rng.integers(5, 101)), "progressive": bool(rng.random() < 0.4)}
    options |= _exif(rng) | {"optimize": bool(rng.random() < 0.3)}
    if image.mode == "RGB":
        options |= {"keep_rgb": True} if rng.random() < 0.2 else {"subsampling": int(rng.integers(0, 3))}
    if rng.random() < 0.2:
        options["restart_marker_blocks"] = int(rng.integers(1, 20))
    return f"JPEG {image.mode}", encoders.encoded(image, "JPEG", **options)


def _png(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    image = _in_mode(rng, scene, "RGB", "L", "RGBA", "LA", "P", "1", "I;16")
    options = _exif(rng) | {"compress_level": int(rng.integers(0, 10))}
    if image.mode in ("RGB", "L", "P") and rng.random() < 0.3:
        options["transparency"] = (1, 2, 3) if image.mode == "RGB" else 7
    if image.mode == "P" and rng.random() < 0.5:
        options["bits"] = 8
    return f"PNG {image.mode}", encoders.encoded(image, "PNG", **options)


def _png_by_hand(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    """Interlaced, 2 and 4 bits, differences between rows, many small pieces."""
    height, width, _ = scene.shape
    if rng.random() < 0.5:
        colour, pixels = (2, scene) if rng.random() < 0.5 else (0, scene[..., 0])
        return "PNG interlaced", encoders.png(width, height, 8, colour, encoders.interlaced_rows(pixels), interlace=1)
    if rng.random() < 0.5:
        bits = int(rng.choice([1, 2, 4]))
        rows = b"".join(b"\0" + encoders.packed_bits(row >> 8 - bits, bits) for row in scene[..., 0])
        return f"PNG of {bits} bits", encoders.png(width, height, bits, 0, rows)
    stream = zlib.compress(encoders.png_rows(scene, 2))
    pieces = b"".join(encoders.chunk(b"IDAT", stream[at : at + 100]) for at in range(0, len(stream), 100))
    head = encoders.PNG_MAGIC + encoders.png_header(width, height, 8, 2)
    return "PNG in pieces", head + pieces + encoders.chunk(b"IEND", b"")


def _bmp(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    image = _in_mode(rng, scene, "RGB", "L", "P", "1", "RGBA")
    return f"BMP {image.mode}", encoders.encoded(image, "BMP")


def _bmp_of_runs(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    indices = (scene[..., 0] >> 2).astype(np.uint8)
    colours = rng.integers(0, 256, (64, 4), dtype=np.uint8).tobytes()
    runs = encoders.runs_of(indices, absolute=bool(rng.random() < 0.5))
    return "BMP of runs", encoders.bmp_of_runs(indices.shape[1], indices.shape[0], runs, colours)


def _tiff(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    image = _in_mode(rng, scene, *_MODES)
    packings = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"]
    if image.mode in ("RGB", "L", "CMYK"):
        packings += ["jpeg", "jpeg"]
    options: dict[str, Any] = {"compression": str(rng.choice(packings)), "big_tiff": bool(rng.random() < 0.2)}
    tags: dict[int, Any] = {274: int(rng.integers(1, 9))} if rng.random() < 0.3 else {}
    if options["compression"] in ("tiff_lzw", "tiff_adobe_deflate") and image.mode in ("RGB", "L", "I;16", "RGBA"):
        tags |= {317: int(rng.integers(1, 3))}
    if options["compression"] != "raw" and rng.random() < 0.5:
        tags |= {278: int(rng.integers(1, 9)) * 8}
    return f"TIFF {image.mode} {options['compression']}", encoders.encoded(image, "TIFF", tiffinfo=tags, **options)


def _tiff_by_hand(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    """Tiles, planes, big-endian, few bits, white at zero."""
    order = str(rng.choice(["<", ">"]))
    packing, pack = ((1, bytes), (8, zlib.compress), (32773, encoders.pack_bits))[rng.integers(3)]
    layout: dict[str, Any] = {"rows": int(rng.integers(1, 40))} if rng.random() < 0.5 else {"tile": (32, 48)}
    common: dict[str, Any] = {"order": order, "compression": packing, "pack": pack, **layout}
    which = rng.integers(4)
    if which == 0:
        planar = bool(rng.random() < 0.5)
        return f"TIFF of {'planes' if planar else 'colour'}", encoders.tiff(scene, planar=planar, **common)
    if which == 1:
        bits = int(rng.choice([1, 2, 4]))
        return f"TIFF of {bits} bits", encoders.tiff(
            scene[..., 0] >> 8 - bits, bits=bits, photometric=int(rng.integers(2)), **common
        )
    if which == 2:
        return "TIFF of 16 bits", encoders.tiff(scene[..., 0].astype(np.uint16) * 257, predictor=1, **common)
    return "TIFF of gray", encoders.tiff(scene[..., 0], photometric=int(rng.integers(2)), **common)


def _webp(rng: np.random.Generator, scene: NDArray[np.uint8]) -> tuple[str, bytes]:
    image = _in_mode(rng, scene, "RGB", "RGBA", "L")
    options = _exif(rng) | {"lossless": bool(rng.random() < 0.4), "quality": int(rng.integers(1, 101)), "method": 1}
    return f"WebP {image.mode}", encoders.encoded(image, "WEBP", **options)


def digests(checkout: Path, folder: Path) -> dict[str, str]:
    """What a checkout makes of each file."""
    run = [sys.executable, "-c", _DIGESTS, str(folder)]
    return dict(json.loads(subprocess.run(run, cwd=checkout, check=True, capture_output=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--other", type=Path, required=True, help="another checkout of this project")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="images to compare instead of drawn ones")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.folder or Path(made)
        if not chosen.folder:
            for number, (kind, data) in enumerate(drawn(chosen.count)):
                (folder / f"{number:05} {kind}").write_bytes(data)
        here, there = digests(Path.cwd(), folder), digests(chosen.other, folder)
    differ = [name for name in here if here[name] != there[name]]
    kinds = Counter(name.partition(" ")[2] for name in differ)
    print(f"{len(here)} images, {len(here) - len(differ)} equal to the bit; others by kind: {dict(kinds)}")
    for kind in kinds:
        name = next(name for name in differ if name.partition(" ")[2] == kind)
        print(f"{name}\n  here:  {here[name]}\n  there: {there[name]}")
    read = sum(not said.partition(":")[0].endswith("Error") for said in here.values())
    print(f"{read} are read here, {sum(not s.partition(':')[0].endswith('Error') for s in there.values())} there")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
