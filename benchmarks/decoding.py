"""What each step around the network costs one thread, by kind of picture, large scans and 16-bit files too.

python -m benchmarks.decoding --version STORE/MODEL/N
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.machine import report
from benchmarks.pictures import LARGE, PAYLOADS, photo
from model.detector import load_detector
from model.image import decode
from model.preprocessing import squash
from model.regions import find_regions
from model.render import heatmap_png, overlay_png

_TIMES = 9


def milliseconds(step: Callable[[], object]) -> str:
    """Of this thread's CPU time, in the median."""
    step()
    found = []
    for _ in range(_TIMES):
        began = time.thread_time()
        step()
        found.append(time.thread_time() - began)
    return f"{1000 * median(found):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    detector = load_detector(chosen.version, "cpu")
    size = detector.input_size
    rows: list[dict[str, object]] = []
    for name, (form, side) in (PAYLOADS | LARGE).items():
        data = photo(form, side)
        image = decode(data)
        full_scale = 4095 if image.mode == "I;16" else None
        pixels = squash(image, size, full_scale)
        evidence = detector.engine.evidence(pixels[None], alone=False)[0]
        picture = detector.picture(evidence)
        regions = find_regions(picture, *image.size)
        rows.append(
            {
                "picture": name,
                "kB": len(data) // 1000,
                "decode ms": milliseconds(lambda: decode(data)),  # noqa: B023
                "squash ms": milliseconds(lambda: squash(image, size, full_scale)),  # noqa: B023
                "network ms": milliseconds(lambda: detector.engine.evidence(pixels[None], alone=False)),  # noqa: B023
                "picture ms": milliseconds(lambda: detector.picture(evidence)),  # noqa: B023
                "regions ms": milliseconds(lambda: find_regions(picture, *image.size)),  # noqa: B023
                "gray PNG ms": milliseconds(lambda: heatmap_png(picture)),  # noqa: B023
                "overlay PNG ms": milliseconds(lambda: overlay_png(image, picture, regions))  # noqa: B023
                if image.mode != "I;16"
                else "",
            }
        )
    report("Steps, one thread, CPU time", rows, chosen.json and chosen.json / "decoding.json")


if __name__ == "__main__":
    main()
