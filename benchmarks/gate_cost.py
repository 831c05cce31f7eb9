"""What the gate costs an image, in CPU milliseconds: the same network with and without it, interleaved.

    python -m benchmarks.gate_cost [--sizes 224 448] [--images 100]

ONNX Runtime, float32, on one thread, with the hypercolumn of preset `fast` and random weights. Without the gate the
graph has no output `features`, and an image ends with its verdict; with it, both are there, and every check is made.
Each image is inspected both ways, in turn one way first and the other.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.utils import Extractor

from benchmarks.machine import report
from model.artifact import ONNX
from model.detector import Detector, load_detector
from model.engines.ort import onnxruntime
from tests.support.artifacts import publish
from training.recipe import Patches, read_recipe

Pixels = NDArray[np.uint8]


def inspections(folder: Path, size: int) -> tuple[Callable[[Pixels], None], Callable[[Pixels], None]]:
    """Of an image 1×S×S×3: without the gate, and with it."""
    recipe = read_recipe("fast")
    assert isinstance(recipe, Patches)
    version = publish(folder, f"size-{size}", onnx=True, size=size, hypercolumn=recipe.hypercolumn)
    detector = load_detector(version, "cpu", engine="onnxruntime")
    model = onnx.load(version / ONNX)
    return _ungated(detector, model), _gated(detector, model)


def _ungated(detector: Detector, model: onnx.ModelProto) -> Callable[[Pixels], None]:
    session = _session(Extractor(model).extract_model(["pixels"], ["evidence"]))

    def inspect(pixels: Pixels) -> None:
        (evidence,) = session.run(["evidence"], {"pixels": pixels})
        detector.verdict(evidence[0])

    return inspect


def _gated(detector: Detector, model: onnx.ModelProto) -> Callable[[Pixels], None]:
    session = _session(model)

    def inspect(pixels: Pixels) -> None:
        evidence, features = session.run(["evidence", "features"], {"pixels": pixels})
        detector.verdict(evidence[0])
        detector.inspectability(pixels[0], features[0], (1000, 1000))

    return inspect


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def milliseconds(inspect: Callable[[Pixels], None], pixels: Pixels) -> float:
    """Of this thread's CPU, which is the network's: other processes' turns don't count."""
    began = time.thread_time()
    inspect(pixels)
    return 1000 * (time.thread_time() - began)


def measured(folder: Path, size: int, images: int) -> dict[str, object]:
    ways, rng = inspections(folder, size), np.random.default_rng(0)
    times = np.zeros((images, 2))
    for number in range(-1, images):  # the first one warms up
        pixels = rng.integers(0, 256, (1, size, size, 3), np.uint8)
        for way in (0, 1) if number % 2 else (1, 0):
            times[number, way] = milliseconds(ways[way], pixels)
    without, gated = (median(column) for column in times.T.tolist())
    return {
        "input": size,
        "images": images,
        "without, ms": f"{without:.1f}",
        "with, ms": f"{gated:.1f}",
        "difference, median of pairs, ms": f"{median((times[:, 1] - times[:, 0]).tolist()):.2f}",
        "ratio": f"{gated / without:.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 448])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="FILE")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        rows = [measured(Path(folder), size, chosen.images) for size in chosen.sizes]
    report("The gate's cost", rows, chosen.json)


if __name__ == "__main__":
    main()
