"""Draws large frames with tiny defects, and their masks, to train on: what one square input can't show.

    python -m benchmarks.large_frames --out run/data/sheet --good 40 --defective 40
    python -m training crossval --data run/data/sheet --preset accurate --resolution auto --best-balanced-accuracy

Brushed metal under uneven light, with grains and fine scratches of its own along the brush on every part. A defect is
a pit, a spot or a scratch across the brush, `--defect` pixels wide.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from examples.draw.field import cloud
from training.cli_arguments import at_least
from training.progress import Reporter

Field = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def sheet(rng: np.random.Generator, width: int, height: int) -> Field:
    """Brightness of a good part, height×width, 0 to 1."""
    rows = np.cumsum(rng.normal(0, 1, height))
    brush = rng.normal(0, 1, height) + 0.3 * (rows - rows.mean()) / rows.std()
    light = np.asarray(Image.fromarray(cloud(rng, 256, 90).astype(np.float32)).resize((width, height)))
    grain = rng.standard_normal((height, width), np.float32)
    return np.asarray(0.5 + 0.05 * brush[:, None] + 0.05 * light + 0.02 * grain, np.float32)


def pit(rng: np.random.Generator, size: int) -> Field:
    """Dark, with a bright rim below: how brightness changes, size×size, and 0 outside."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = np.hypot(x, y) < size / 2
    return np.asarray(inside * np.where(y > size / 4, 0.18, -0.22), np.float32)


def spot(rng: np.random.Generator, size: int) -> Field:
    """A stain of a shade of its own."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.asarray((np.hypot(x, y) < size / 2) * rng.choice([-0.16, 0.16]), np.float32)


def scratch(rng: np.random.Generator, size: int) -> Field:
    """Across the brush."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    slope = rng.uniform(-0.4, 0.4)
    return np.asarray((np.abs(x - slope * y) < 1.5) * 0.28, np.float32)


KINDS: Mapping[str, Callable[[np.random.Generator, int], Field]] = {"pit": pit, "scratch": scratch, "spot": spot}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--good", type=at_least(1), default=40)
    parser.add_argument("--defective", type=at_least(1), default=40)
    parser.add_argument("--width", type=at_least(256), default=4000)
    parser.add_argument("--height", type=at_least(256), default=3000)
    parser.add_argument("--defect", type=at_least(3), default=12, help="pixels that a defect is wide")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with Reporter().task("drawing", chosen.good + chosen.defective) as advance:
        for number in range(chosen.good + chosen.defective):
            rng = np.random.default_rng([chosen.seed, number])
            part, mask = sheet(rng, chosen.width, chosen.height), np.zeros((chosen.height, chosen.width), np.bool_)
            kind = "good" if number < chosen.good else sorted(KINDS)[number % len(KINDS)]
            if kind != "good":
                top, left = (int(rng.integers(0, side - chosen.defect)) for side in part.shape)
                change = KINDS[kind](rng, chosen.defect)
                part[top:, left:][: chosen.defect, : chosen.defect] += change
                mask[top:, left:][: chosen.defect, : chosen.defect] = change != 0
                _save(chosen.out / "ground_truth" / kind / f"{number:03}_mask.png", mask.astype(np.uint8) * 255)
            split = "train" if number < chosen.good // 2 else "test"
            _save(chosen.out / split / kind / f"{number:03}.png", np.rint(255 * part.clip(0, 1)).astype(np.uint8))
            advance()


def _save(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)


if __name__ == "__main__":
    main()
