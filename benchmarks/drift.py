"""Control charts of brightness and sharpness: run lengths without a change, and delays after one.

    python -m benchmarks.drift --data capsule=shared/data/mvtec_ad_512/capsule/train/good [--seed 0] [--size 224]

Half of the good images, drawn by the seed, are the reference; no network is needed for these two. Run lengths are
simulated on the reference's own values, drawn with replacement. Delays are parts until the first alarm of any of the
four sums, images drawn with replacement from the other half, each changed alike at the network's input: dimmed (gray
levels times 0.95, 0.9, 0.8), or blurred (a Gaussian of radius 1 pixel). Limits are those of a version with all charts.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.machine import report
from model.drift import Chart, Direction
from model.image_measures import pixel_measures
from model.preprocessing import Resizing
from training.evaluation.drift import DIRECTIONS, PARTS_PER_FALSE_ALARM, chart_of

Pixels = NDArray[np.uint8]
Charts = Mapping[str, Chart]

RUNS: Final = 5000
ALARMS: Final = 400
"""Simulated for each sum: their mean is known to 5 %."""
MOST_PARTS: Final = 2000
"""After which a delay is no more than that."""
NAMES: Final = ("brightness", "sharpness")
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


def charts_of(images: Sequence[Pixels]) -> Charts:
    """Of the reference, with the limits that they have beside the other charts of a version."""
    sums = sum(len(directions) for directions in DIRECTIONS.values()) + 1  # and missing rejects
    measures = [pixel_measures(pixels) for pixels in images]
    run_length = sums * PARTS_PER_FALSE_ALARM
    return {name: chart_of(np.array([each[name] for each in measures]), ("up", "down"), run_length) for name in NAMES}


def simulated_run_length(chart: Chart, direction: Direction, rng: np.random.Generator) -> float:
    """Mean number of values until an alarm, drawn as the reference's are."""
    sign = 1 if direction == "up" else -1
    steps = np.repeat(sign * np.array(chart.scores, np.int32) - chart.allowance, chart.counts)
    sums, total, alarms = np.zeros(RUNS, np.int32), 0, 0
    while alarms < ALARMS:
        sums = np.maximum(sums + steps[rng.integers(len(steps), size=RUNS)], 0)
        ended = sums >= chart.limits[direction]
        total, alarms = total + RUNS, alarms + int(ended.sum())
        sums[ended] = 0
    return total / alarms


def run_length_rows(data: str, charts: Charts, rng: np.random.Generator) -> list[dict[str, object]]:
    set_for = PARTS_PER_FALSE_ALARM * (sum(len(directions) for directions in DIRECTIONS.values()) + 1)
    rows: list[dict[str, object]] = []
    for name, chart in charts.items():
        for direction in chart.limits:
            found = simulated_run_length(chart, direction, rng)
            row = {"data": data, "sum": f"{name} {direction}", "limit": chart.limits[direction] / 20}
            rows.append(
                row | {"set for": f"{set_for:,}", "simulated": f"{found:,.0f}", "off by": f"{found / set_for - 1:+.1%}"}
            )
    return rows


def delays(charts: Charts, images: Sequence[Pixels], rng: np.random.Generator) -> NDArray[np.intp]:
    """Parts until the first alarm, `RUNS` times."""
    sides = [(name, chart, direction) for name, chart in charts.items() for direction in chart.limits]
    measures = [pixel_measures(pixels) for pixels in images]
    steps = np.array([[chart.step(each[name], direction) for name, chart, direction in sides] for each in measures])
    limits = np.array([chart.limits[direction] for _, chart, direction in sides])
    sums, found = np.zeros((RUNS, len(sides)), int), np.full(RUNS, MOST_PARTS)
    for part in range(1, MOST_PARTS):
        sums = np.maximum(sums + steps[rng.integers(len(steps), size=RUNS)], 0)
        found = np.where((sums >= limits).any(axis=1) & (found == MOST_PARTS), part, found)
        if (found < MOST_PARTS).all():
            break
    return found


def delay_rows(data: str, charts: Charts, images: Sequence[Pixels], seed: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, change in CHANGES.items():
        found = delays(charts, [change(pixels) for pixels in images], np.random.default_rng(seed))
        low, middle, high = (_parts(float(np.quantile(found, level))) for level in (0.1, 0.5, 0.9))
        rows.append({"data": data, "change": name, "10 %": low, "median": middle, "90 %": high})
    return rows


def _parts(parts: float) -> str:
    return f"over {MOST_PARTS}" if parts >= MOST_PARTS else f"{parts:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=DIR", help="folders of good images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=224, help="of the network's input")
    chosen = parser.parse_args()
    lengths, waits = [], []
    for data, _, folder in (each.partition("=") for each in chosen.data):
        resizing = Resizing(chosen.size, None, reduced=False)
        images = [resizing(path.read_bytes()).pixels for path in sorted(Path(folder).iterdir())]
        rng = np.random.default_rng(chosen.seed)
        order = rng.permutation(len(images))
        reference, others = ([images[i] for i in half] for half in np.array_split(order, 2))
        charts = charts_of(reference)
        lengths += run_length_rows(data, charts, rng)
        waits += delay_rows(data, charts, others, chosen.seed)
    report(f"Parts until a false alarm, seed {chosen.seed}", lengths, None)
    report(f"Parts until an alarm after a change, seed {chosen.seed}", waits, None)


if __name__ == "__main__":
    main()
