"""From the command to ready, and memory, by engine and variant.

python -m benchmarks.startup --version STORE/MODEL/N [--rounds 5]
"""

import argparse
import asyncio
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.contender import Contender, Running
from benchmarks.images import camera_image, multipart
from benchmarks.load import closed
from benchmarks.machine import report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder in a store")
    parser.add_argument("--python", default=sys.executable, help="what runs the service (default: this one)")
    parser.add_argument("--engine", action="append", choices=["onnxruntime", "torch"], help="only this one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    path = chosen.version.resolve()
    started = (chosen.python, "-m", "app", "serve", "--store", str(path.parent.parent), "--port", "{port}")
    serve = (*started, "--default-model", path.parent.name, "--versions-kept", "1", "--deadline-ms", "60000")
    entrants = [
        Contender(f"{engine}, {variant}", (*serve, "--engine", engine, "--variant", variant), "/readyz", "/predict")
        for engine, variant in [("onnxruntime", "auto"), ("onnxruntime", "float32"), ("torch", "float32")]
        if not chosen.engine or engine in chosen.engine
    ]
    body, headers = multipart(camera_image("JPEG", 1000), "file")
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(chosen.rounds):
        for entrant in entrants:
            with Running(entrant) as running:
                rest = running.megabytes()
                asyncio.run(closed(running.port, entrant.path, body, headers, 8, 3.0))
                found[entrant.name].append((running.start_seconds, rest, running.megabytes("VmHWM")))
    rows: list[dict[str, object]] = [
        {
            "engine, variant": name,
            "start to ready, s": f"{median(start for start, _, _ in measured):.2f}",
            "at rest, MB": f"{median(rest for _, rest, _ in measured):.0f}",
            "most under load of 8 clients, MB": f"{median(most for _, _, most in measured):.0f}",
        }
        for name, measured in found.items()
    ]
    report("Start and memory", rows, chosen.json and chosen.json / "startup.json")


if __name__ == "__main__":
    main()
