"""Control charts: run lengths without a change, delays after one, and what a part costs.

    python -m benchmarks.drift --store run/store --model capsule --images unseen/good [--seed 0]

Run lengths are simulated on the version's own held-out scores, drawn with replacement. Delays are parts until the first
alarm of any chart, where images are drawn with replacement from good ones that the version has not seen, each changed
alike: dimmed (its gray levels times 0.95, 0.9, 0.8), or blurred (a Gaussian of radius 1 pixel of the network's input).
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from app.drift.cusum import PartReference
from app.drift.model_drift import DriftState, ModelDrift
from app.monitoring.request_record import ImageRecord
from benchmarks.machine import report
from model.detector import Detector, load_detector
from model.drift import Chart, Direction, Drift, Quantity
from model.store import Store
from model.verdict import Verdict

Pixels = NDArray[np.uint8]
Measures = Mapping[Quantity, float]

RUNS: Final = 1000
ALARMS: Final = 1000
"""Simulated for each sum: their mean is known to 3 %."""
REPETITIONS: Final = 200
MOST_PARTS: Final = 2000
"""After which a delay is no more than that."""
CHANGES: Final[Mapping[str, Callable[[Pixels], Pixels]]] = {
    "none": lambda pixels: pixels,
    "dimmed by 5 %": lambda pixels: dimmed(pixels, 0.95),
    "dimmed by 10 %": lambda pixels: dimmed(pixels, 0.9),
    "dimmed by 20 %": lambda pixels: dimmed(pixels, 0.8),
    "blurred by 1 px": lambda pixels: blurred(pixels, 1.0),
}


def dimmed(pixels: Pixels, factor: float) -> Pixels:
    return np.round(pixels * np.float32(factor)).astype(np.uint8)


def blurred(pixels: Pixels, radius: float) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def simulated_run_length(chart: Chart, direction: Direction, rng: np.random.Generator) -> float:
    """Mean number of values until an alarm, of so many drawn as the held-out values were."""
    sign = 1 if direction == "up" else -1
    steps = np.repeat(sign * np.array(chart.scores, np.int32) - chart.allowance, chart.counts)
    sums, total, alarms = np.zeros(RUNS, np.int32), 0, 0
    while alarms < ALARMS:
        sums = np.maximum(sums + steps[rng.integers(len(steps), size=RUNS)], 0)
        ended = sums >= chart.limits[direction]
        total, alarms = total + RUNS, alarms + int(ended.sum())
        sums[ended] = 0
    return total / alarms


def run_length_rows(drift: Drift, rng: np.random.Generator) -> list[dict[str, object]]:
    set_for = drift.alarms * drift.parts_per_false_alarm
    rows, rate = [], 0.0
    for quantity, chart in drift.charts.items():
        for direction in chart.limits:
            found = simulated_run_length(chart, direction, rng)
            rate += 1 / found
            rows.append(_row(f"{quantity} {direction}", set_for, found))
    charts = len(rows)
    rows.append(_row("all of these together", drift.parts_per_false_alarm * drift.alarms / charts, 1 / rate))
    return rows


def _row(name: str, set_for: float, found: float) -> dict[str, object]:
    return {
        "sum": name,
        "set for": f"{set_for:,.0f}",
        "simulated": f"{found:,.0f}",
        "difference": f"{found / set_for - 1:+.1%}",
    }


def measure(detector: Detector, pixels: Pixels) -> Measures:
    """What the service's charts are told of an image."""
    verdict = detector.verdict(detector.engine.run(pixels[np.newaxis]).evidence[0])
    return {"log_odds": verdict.log_odds - detector.shift}


def delay(model: ModelDrift, images: Sequence[Measures], rng: np.random.Generator) -> tuple[int, str]:
    """Parts until an alarm, and of what."""
    for number in range(1, MOST_PARTS + 1):
        image = ImageRecord(Verdict("good", "accept", 0.0, 0.0), [], images[int(rng.integers(len(images)))])
        if alarms := model.add(image, PartReference(0.0, "request"), 0.0):
            return number, f"{alarms[0].quantity} {alarms[0].change}"
    return MOST_PARTS, "none"


def delay_rows(detector: Detector, drift: Drift, images: Sequence[Pixels], seed: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, change in CHANGES.items():
        measured = [measure(detector, change(pixels)) for pixels in images]
        rng = np.random.default_rng(seed)
        found = [delay(ModelDrift(detector, drift, DriftState(1)), measured, rng) for _ in range(REPETITIONS)]
        parts = np.array([number for number, _ in found])
        first = [first for _, first in found]
        alarmed = int((parts < MOST_PARTS).sum())
        rows.append(
            {
                "change": name,
                "alarms": f"{alarmed} of {REPETITIONS}",
                "parts, median": int(np.median(parts)) if alarmed > REPETITIONS / 2 else f"over {MOST_PARTS}",
                "parts, 90 %": int(np.quantile(parts, 0.9)) if alarmed > 0.9 * REPETITIONS else f"over {MOST_PARTS}",
                "first by": max(set(first), key=first.count),
            }
        )
    return rows


def microseconds(detector: Detector, drift: Drift, images: Sequence[Pixels]) -> float:
    """Of processor time for one part, all charts together."""
    model, part = ModelDrift(detector, drift, DriftState(1)), PartReference(0.0, "request")
    records = [ImageRecord(Verdict("good", "accept", 0.0, 0.0), [], measure(detector, pixels)) for pixels in images]
    began, count = time.process_time(), 100 * len(records)
    for number in range(count):
        model.add(records[number % len(records)], part, 0.0)
    return 1e6 * (time.process_time() - began) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", type=Path, required=True, help="folder of good images that it was not trained on")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    detector = load_detector(Store(chosen.store).path(chosen.model), "cpu")
    drift = detector.manifest.drift
    if drift is None or not drift.charts:
        raise SystemExit(f"{chosen.model} has no charts")
    report("Run lengths", run_length_rows(drift, np.random.default_rng(chosen.seed)), None)
    images = [detector.read_image(path.read_bytes()).pixels for path in sorted(chosen.images.iterdir())]
    report(f"Delays, {len(images)} images", delay_rows(detector, drift, images, chosen.seed), None)
    print(f"\nA part costs {microseconds(detector, drift, images):.1f} µs.")


if __name__ == "__main__":
    main()
