"""The engines alone: images a second by engine, variant, batch and threads, in interleaved rounds.

    python -m benchmarks.engines --version STORE/MODEL/N [--version …] [--rounds 5]

The peak is what these CPUs reach in a large matrix product of ONNX Runtime's, in float32.
"""

import argparse
import threading
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from onnx import TensorProto, helper

from benchmarks.machine import report
from model.artifact import read_artifact
from model.cpus import available_cpus
from model.engines.engine import Engine, engines_for, open_engine
from model.engines.ort import onnxruntime
from model.manifest import EngineName, Manifest, VariantName

_SECONDS: Final = 1.0
_PRODUCT: Final = 2048


def operations(manifest: Manifest) -> float:
    """Multiplications and additions of the convolutions, for one image."""
    side, found = manifest.preprocessing.input_size, 0.0
    for block in manifest.network.convolutions:
        found += sum(2 * 9 * channels * width for channels, width in block) * side**2
        side //= 2
    return found


def peak() -> float:
    """Operations a second of a matrix product, at best."""
    square = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [_PRODUCT, _PRODUCT]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", square[:2], square[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = available_cpus()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    ones = np.ones((_PRODUCT, _PRODUCT), np.float32)
    times = []
    for _ in range(10):
        began = time.perf_counter()
        session.run(None, {"a": ones, "b": ones})
        times.append(time.perf_counter() - began)
    return 2 * _PRODUCT**3 / min(times)


def rate(engine: Engine, batch: int, workers: int, size: int) -> float:
    """Images a second of so many workers; one worker has the whole device."""
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
    engine.run(pixels, exclusive=workers == 1)
    counted = [0] * workers
    began = time.perf_counter()

    def work(worker: int) -> None:
        while time.perf_counter() - began < _SECONDS:
            engine.run(pixels, exclusive=workers == 1)
            counted[worker] += batch

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counted) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, action="append", required=True, help="a version's folder; repeatable")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="folder for the same figures as JSON")
    chosen = parser.parse_args()
    cases = {}
    for path in chosen.version:
        artifact = read_artifact(path)
        size, work = artifact.manifest.preprocessing.input_size, operations(artifact.manifest)
        for variant in artifact.manifest.variants:
            if variant.cascade:  # its work depends on the image: benchmarks.cascade
                continue
            for name in engines_for(variant, "cpu", "auto"):
                engine = open_engine(artifact, variant, "cpu", name)
                for batch, workers in [(1, 1), (8, 1)] + [(1, engine.max_concurrency)] * (engine.max_concurrency > 1):
                    cases[name, variant.name, size, batch, workers] = (engine, work)
    rates: dict[tuple[EngineName, VariantName, int, int, int], list[float]] = defaultdict(list)
    peaks = []
    for _ in range(chosen.rounds):
        peaks.append(peak())
        for case, (engine, _) in cases.items():
            _, _, size, batch, workers = case
            rates[case].append(rate(engine, batch, workers, size))
    rows: list[dict[str, object]] = [
        {
            "engine": name,
            "variant": variant,
            "input": size,
            "batch": batch,
            "how": f"{workers} workers of 1 thread" if workers > 1 else f"1 worker of {available_cpus()} threads",
            "images/s": f"{median(found):.2f}",
            "ms": f"{1000 * batch / median(found):.1f}" if workers == 1 else "",
            "GFLOP/s": f"{median(found) * cases[name, variant, size, batch, workers][1] / 1e9:.0f}",
            "of float32's peak": f"{median(found) * cases[name, variant, size, batch, workers][1] / median(peaks):.0%}",
        }
        for (name, variant, size, batch, workers), found in rates.items()
    ]
    title = f"Engines (a matrix product in float32: {median(peaks) / 1e9:.0f} GFLOP/s)"
    report(title, rows, chosen.json and chosen.json / "engines.json")


if __name__ == "__main__":
    main()
