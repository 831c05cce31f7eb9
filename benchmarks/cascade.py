"""What a cascade costs on real images, beside the full network alone: CPU time of one image, in turns.

    python -m benchmarks.cascade --version STORE/MODEL/N --data DIR [--rounds 3]

The images should be none that the version has learnt from; of those that it has, only the time says something.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path
from statistics import mean

from benchmarks.machine import report
from model.detector import load_detector
from model.engines.cascade import CascadeEngine
from training.data.dataset import load_dataset
from training.progress import Reporter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, required=True, help="a version's folder")
    parser.add_argument("--data", type=Path, required=True, help="images, in the folders that training takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    cascade, full = (load_detector(chosen.version, "cpu", variant=variant) for variant in ("cascade", "int8"))
    assert isinstance(cascade.engine, CascadeEngine)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    cleared: dict[str, list[bool]] = defaultdict(list)
    differ: dict[str, int] = defaultdict(int)
    for sample in load_dataset(chosen.data, group=None, sample=None, seed=0, reporter=Reporter()).samples:
        pixels = cascade.read_image(sample.path.read_bytes()).pixels[None]
        kind, verdicts = "defective" if sample.is_anomaly else "good", {}
        for _ in range(chosen.rounds):
            for name, detector in (("cascade", cascade), ("full", full)):
                began = time.process_time()
                output = detector.engine.run(pixels, exclusive=False)
                seconds[kind, name].append(time.process_time() - began)
                verdicts[name] = detector.verdict(output.whole[0])
        cleared[kind].append(verdicts["cascade"].log_odds != verdicts["full"].log_odds)
        differ[kind] += verdicts["cascade"].decision != verdicts["full"].decision
    rows: list[dict[str, object]] = [
        {
            "images": f"{kind}, {len(found)}",
            "cleared": f"{mean(found):.1%}",
            "other decisions": differ[kind],
            "cascade, CPU ms": f"{1000 * mean(seconds[kind, 'cascade']):.1f}",
            "full, CPU ms": f"{1000 * mean(seconds[kind, 'full']):.1f}",
            "full / cascade": f"{mean(seconds[kind, 'full']) / mean(seconds[kind, 'cascade']):.2f}",
        }
        for kind, found in cleared.items()
    ]
    report("The cascade's networks, one thread", rows, chosen.json and chosen.json / "cascade.json")


if __name__ == "__main__":
    main()
