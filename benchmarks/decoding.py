"""What each step around the network costs one thread, by kind of image, large scans and 16-bit files too.

python -m benchmarks.decoding --version STORE/MODEL/N
python -m benchmarks.decoding --other CHECKOUT    decoding alone, in turns with another checkout, and its peak of memory
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.images import LARGE, PAYLOADS, camera_image
from benchmarks.machine import report
from model.detector import load_detector
from model.image import decode
from model.regions import find_regions
from model.render import heatmap_png, overlay_png

_TIMES = 9
_ROUNDS: Final = 3
# In a process of its own, which has decoded a small image before: milliseconds, and bytes a pixel at the peak.
_DECODE: Final = """
import json, pathlib, re, sys, time
from model.image import decode
data, small = (pathlib.Path(name).read_bytes() for name in sys.argv[1:])
decode(small)
peak = lambda: int(re.search("VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
before = peak()
width, height = decode(data).size
taken = 1024 * (peak() - before) / (width * height)
found = []
for _ in range(5):
    began = time.thread_time()
    decode(data)
    found.append(time.thread_time() - began)
print(json.dumps([1000 * sorted(found)[2], taken]))
"""


def milliseconds(step: Callable[[], object]) -> str:
    """Of this thread's CPU time, in the median."""
    step()
    found = []
    for _ in range(_TIMES):
        began = time.thread_time()
        step()
        found.append(time.thread_time() - began)
    return f"{1000 * median(found):.1f}"


def in_turns(other: Path) -> list[dict[str, object]]:
    """Each image in the median of rounds, here and in the other checkout."""
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (form, side) in (PAYLOADS | LARGE).items():
            file, small = Path(folder) / "image", Path(folder) / "small"
            file.write_bytes(camera_image(form, side))
            small.write_bytes(camera_image(form, 64))
            found: dict[Path, list[tuple[float, float]]] = {Path.cwd(): [], other: []}
            for _ in range(_ROUNDS):
                for checkout, taken in found.items():
                    run = [sys.executable, "-c", _DECODE, str(file), str(small)]
                    taken.append(json.loads(subprocess.run(run, cwd=checkout, check=True, capture_output=True).stdout))
            here, there = ([median(each) for each in zip(*taken, strict=True)] for taken in found.values())
            rows.append(
                {
                    "image": name,
                    "ms": f"{here[0]:.1f}",
                    "other ms": f"{there[0]:.1f}",
                    "bytes a pixel": f"{here[1]:.1f}",
                    "other bytes a pixel": f"{there[1]:.1f}",
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--version", type=Path, help="a version's folder in a store")
    what.add_argument("--other", type=Path, help="another checkout of this project")
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    if chosen.other:
        report("Decoding, one thread, CPU time", in_turns(chosen.other), chosen.json and chosen.json / "decoders.json")
        return
    detector = load_detector(chosen.version, "cpu")
    rows: list[dict[str, object]] = []
    for name, (form, side) in (PAYLOADS | LARGE).items():
        data = camera_image(form, side)
        image = decode(data)
        resizing = replace(detector.manifest.preprocessing.resizing, full_scale=4095 if image.mode == "I;16" else None)
        pixels = resizing(data).pixels
        output = detector.run(pixels)
        heatmap, scale = detector.heatmap(output), detector.heatmap_scale(output)
        regions = find_regions(heatmap, *image.size)
        rows.append(
            {
                "image": name,
                "kB": len(data) // 1000,
                "decode ms": milliseconds(lambda: decode(data)),  # noqa: B023
                "decode and resize ms": milliseconds(lambda: resizing(data)),  # noqa: B023
                "unreduced ms": milliseconds(lambda: replace(resizing, reduced=False)(data)),  # noqa: B023
                "network ms": milliseconds(lambda: detector.engine.run(pixels[None], exclusive=False).evidence),  # noqa: B023
                "heatmap ms": milliseconds(lambda: detector.heatmap(output)),  # noqa: B023
                "regions ms": milliseconds(lambda: find_regions(heatmap, *image.size)),  # noqa: B023
                "map PNG ms": milliseconds(lambda: heatmap_png(scale(output.evidence))),  # noqa: B023
                "gray PNG ms": milliseconds(lambda: heatmap_png(heatmap)),  # noqa: B023
                "overlay PNG ms": milliseconds(lambda: overlay_png(image, heatmap, regions))  # noqa: B023
                if image.mode != "I;16"
                else "",
            }
        )
    report("Steps, one thread, CPU time", rows, chosen.json and chosen.json / "decoding.json")


if __name__ == "__main__":
    main()
